"""How many more gold labels a wanted width needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from silr.errors import InputError
from silr.estimates.commands import label_command
from silr.estimates.enough import checked_width, more_labels, points
from silr.estimates.estimate import estimate
from silr.estimates.evidence import Evidence
from silr.estimates.result import Row
from silr.estimates.shares import Shares
from silr.estimates.words import words_of_more
from silr.stats.label_table import expected_by_label


def share(n_gold: int, n: int = 5000) -> Row:
    rng = np.random.default_rng(0)
    truth = (rng.random(n) < 0.3).astype(int)
    label = np.where(rng.random(n) < 0.85, truth, 1 - truth)
    rows = rng.permutation(n)[:n_gold]
    gold, weights = np.full(n, -1), np.zeros(n)
    gold[rows], weights[rows] = truth[rows], n / n_gold
    p = expected_by_label(label, gold, weights, rows, 2)
    evidence = Evidence("t", pd.DataFrame(), ["a", "b"], gold, weights, p, {"llm_label": label})
    return Shares(evidence).overall()[1]


def test_so_many_more_labels_reach_the_width() -> None:
    row = share(200)
    more = more_labels(row, 0.06, 5000)
    assert more is not None and more > 200
    assert share(200 + more).width == pytest.approx(0.06, rel=0.15)


def test_narrow_enough_needs_none_and_all_texts_are_always_enough() -> None:
    row = share(200)
    assert more_labels(row, row.width, 5000) == 0
    assert more_labels(row, 1e-9, 5000) == 4800


def test_nothing_is_known_without_labels() -> None:
    assert more_labels(Row("share", 0.5, 0, 1, 0), 0.1, 100) is None


@pytest.mark.parametrize("width", [0, 1, 1.5, -0.1, 5, float("nan"), float("inf")])
def test_a_width_is_between_0_and_1(width: float) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        checked_width(width)


def test_what_is_said_of_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(900) < 0.4
    frame = pd.DataFrame({"text": [f"t {row}" for row in range(900)]})
    frame["llm_label"] = np.where(rng.random(900) < 0.8, truth, ~truth)
    frame["gold"] = np.where(np.arange(900) < 60, truth, None)
    path = tmp_path / "my table.csv"
    frame.to_csv(path, index=False)
    result = estimate(path)
    widest = max(result.shares, key=lambda row: row.width)
    more = result.more_labels(0.1)
    assert more is not None and more == max(more_labels(row, 0.1, 900) or 0 for row in result.shares) > 50
    said = words_of_more(result, 0.1)
    assert said[0].endswith(f"about {more:,} more gold labels would bring it to 10 points:")
    assert said[1] == f"silr label '{path}' --until-width 0.1"
    (said,) = words_of_more(estimate(frame), 0.1)  # no table on the disk
    assert said.endswith("to 10 points.")
    (said,) = words_of_more(result, 0.9)
    assert said.endswith(f"has {points(widest.width)} points: 90 are reached.")
    assert result.more_labels(0.9) == 0 and words_of_more(replace(result, shares=_narrow(result.shares))) == []
    with pytest.raises(InputError, match="width"):
        result.more_labels(2)


def _narrow(rows: list[Row]) -> list[Row]:
    return [replace(row, low=row.value - 0.01, high=row.value + 0.01) for row in rows]


def test_the_command_names_columns_and_only_a_table_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "t.csv").touch()
    command = label_command(tmp_path / "run" / ".." / "t.csv", text="body", labels=["llm_label_x"])
    assert command == f"silr label {tmp_path / 't.csv'} --text-column body --label-column llm_label_x"
    assert label_command(Path("t.csv"), inside=tmp_path) == "silr label t.csv"
    assert label_command(tmp_path / "u.csv") is None and label_command(tmp_path / "t.csv", gold="mine") is None
