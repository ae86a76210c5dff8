"""Prediction-powered means: what a model predicts of all texts, corrected by the gold labels of a few.

Each quantity is a mean over N texts. A text adds a number that depends on its class: 1 for one class and 0 for the
others, if the quantity is the share of that class. The model's class probabilities say what to expect of each text. The
gold labels say how far that is wrong.

    theta = power * mean of z over all texts + (1 / N) sum over gold texts of w_i (u_i - power * z_i)

u_i is what the gold label adds, z_i what the model expects, and w_i for how many texts the gold label speaks. The
estimate is right however wrong the model is. The power, from 0 to 1, says how far the model is used: 0 gives the
weighted mean of the gold labels alone.

References
----------
Angelopoulos, Duchi, Zrnic, "PPI++: efficient prediction-powered inference", 2023 (arXiv 2311.01453): power tuning.
Zrnic, Candès, "Cross-prediction-powered inference", PNAS 121, 2024: a model that gold labels trained.
Särndal, Swensson, Wretman, "Model assisted survey sampling", 1992, chapter 6: the difference estimator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from silr.stats.contrasts import Numbers
from silr.stats.intervals import LEVEL, share_interval

NONE_OR_ALL = (
    0.5  # a share is taken as none or all where fewer gold labels than this are expected of it, or of the rest
)
MODEL_LABELS = 2.0  # gold labels that the model's own word on its errors is worth, in a variance


class Parts(NamedTuple):
    """What is known of Q quantities at the m gold texts that judge."""

    truth: Numbers  # u, shape (m, Q)
    expected: Numbers  # z, shape (m, Q); from fits that did not know the gold label of the text
    spread: Numbers  # variance of u if the model is right, shape (m, Q)
    weights: Numbers  # w, shape (m,), positive


class Means(NamedTuple):
    """Q estimates."""

    value: Numbers  # shape (Q,)
    variance: Numbers  # shape (Q,)
    n_gold: int


def parts_of(contributions: Numbers, codes: NDArray[np.integer], probabilities: Numbers, weights: Numbers) -> Parts:
    """What m gold texts with classes `codes` tell of Q quantities.

    `contributions`, shape (m, K, Q) or (K, Q), are what a text adds if it is of each class; `probabilities` (m, K).
    """
    V = np.broadcast_to(contributions, (len(codes), *contributions.shape[-2:]))
    truth = V[np.arange(len(codes)), codes]
    expected = np.einsum("mk,mkq->mq", probabilities, V)
    square = np.einsum("mk,mkq->mq", probabilities, V**2)
    return Parts(truth, expected, np.maximum(square - expected**2, 0.0), weights)


def best_power(parts: Parts) -> float:
    """The power that makes the variances of the quantities smallest in sum, between 0 and 1."""
    size = parts.weights.sum()
    a = _factors(parts.weights, size)
    truth, expected = (_centred(each, parts.weights) for each in (parts.truth, parts.expected))
    variance = float(a @ (expected**2).sum(axis=1))
    if variance <= 0:
        return 1.0
    return float(np.clip(a @ (truth * expected).sum(axis=1) / variance, 0.0, 1.0))


def prediction_powered_means(parts: Parts, expected_mean: Numbers, size: float, power: float) -> Means:
    """Estimate Q means over `size` texts.

    The weights are scaled to sum to `size`. `expected_mean`, shape (Q,), is the mean of z over all of the texts. With
    e_i = u_i - power z_i less its weighted mean, the variance is ``m / (m - 1) sum w_i (w_i - 1) e_i^2 / size^2``,
    as of independent draws from this corpus. What the model expects of the e_i^2 counts as `MODEL_LABELS` further gold
    labels: few gold labels may happen to have no error at all.
    """
    m = len(parts.weights)
    w = parts.weights * (size / parts.weights.sum())
    errors = parts.truth - power * parts.expected
    correction = w @ errors / size
    spread = parts.spread + (1 - power) ** 2 * _centred(parts.expected, w) ** 2
    a = _factors(w, size)
    seen = a @ (errors - correction) ** 2 * (m / max(m - 1, 1))
    variance = (m * seen + MODEL_LABELS * (a @ spread)) / (m + MODEL_LABELS)
    return Means(power * expected_mean + correction, variance / size**2, m)


def _factors(weights: Numbers, size: float) -> Numbers:
    w = weights * (size / weights.sum())
    return np.asarray(w * np.maximum(w - 1, 0.0))


def _centred(values: Numbers, weights: Numbers) -> Numbers:
    return np.asarray(values - weights @ values / weights.sum())


def share_limits(
    share: Numbers, variance: Numbers, n_gold: int, most: Numbers | float = np.inf
) -> tuple[Numbers, Numbers]:
    """95 % interval of estimates between 0 and 1: Jeffreys', for the simple random labels that would know as much.

    The number of labels is made smaller by the square of the ratio of the quantiles of Student's and the normal
    distribution, since the variance is estimated. It is at most `most`. Korn, Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998.
    """
    n = np.minimum(simple_random_labels(share, variance, n_gold), most)
    return share_interval(np.clip(share, 0.0, 1.0), n / _student(n_gold) ** 2, LEVEL)


def simple_random_labels(share: Numbers, variance: Numbers, n_gold: int) -> Numbers:
    """How many labels, drawn at random from an endless corpus, would know a share with this variance.

    Of a share that is none or all as far as the gold labels tell: at least as many as there are.
    """
    value = np.clip(share, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(variance > 0, value * (1 - value) / variance, np.inf)
    none_or_all = np.minimum(value, 1 - value) * n_gold < NONE_OR_ALL
    return np.asarray(np.where((variance > 0) & none_or_all, np.maximum(n, n_gold), n))


def wald_limits(value: Numbers, variance: Numbers, n_gold: int) -> tuple[Numbers, Numbers]:
    """95 % interval of any estimate: so many standard errors on each side, by Student's distribution."""
    half = 1.959964 * _student(n_gold) * np.sqrt(variance)
    return np.asarray(value - half), np.asarray(value + half)


def _student(n_gold: int) -> float:
    """Ratio of the quantiles of Student's distribution and the normal one."""
    return float(stdtrit(max(n_gold - 1, 1), (1 + LEVEL) / 2) / 1.959964)


def effective_labels(share: float, variance: float, size: float) -> float:
    """How many simple random labels of a corpus of `size` texts would know a share with this variance."""
    spread = share * (1 - share)
    if spread <= 0 or variance < 0:
        return float("nan")
    return float(min(spread / (variance + spread / size), size))
