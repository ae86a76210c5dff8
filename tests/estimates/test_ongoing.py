"""Shares while labels come in are those of `silr.estimate`, without a look at all texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from silr.estimates.evidence import Evidence
from silr.estimates.ongoing import OngoingShares
from silr.estimates.shares import Shares
from silr.stats.label_table import expected_by_label

N, NAMES = 400, ["a", "b", "c"]


@pytest.mark.parametrize("model", [False, True], ids=["labels", "probabilities"])
def test_they_are_the_same(model: bool) -> None:
    rng = np.random.default_rng(0)
    truth, label = rng.integers(3, size=N), rng.integers(-1, 3, size=N)
    rows = rng.permutation(N)[:60]
    gold, weights = np.full(N, -1), np.zeros(N)
    gold[rows], weights[rows] = truth[rows], rng.uniform(1, 9, 60)
    weights[rows[:7]] = 0  # known, and they judge nothing
    p = expected_by_label(label, gold, weights, rows[7:], 3)
    if model:
        p = rng.dirichlet([1, 1, 1], N).astype(np.float32)
    whole = Shares(Evidence("t", pd.DataFrame(), NAMES, gold, weights, p, {"llm_label": label})).overall()
    by_row = {int(row): int(gold[row]) for row in rows}
    shares = OngoingShares(label, NAMES)
    for _ in range(2):
        found = shares.rows(by_row, {int(row): float(weights[row]) for row in rows}, p if model else None)
        assert found is not None
        for one, other in zip(found, whole, strict=True):
            assert one.class_name == other.class_name and one.gold == other.gold == 53
            values = [(each.value, each.low, each.high, each.worth) for each in (one, other)]
            assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_nothing_is_known_where_nothing_judges() -> None:
    assert OngoingShares(np.zeros(5, dtype=np.int64), NAMES).rows({1: 0}, {1: 0.0}) is None
