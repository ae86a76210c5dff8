"""Limits of shares where gold labels show hardly any error of the model."""

import numpy as np
import pandas as pd
import pytest

from silr import estimate
from silr.stats.prediction_powered import parts_of
from silr.stats.unseen_errors import allow_for_unseen


def parts(found_true, found, overlooked, other):
    """Gold texts of equal weight; the model finds the rare class in the first `found`."""
    codes = np.r_[np.ones(found_true), np.zeros(found - found_true), np.ones(overlooked), np.zeros(other - overlooked)]
    rare = np.r_[np.full(found, 0.9), np.full(other, 0.01)]
    return parts_of(np.eye(2), codes.astype(int), np.column_stack([1 - rare, rare]), np.full(found + other, 50.0))


def test_no_overlooked_text_allows_for_a_rate_of_them():
    of_gold = parts(8, 10, 0, 190)
    value, limits = np.array([0.96, 0.04]), (np.array([0.955, 0.035]), np.array([0.965, 0.045]))
    low, high = allow_for_unseen(value, limits, of_gold, 10_000)
    rate = 1 - 0.05 ** (1 / 190)  # exact, one-sided
    assert high[1] > 0.04 + 0.95 * rate > limits[1][1] and low[1] == limits[0][1]  # false alarms are seen
    assert low[0] == pytest.approx(1 - high[1]) and high[0] == pytest.approx(1 - low[1])
    seen = parts(8, 10, 2, 190)
    assert np.array_equal(allow_for_unseen(value, limits, seen, 10_000), limits)


def test_the_limit_is_no_farther_than_that_of_gold_alone():
    of_gold = parts(20, 20, 0, 20)
    value, limits = np.array([0.5, 0.5]), (np.array([0.49, 0.49]), np.array([0.51, 0.51]))
    low, high = allow_for_unseen(value, limits, of_gold, 2_000)
    assert 0.33 < low[1] < 0.45 and 0.55 < high[1] < 0.67


def test_gold_labels_of_one_class_leave_doubt():
    llm = np.array(["pos"] * 750 + ["neg"] * 250)
    gold = np.full(1000, None, object)
    gold[np.r_[:24, 750:758]] = "pos"
    result = estimate(pd.DataFrame({"text": [f"text {n}" for n in range(1000)], "llm_label": llm, "gold": gold}))
    shares = {row.class_name: row for row in result.shares}
    assert 0.85 < shares["pos"].low < 0.95 and 25 < shares["pos"].worth < 40
    quality = {row.measure: row for row in result.quality if row.class_name is None}
    assert quality["accuracy"].value == pytest.approx(0.75, abs=0.01)
    assert quality["accuracy"].low < 0.6 and quality["accuracy"].high > 0.86
    assert np.isnan(quality["kappa"].value) and "all gold labels are of one class" in quality["kappa"].note
