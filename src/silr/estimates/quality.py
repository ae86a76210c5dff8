"""How good labels are: accuracy, precision, recall, F1, kappa and alpha, by the gold labels and what is expected."""

from __future__ import annotations

from typing import NamedTuple

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
    measures: list[tuple[str, int | None, Measure]] = [("accuracy", None, confusion.accuracy(T))]
    for k in range(K):
        measures += [
            ("precision", k, confusion.precision(T, k)),
            ("recall", k, confusion.recall(T, k)),
            ("f1", k, confusion.f1(T, k)),
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
    known = evidence.accuracies.get(column)
    estimates = [
        _row(name, k, measure.value, float(variance), n, evidence, column)
        for (name, k, measure), variance in zip(measures, variances, strict=True)
    ]
    if known is not None:
        low, high = known.interval
        estimates[0] = Row("accuracy", known.value, low, high, len(rows), column)
    return estimates


class _Checked(NamedTuple):
    """The gold texts that bear on a measure, of which few may all be right: then the delta method would be certain."""

    labels: float  # Kish's effective number
    right: int
    wrong: int
    one_class: bool  # all gold texts are of one class

    @classmethod
    def of(cls, measure: str, k: int | None, labels: Codes, gold: Codes, weights: Numbers) -> _Checked:
        if k is None:
            bearing, is_right = gold >= 0, labels == gold
        else:
            labelled, of_class = labels == k, gold == k
            fewer = labelled if labelled.sum() < of_class.sum() else of_class
            bearing = {"precision": labelled, "recall": of_class}.get(measure, fewer)
            is_right = labelled & of_class
        w, right = weights[bearing], int(is_right.sum())
        size = float(w.sum() ** 2 / (w @ w)) if len(w) else 0.0
        return cls(size, right, int(bearing.sum()) - right, len(np.unique(gold)) == 1)

    @property
    def most(self) -> float:
        """How many labels an interval may count on: no more than these, where they hardly differ."""
        differ = min(self.right, self.wrong) >= FEWEST_OF_A_KIND and not self.one_class
        return np.inf if differ else self.labels


def _cells(
    labels: NDArray[np.integer], gold: NDArray[np.integer], p: Numbers, weights: Numbers, n_classes: int
) -> Parts:
    """What the gold texts tell of each cell of the confusion matrix, in its order."""
    K, m = n_classes, len(labels)
    at_label = np.eye(K + 1)[labels]
    truth = (at_label[:, :, None] * np.eye(K)[gold][:, None, :]).reshape(m, -1)
    expected = (at_label[:, :, None] * p[:, None, :]).reshape(m, -1)
    return Parts(truth, expected, expected * (1 - expected), weights)


def _row(measure: str, k: int | None, value: float, variance: float, size: int, evidence: Evidence, column: str) -> Row:
    rows = evidence.rows
    class_name, n_gold = None if k is None else evidence.class_names[k], len(rows)
    if not np.isfinite(value):
        note = "it cannot be told: neither labels nor gold labels have this class"
        return Row(measure, value, np.nan, np.nan, n_gold, column, class_name, note=note)
    checked = _Checked.of(measure, k, evidence.labels[column][rows], evidence.gold[rows], evidence.weights[rows])
    if measure in ("macro_f1", "kappa", "alpha") and checked.one_class:
        note = "it cannot be told: all gold labels are of one class"
        return Row(measure, np.nan, np.nan, np.nan, n_gold, column, class_name, note=note)
    if measure in ("kappa", "alpha"):
        low, high = wald_limits(np.array(value), np.array(variance), n_gold)
        return Row(measure, value, max(float(low), -1.0), min(float(high), 1.0), n_gold, column, class_name)
    low, high = share_limits(np.array(value), np.array(variance), n_gold, checked.most)
    if measure in ("precision", "recall", "accuracy"):  # what was never seen may be all there is
        low, high = low if checked.right else np.array(0.0), high if checked.wrong else np.array(1.0)
    counts = measure == "accuracy" and np.isinf(checked.most)
    worth = effective_labels(value, variance, size) if counts else None
    return Row(measure, value, float(low), float(high), n_gold, column, class_name, worth=worth)
