"""Measures of a confusion matrix: their values by scikit-learn and by hand, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, precision_recall_fscore_support

from silr.stats import confusion
from silr.stats.confusion import Measure

Function = Callable[[np.ndarray], Measure]


def matrix(labels: np.ndarray, truth: np.ndarray, K: int) -> np.ndarray:
    T = np.zeros((K + 1, K))
    np.add.at(T, (np.where(labels < 0, K, labels), truth), 1 / len(truth))
    return T


def some(missing: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    labels = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 3, 60))
    if missing:
        labels[::7] = -1
    return labels, truth, matrix(labels, truth, 3)


def test_values_are_those_of_scikit_learn() -> None:
    labels, truth, T = some(missing=True)
    assert confusion.accuracy(T).value == pytest.approx(accuracy_score(truth, labels))
    p, r, f, _ = precision_recall_fscore_support(truth, labels, labels=[0, 1, 2], zero_division=0)
    for k in range(3):
        assert confusion.precision(T, k).value == pytest.approx(p[k])
        assert confusion.recall(T, k).value == pytest.approx(r[k])
        assert confusion.f1(T, k).value == pytest.approx(f[k])
    assert confusion.macro_f1(T).value == pytest.approx(f.mean())
    known = labels >= 0
    assert confusion.cohen_kappa(T).value == pytest.approx(cohen_kappa_score(labels[known], truth[known]))


def test_alpha_of_two_coders() -> None:
    """One text in four is disputed, in one direction: Do = 1/4, De = 1 - (5/8)^2 - (3/8)^2."""
    T = matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)
    assert confusion.krippendorff_alpha(T).value == pytest.approx(1 - 0.25 / (1 - 0.625**2 - 0.375**2))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "measure",
    [
        confusion.accuracy,
        lambda T: confusion.precision(T, 1),
        lambda T: confusion.recall(T, 1),
        lambda T: confusion.f1(T, 1),
        confusion.macro_f1,
        confusion.cohen_kappa,
        confusion.krippendorff_alpha,
    ],
)
def test_slopes_are_derivatives(measure: Function, missing: bool) -> None:
    _, _, T = some(missing)
    slope = measure(T).slope
    for cell in np.ndindex(T.shape):
        step = np.zeros(T.shape)
        step[cell] = 1e-6
        assert slope[cell] == pytest.approx((measure(T + step).value - measure(T - step).value) / 2e-6, abs=1e-5)


def test_what_does_not_occur_is_undefined() -> None:
    T = matrix(np.array([0, 0]), np.array([0, 0]), 2)
    for measure in (confusion.precision(T, 1), confusion.recall(T, 1), confusion.f1(T, 1), confusion.cohen_kappa(T)):
        assert np.isnan(measure.value) and not measure.slope.any()
    assert confusion.macro_f1(T).value == 1
