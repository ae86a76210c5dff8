"""How many more gold labels a wanted width needs."""

from __future__ import annotations

import numpy as np
import pytest

from silr.estimates.enough import more_labels
from silr.estimates.evidence import Evidence
from silr.estimates.result import Row
from silr.estimates.shares import Shares
from silr.stats.label_table import expected_by_label


def share(n_gold: int, n: int = 5000) -> Row:
    import pandas as pd

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
