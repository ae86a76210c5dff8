"""Whether a run is finished: what was cut off half-way labels new texts half as well, and nobody would see it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from silr.errors import InputError
from silr.run import TABLE, Iteration, Run


def missing_iterations(run: Run, iterations: Sequence[Iteration]) -> int:
    """How many iterations are still to come in a run that was cut off.

    An iteration of several says in ``metrics["of"]`` how many there are, or in ``metrics["asked"]`` how many were asked
    for; one of a run that is older says nothing, and then the table's record does.

    Parameters
    ----------
    run : Run
    iterations : sequence of Iteration
        The finished ones.
    """
    last = iterations[-1]
    metrics = {**iterations[0].metrics, **last.metrics}
    if "stopped" in metrics:
        return 0
    if "of" in metrics:
        return max(0, int(metrics["of"]) - last.number)
    if last.number and last.priors is None and "asked" not in metrics:
        return 0  # nothing is known that could train another one
    try:
        asked = int(json.loads((run.folder / TABLE).read_text())["iterations"])
    except (OSError, ValueError, KeyError, TypeError):
        asked = 0
    return max(0, asked - last.number, int(metrics.get("asked", 0)) - last.number)


def check_finished(run: Run, iterations: Sequence[Iteration]) -> None:
    """Raise InputError if iterations of a run are missing."""
    if len(iterations) < 2:
        raise InputError(
            f"the run {run.folder} has no finished iteration: run `silr refine` again, which goes on or says why it "
            "cannot"
        )
    if missing := missing_iterations(run, iterations):
        last = iterations[-1].number
        fewer = "" if "of" in iterations[0].metrics else f", or ask it for --iterations {last}"
        raise InputError(
            f"the run {run.folder} was cut off: it has {last} of {last + missing} iterations; run `silr refine` again, "
            f"which goes on where it stopped{fewer}"
        )
