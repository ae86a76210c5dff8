"""How good labels are: accuracy, precision, recall, F1, kappa and alpha, by the gold labels and what is expected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from silr.estimates.evidence import Codes, Evidence
from silr.estimates.result import Row
from silr.refine.posterior_step import wider_for_other_texts
from silr.stats import confusion
from silr.stats.confusion import Measure
from silr.stats.contrasts import Numbers
from silr.stats.prediction_powered import (
    Parts,
    best_power,
    effective_labels,
    parts_of,
    prediction_powered_means,
    share_limits,
    wald_limits,
)

FEWEST_OF_A_KIND = 2  # right and wrong labels, with which the delta method is trusted


def quality(evidence: Evidence, column: str) -> list[Row]:
    """Measures of one column of labels; of one that is learned from the gold labels, among texts without gold label.

    The confusion matrix is estimated cell by cell, and the variance of a measure is that of its linear approximation
    (delta method).
    """
    K, n = len(evidence.class_names), len(evidence)
    codes = np.where(evidence.labels[column] < 0, K, evidence.labels[column])
    sums = np.stack([np.bincount(codes, weights=p, minlength=K + 1) for p in evidence.expected.T], axis=1)
    by_hand = np.zeros((K + 1, K))
    np.add.at(by_hand, (codes[evidence.known], evidence.gold[evidence.known]), 1.0)
    open_size = n - by_hand.sum()
    rows = evidence.rows
    labels, gold, weights = codes[rows], evidence.gold[rows], evidence.weights[rows]
    p = evidence.expected[rows]
    cells = _cells(labels, gold, p, weights, K)
    power = best_power(cells)
    means = prediction_powered_means(cells, ((sums - by_hand) / open_size).ravel(), open_size, power)
    T = np.maximum((open_size * means.value.reshape(K + 1, K) + by_hand) / n, 0.0)
    T /= T.sum()
    measures: list[tuple[str, str | None, Measure]] = [("accuracy", None, confusion.accuracy(T))]
    for k, name in enumerate(evidence.class_names):
        measures += [
            ("precision", name, confusion.precision(T, k)),
            ("recall", name, confusion.recall(T, k)),
            ("f1", name, confusion.f1(T, k)),
        ]
    measures += [
        ("macro_f1", None, confusion.macro_f1(T)),
        ("kappa", None, confusion.cohen_kappa(T)),
        ("alpha", None, confusion.krippendorff_alpha(T)),
    ]
    slopes = np.stack([measure.slope for _, _, measure in measures], axis=-1)  # (K + 1, K, Q)
    linear = prediction_powered_means(
        parts_of(slopes[labels], gold, p, weights), np.zeros(len(measures)), open_size, power
    )
    variances = linear.variance * (open_size / n) ** 2
    if column in evidence.learned:
        variances = variances * wider_for_other_texts(len(rows), n) ** 2
    most = _Most(evidence.class_names, labels, gold, weights)
    return [
        _row(name, class_name, measure.value, float(variance), len(rows), n, column, most(name, class_name))
        for (name, class_name, measure), variance in zip(measures, variances, strict=True)
    ]


class _Most:
    """How many labels an interval may count on: as many as gold texts bear on it, where these hardly differ.

    Few gold texts of a class may all be right, so that nothing varies, and the delta method would be certain.
    """

    def __init__(self, names: list[str], labels: Codes, gold: Codes, weights: Numbers) -> None:
        self._names, self._labels, self._gold, self._weights = names, labels, gold, weights

    def __call__(self, measure: str, class_name: str | None) -> float:
        if class_name is None:
            bearing, is_right = self._gold >= 0, self._labels == self._gold
        else:
            k = self._names.index(class_name)
            labelled, of_class = self._labels == k, self._gold == k
            bearing = {"precision": labelled, "recall": of_class}.get(measure, labelled | of_class)
            is_right = labelled & of_class
        right = int(is_right.sum())
        if min(right, int(bearing.sum()) - right) >= FEWEST_OF_A_KIND:
            return np.inf
        w = self._weights[bearing]
        return float(w.sum() ** 2 / (w @ w)) if len(w) else 0.0


def _cells(
    labels: NDArray[np.integer], gold: NDArray[np.integer], p: Numbers, weights: Numbers, n_classes: int
) -> Parts:
    """What the gold texts tell of each cell of the confusion matrix, in its order."""
    K, m = n_classes, len(labels)
    at_label = np.eye(K + 1)[labels]
    truth = (at_label[:, :, None] * np.eye(K)[gold][:, None, :]).reshape(m, -1)
    expected = (at_label[:, :, None] * p[:, None, :]).reshape(m, -1)
    return Parts(truth, expected, expected * (1 - expected), weights)


def _row(
    measure: str,
    class_name: str | None,
    value: float,
    variance: float,
    n_gold: int,
    size: int,
    column: str,
    most: float,
) -> Row:
    if not np.isfinite(value):
        note = "it cannot be told: neither labels nor gold labels have this class"
        return Row(measure, value, np.nan, np.nan, n_gold, column, class_name, note=note)
    if measure in ("kappa", "alpha"):
        low, high = wald_limits(np.array(value), np.array(variance), n_gold)
        return Row(measure, value, max(float(low), -1.0), min(float(high), 1.0), n_gold, column, class_name)
    low, high = share_limits(np.array(value), np.array(variance), n_gold, most)
    worth = effective_labels(value, variance, size) if measure == "accuracy" else None
    return Row(measure, value, float(low), float(high), n_gold, column, class_name, worth=worth)
