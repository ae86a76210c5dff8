"""Whether a run is finished, of every kind there is and was."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from silr.errors import InputError
from silr.finished import check_finished, missing_iterations
from silr.refiner_settings import tunes_once
from silr.run import Iteration

PRIORS: Any = object()
LABELS = np.zeros(1, np.int16)


def iterations(*metrics: dict[str, Any], priors: Any = PRIORS) -> list[Iteration]:
    return [Iteration(number, LABELS, None, priors, each) for number, each in enumerate(metrics)]


@pytest.mark.parametrize(
    ("done", "missing"),
    [
        (iterations({"of": 1}, {"of": 1}), 0),
        (iterations({"of": 1}, {"of": 1}, priors=None), 0),  # labels alone, without gold
        (iterations({"of": 2}, {"of": 2}), 1),  # fine-tuned: the model is still to come
        (iterations({"of": 2}, {"of": 2}, {"of": 2}), 0),
        (iterations({}, {"asked": 5}, {"asked": 5}), 3),
        (iterations({}, {"asked": 2}, {"asked": 2}), 0),
        (iterations({}, {"asked": 5}, {"asked": 5, "stopped": "no signal"}), 0),
        (iterations({}, {"asked": 3}, priors=None), 2),  # scores, without gold
        (iterations({}, {}, priors=None), 0),  # theta was given: nothing is known about later labels
        (iterations({}, {}), 0),  # made in Python, before iterations were counted
    ],
)
def test_iterations_that_are_still_to_come(done: list[Iteration], missing: int, tmp_path: Path) -> None:
    run: Any = SimpleNamespace(folder=tmp_path)
    assert missing_iterations(run, done) == missing
    if missing:
        with pytest.raises(InputError, match=f"was cut off: it has {len(done) - 1} of {len(done) - 1 + missing} iter"):
            check_finished(run, done)


def test_an_older_run_is_known_by_its_table(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"iterations": 5}))
    run: Any = SimpleNamespace(folder=tmp_path)
    assert missing_iterations(run, iterations({}, {}, {})) == 3
    assert missing_iterations(run, iterations({}, {}, {"stopped": "no signal"})) == 0
    with pytest.raises(InputError, match="has no finished iteration"):
        check_finished(run, iterations({}))


def test_two_is_all_of_a_fine_tuned_run() -> None:
    assert tunes_once({"method": "silr", "classifier": "lora"})
    assert not tunes_once({"method": "silr", "classifier": "frozen"})
    assert not tunes_once({"method": "uu", "classifier": "lora"})
    assert not tunes_once({"method": "silr", "classifier": "lora", "theta": "0.9,0.1;0.4,0.6"})
