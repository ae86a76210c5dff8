"""Prediction-powered means: right on average whatever the model says, and with intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from silr.stats.label_table import expected_by_label
from silr.stats.prediction_powered import (
    best_power,
    effective_labels,
    parts_of,
    prediction_powered_means,
    share_limits,
    wald_limits,
)

EYE = np.eye(2)


def corpus(n: int = 1000, right: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random(n) < 0.3).astype(int)
    label = np.where(rng.random(n) < right, truth, 1 - truth)
    return truth, label


def test_all_texts_read_give_the_share_itself() -> None:
    truth, _ = corpus(100)
    p = np.full((100, 2), 0.5)
    means = prediction_powered_means(parts_of(EYE, truth, p, np.ones(100)), p.mean(axis=0), 100, 1.0)
    assert means.value[1] == pytest.approx(truth.mean()) and means.variance == pytest.approx(0)
    low, high = share_limits(means.value, means.variance, 100)
    assert (low, high) == (pytest.approx(means.value), pytest.approx(means.value))


def test_power_0_is_the_weighted_mean_of_the_gold_labels() -> None:
    truth, _ = corpus(50)
    w = np.random.default_rng(1).uniform(5, 20, 50)
    parts = parts_of(EYE, truth, np.full((50, 2), 0.7), w)
    assert prediction_powered_means(parts, np.zeros(2), 1000, 0.0).value[1] == pytest.approx(w @ truth / w.sum())


def test_a_model_that_knows_nothing_has_no_power_and_one_that_knows_all_has_full_power() -> None:
    truth, _ = corpus(200)
    w = np.full(200, 5.0)
    noise = np.random.default_rng(2).random(200)
    useless, perfect = np.column_stack([noise, 1 - noise]), EYE[truth]
    assert best_power(parts_of(EYE, truth, useless, w)) < 0.1
    assert best_power(parts_of(EYE, truth, perfect, w)) == pytest.approx(1)
    assert best_power(parts_of(EYE, truth, np.full((200, 2), 0.5), w)) == 1


@pytest.mark.parametrize("uneven", [False, True])
def test_intervals_hold_and_are_narrower_than_those_of_gold_alone(uneven: bool) -> None:
    truth, label = corpus()
    n, rng = len(truth), np.random.default_rng(3)
    chance = np.where(label == 1, 3.0, 1.0) if uneven else np.ones(n)
    covered, width, of_gold = 0, [], []
    for _ in range(300):
        rows = rng.choice(n, 100, replace=False, p=chance / chance.sum())
        weights = np.zeros(n)
        for stratum in (0, 1) if uneven else ((0, 1),):
            drawn = rows[np.isin(label[rows], stratum)]
            weights[drawn] = np.isin(label, stratum).sum() / len(drawn)
        gold = np.full(n, -1)
        gold[rows] = truth[rows]
        p = expected_by_label(label, gold, weights, rows, 2)
        parts = parts_of(EYE, truth[rows], p[rows], weights[rows])
        means = prediction_powered_means(parts, p.mean(axis=0), n, best_power(parts))
        low, high = share_limits(means.value, means.variance, 100)
        covered += int(low[1] <= truth.mean() <= high[1])
        width.append(high[1] - low[1])
        alone = prediction_powered_means(parts, np.zeros(2), n, 0.0)
        low, high = share_limits(alone.value, alone.variance, 100)
        of_gold.append(high[1] - low[1])
    assert 0.92 <= covered / 300 <= 0.98
    assert np.mean(width) < 0.85 * np.mean(of_gold)


def test_no_error_among_few_gold_labels_is_no_certainty() -> None:
    p = np.tile([0.9, 0.1], (20, 1))
    means = prediction_powered_means(
        parts_of(EYE, np.zeros(20, int), p, np.full(20, 50.0)), np.array([0.9, 0.1]), 1000, 0.0
    )
    low, high = share_limits(means.value, means.variance, 20)
    assert means.value[1] == 0 and low[1] == 0 and 0.05 < high[1] < 0.3


def test_effective_labels() -> None:
    """Of 100 simple random labels among 1,000 texts."""
    assert effective_labels(0.3, 0.21 / 100 * 0.9, 1000) == pytest.approx(100)
    assert np.isnan(effective_labels(0.0, 0.1, 1000))


def test_wald_limits_are_wider_for_few_labels() -> None:
    few, many = (wald_limits(np.array(0.5), np.array(0.01), n) for n in (10, 1000))
    assert few[0] < many[0] < 0.5 < many[1] < few[1]


def test_expected_by_label_leaves_out_the_own_gold_label() -> None:
    labels, gold = np.array([0, 0, 0, 1, 1, -1]), np.array([0, 0, 1, 1, -1, -1])
    rows = np.array([0, 1, 2, 3])
    p = expected_by_label(labels, gold, np.ones(6), rows, 2)
    assert p.sum(axis=1) == pytest.approx(1)
    gold[2] = 0  # its own label changes what is expected of others, not of itself
    other = expected_by_label(labels, gold, np.ones(6), rows, 2)
    assert other[2] == pytest.approx(p[2]) and other[0, 0] > p[0, 0]
