"""What the benchmark of the answers' forms computes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from answer_forms import costs, cpu_seconds, markdown, measured, standard_error


def test_accuracy_counts_missing_labels_as_wrong() -> None:
    truth, label = np.array(["a", "b", "b", "a"]), np.array(["a", "b", "", "b"])
    scores = np.log([[0.9, 0.1], [0.4, 0.6], [np.nan, np.nan], [0.3, 0.7]])
    found = measured(truth, label, scores, ["a", "b"])
    assert found["accuracy"] == 0.5 and found["missing"] == 0.25 and found["scored"] == 0.75 and found["said"] == 0.5
    assert found["accuracy_error"] == pytest.approx(np.sqrt(0.5 * 0.5 / 3))  # of a share, n - 1 in the variance
    assert found["auc"] == 0.5  # the b of row 2 lies above the a of row 1 and below that of row 4
    assert measured(truth, label, None, ["a", "b"])["auc"] is None


def test_costs_of_a_text(tmp_path: Path) -> None:
    answers = {"texts": 4, "prompt_tokens": 40, "completion_tokens": 8}
    (tmp_path / "t.annotator.json").write_text(json.dumps({"answers": answers}))
    (tmp_path / "t.seconds").write_text("2.0")
    assert costs(tmp_path / "t.csv", 4) == {"prompt_tokens": 10, "completion_tokens": 2, "seconds": 0.5}


def test_the_time_of_a_process() -> None:
    assert cpu_seconds(None) == 0.0 and 0 < cpu_seconds(os.getpid()) == pytest.approx(sum(os.times()[:2]), abs=0.5)


def test_the_table_has_a_row_for_each_form() -> None:
    right = np.array([1.0, 0.0, 1.0])
    form = {"accuracy": 2 / 3, "accuracy_error": standard_error(right), "missing": 0.0, "auc": None, "said": 0.5}
    form |= {"completion_tokens": 9.0, "seconds": 0.25}
    row = {"free": form, "structured": form, "gain": 0.1, "gain_error": 0.02, "texts": 3, "classes": ["a", "b"]}
    row |= {"share": 0.5, "auto": "json schema", "auto_without_logprobs": "free"}
    lines = markdown({"t": row}).splitlines()
    assert lines[2] == "| t (3 texts) | b, 50% | free | 0.667 ± 0.333 |  | 50% | 0.0% | 9 | 0.25 |"
    assert lines[-1] == "| t | +0.100 ± 0.020 | json schema | free |"
