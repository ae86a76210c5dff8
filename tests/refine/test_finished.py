"""Whether a run is finished, of every kind there is and was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silr.errors import InputError
from silr.refine.iteration import Iteration, Notes
from silr.refine.run import Run
from silr.stats.priors import Priors, given_priors

PRIORS = given_priors(np.array([[0.9, 0.1], [0.2, 0.8]]), pseudo_labels=np.array([0, 1]))
LABELS = np.zeros(1, np.int16)


def make_run(folder: Path, *metrics: dict[str, Any], priors: Priors | None = PRIORS, table: int | None = None) -> Run:
    """A run whose iterations say these things, as version 0.1 and later ones wrote them."""
    with Run.start(folder / "run", {"classes": ["a", "b"], "configuration": {}}, {}) as run:
        for number, each in enumerate(metrics):
            run.save_iteration(Iteration(number, LABELS, None, priors, Notes.from_dict(each, number)), None)
            path = run.iteration_folder(number) / "iteration.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": each}))
    if table is not None:
        (folder / "run" / "table.json").write_text(json.dumps({"iterations": table}))
    return Run(folder / "run")


@pytest.mark.parametrize(
    ("metrics", "priors", "table", "missing"),
    [
        ([{"of": 1}, {"of": 1}], PRIORS, None, 0),
        ([{"of": 1}, {"of": 1}], None, None, 0),  # labels alone, without gold
        ([{"of": 2}, {"of": 2}], PRIORS, None, 1),  # fine-tuned: the model is still to come
        ([{"of": 2}, {"of": 2}, {"of": 2}], PRIORS, None, 0),
        ([{"kind": "llm", "of": 5}, {"kind": "iteration", "of": 5}], PRIORS, None, 4),
        ([{}, {"asked": 5}, {"asked": 5}], PRIORS, None, 3),
        ([{}, {"asked": 2}, {"asked": 2}], PRIORS, None, 0),
        ([{}, {"asked": 5}, {"asked": 5, "stopped": "no signal"}], PRIORS, None, 0),
        ([{}, {"asked": 3}], None, None, 2),  # scores, without gold
        ([{}, {}], None, 5, 0),  # theta was given: nothing is known about later labels
        ([{}, {}], PRIORS, None, 0),  # made in Python, before iterations were counted
        ([{}, {}, {}], PRIORS, 5, 3),  # an older run is known by its table
        ([{}, {}, {"stopped": "no signal"}], PRIORS, 5, 0),
    ],
)
def test_iterations_that_are_still_to_come(
    metrics: list[dict[str, Any]], priors: Priors | None, table: int | None, missing: int, tmp_path: Path
) -> None:
    result = make_run(tmp_path, *metrics, priors=priors, table=table).result()
    assert result.missing == missing
    if missing:
        done = len(metrics) - 1
        with pytest.raises(InputError, match=f"was cut off: it has {done} of {done + missing} iter"):
            result.check_finished(tmp_path)


def test_a_run_without_a_finished_iteration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no finished iteration"):
        make_run(tmp_path, {}).result().check_finished(tmp_path)
