"""Measures of labels as functions of their confusion matrix, with derivatives for the delta method.

A confusion matrix T has shape (K + 1, K): T_ab is the share of texts with label a and true class b, where row K is of
texts without label. A missing label is wrong. Kappa and alpha are of the texts with a label.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from silr.stats.contrasts import Numbers


class Measure(NamedTuple):
    """A measure and its derivatives by the cells of T."""

    value: float  # NaN where it is undefined (0 / 0)
    slope: Numbers  # shape (K + 1, K)


def accuracy(T: Numbers) -> Measure:
    """Share of right labels."""
    slope = np.eye(*T.shape)
    return Measure(float((slope * T).sum()), slope)


def precision(T: Numbers, k: int) -> Measure:
    """Share of class k among texts with label k."""
    return _ratio(T, k, by_label=1.0, by_class=0.0)


def recall(T: Numbers, k: int) -> Measure:
    """Share of label k among texts of class k."""
    return _ratio(T, k, by_label=0.0, by_class=1.0)


def f1(T: Numbers, k: int) -> Measure:
    """Harmonic mean of precision and recall."""
    return _ratio(T, k, by_label=0.5, by_class=0.5)


def macro_f1(T: Numbers) -> Measure:
    """Mean of F1 over the classes that occur."""
    each = [measure for measure in (f1(T, k) for k in range(T.shape[1])) if np.isfinite(measure.value)]
    if not each:
        return _undefined(T)
    return Measure(
        float(np.mean([measure.value for measure in each])), np.mean([measure.slope for measure in each], axis=0)
    )


def cohen_kappa(T: Numbers) -> Measure:
    """Cohen's kappa of labels and truth (Educational and Psychological Measurement 20, 1960)."""
    S, total = _with_label(T)
    by_label, by_class = S.sum(axis=1), S.sum(axis=0)
    observed, chance = float(np.trace(S)), float(by_label @ by_class)
    if not 1 - chance > 1e-12:
        return _undefined(T)
    of_chance = by_class[:, None] + by_label[None, :]
    slope = (np.eye(len(S)) * (1 - chance) - of_chance * (1 - observed)) / (1 - chance) ** 2
    return Measure((observed - chance) / (1 - chance), _by_cells(slope, S, total))


def krippendorff_alpha(T: Numbers) -> Measure:
    """Krippendorff's alpha of labels and truth, two coders with nominal values, for a large number of texts.

    Krippendorff, "Content analysis", 4th edition, 2018, chapter 12.
    """
    S, total = _with_label(T)
    shares = (S.sum(axis=1) + S.sum(axis=0)) / 2
    observed, expected = 1 - float(np.trace(S)), 1 - float(shares @ shares)
    if not expected > 1e-12:
        return _undefined(T)
    slope = (np.eye(len(S)) * expected - observed * (shares[:, None] + shares[None, :])) / expected**2
    return Measure(1 - observed / expected, _by_cells(slope, S, total))


def _ratio(T: Numbers, k: int, by_label: float, by_class: float) -> Measure:
    below = by_label * T[k].sum() + by_class * T[:, k].sum()
    if not below > 1e-12:
        return _undefined(T)
    value = T[k, k] / below
    slope = np.zeros(T.shape)
    slope[k] -= value * by_label
    slope[:, k] -= value * by_class
    slope[k, k] += 1
    return Measure(float(value), slope / below)


def _with_label(T: Numbers) -> tuple[Numbers, float]:
    total = float(T[:-1].sum())
    return T[:-1] / max(total, 1e-300), total


def _by_cells(slope: Numbers, S: Numbers, total: float) -> Numbers:
    """Derivatives by T of a function of S = T / total."""
    inner = (slope - (slope * S).sum()) / max(total, 1e-300)
    return np.vstack([inner, np.zeros(S.shape[1])])


def _undefined(T: Numbers) -> Measure:
    return Measure(float("nan"), np.zeros(T.shape))
