"""The difference estimator: by hand, unbiased whatever the probabilities are, and its interval by simulation."""

import numpy as np
import pytest

from silr.errors import InputError
from silr.label.adaptive_draw import AdaptiveDraw, draw_probabilities
from silr.label.draw_weights import sequential_weights
from silr.stats.gold_accuracy import accuracy_from_gold
from silr.stats.intervals import share_interval


def test_by_hand():
    labels, gold = np.array([0, 1, 0, 1, -1]), np.array([0, 0, -1, -1, 1])
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    found = accuracy_from_gold(labels, gold, [1, 3, 0, np.nan, 9], p)
    expected = (0.9 + 0.6 + 0.7 + 0.8) / 4
    e = np.array([1 - 0.9, 0 - 0.6])
    shift = (1 * e[0] + 3 * e[1]) / 4
    assert found.value == pytest.approx(expected + shift)
    variance = 2 * (3 * 2 * (e[1] - shift) ** 2) / 16
    size = found.value * (1 - found.value) / variance
    limits = share_interval(np.array(found.value), np.array(max(size, 1)), 0.95)
    assert found.interval == pytest.approx(tuple(map(float, limits)))


def test_probabilities_that_do_not_help_leave_the_weighted_share():
    rng = np.random.default_rng(0)
    labels, gold = rng.integers(0, 2, 300), np.where(rng.random(300) < 0.3, rng.integers(0, 2, 300), -1)
    weight = rng.uniform(1, 9, 300)
    found = accuracy_from_gold(labels, gold, weight, np.full((300, 2), 0.5))
    there = gold >= 0
    assert found.value == pytest.approx(np.average((labels == gold)[there], weights=weight[there]))


def test_all_texts_read_leaves_no_doubt():
    truth = np.array([0, 1, 1, 0, 1] * 4)
    labels = np.where(np.arange(20) < 3, 1 - truth, truth)
    found = accuracy_from_gold(labels, truth, np.ones(20), np.full((20, 2), 0.5))
    assert found == (pytest.approx(0.85), pytest.approx((0.85, 0.85)))


@pytest.mark.slow
@pytest.mark.parametrize("skill", [0.0, 1.0, 3.0])
def test_coverage_under_adaptive_draws(skill):
    """1,000 texts, labels that are right on 80 %, probabilities from worthless to good; 80 adaptive draws."""
    rng = np.random.default_rng(5)
    n, m = 1000, 80
    ease = rng.normal(1.7, 1.5, n)
    right = rng.random(n) < 1 / (1 + np.exp(-ease))
    belief = 1 / (1 + np.exp(-(1.4 + skill / 3 * (ease - 1.7) + rng.normal(0, 0.3, n))))
    p = np.stack([belief, 1 - belief], axis=1)
    labels, truth = np.zeros(n, dtype=int), np.where(right, 0, 1)
    holds, errors, widths = [], [], []
    for _ in range(400):
        free, draws, rows = np.arange(n), [], []
        for number in range(1, m + 1):
            q = draw_probabilities(p[free])
            k = min(int(np.searchsorted(np.cumsum(q), rng.random())), len(q) - 1)
            draws.append(AdaptiveDraw(number, q[k]))
            rows.append(free[k])
            free = np.delete(free, k)
        gold, weight = np.full(n, -1), np.zeros(n)
        gold[rows], weight[rows] = truth[rows], sequential_weights(draws, m, n)
        value, (low, high) = accuracy_from_gold(labels, gold, weight, p)
        holds.append(low <= right.mean() <= high)
        errors.append(value - right.mean())
        widths.append(high - low)
    assert 0.92 <= np.mean(holds) <= 0.98
    assert abs(np.mean(errors)) < 0.01
    if skill == 3:
        assert np.mean(widths) < 0.19


def test_what_cannot_be_used():
    p = np.full((3, 2), 0.5)
    with pytest.raises(InputError, match="one row a text"):
        accuracy_from_gold([0, 1], [0, 1, -1], [1, 1, 1], p)
    with pytest.raises(InputError, match="one row a text"):
        accuracy_from_gold([0, 1, 2], [0, 1, -1], [1, 1, 1], p)
    with pytest.raises(InputError, match="no labelled text has a gold label"):
        accuracy_from_gold([0, 1, -1], [-1, -1, 1], [1, 1, 1], p)
    with pytest.raises(InputError, match="no gold label has a weight above 0"):
        accuracy_from_gold([0, 1, 1], [0, -1, 1], [0, 1, np.nan], p)
