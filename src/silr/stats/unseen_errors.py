"""Limits of shares that allow for errors of the model that no gold label shows.

Where gold labels show hardly any error of one kind, the variance of a prediction-powered estimate is near 0, and so is
the width of its interval. That few texts without an error still allow for a rate of errors: of m texts, one near 3 / m.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from silr.stats.contrasts import Numbers
from silr.stats.intervals import LEVEL, share_interval
from silr.stats.prediction_powered import Parts

FEWEST_ERRORS = 2  # of a kind among the gold labels, from which on their variance is trusted


def allow_for_unseen(
    value: Numbers, limits: tuple[Numbers, Numbers], parts: Parts, size: float
) -> tuple[Numbers, Numbers]:
    """Limits of Q shares of `size` texts, each of shape (Q,), widened where gold labels show too few errors.

    The gold texts fall into two sets: the model finds the class in a text with a higher probability than the mean, or
    not. The rate of the class in a set has Jeffreys' interval. If the gold labels overlook hardly any of the class, the
    upper limit is at least as far from the value as those of the sets are together (MOVER: Zou, Donner, "Construction
    of confidence limits about effect measures", Statistics in Medicine 27, 2008), or as the one of gold labels alone,
    whichever is nearer. False alarms decide on the lower limit in the same way.
    """
    w, (low, high) = parts.weights, limits
    found, true = parts.expected > w @ parts.expected / w.sum(), parts.truth > 0.5
    false_alarms, overlooked = (found & ~true).sum(axis=0), (~found & true).sum(axis=0)
    below, above = _of_sets(w, found, true)
    alone = _kish(w, np.ones_like(found))
    alone_low, alone_high = share_interval(value, alone / np.maximum(1 - alone / size, 1e-9), LEVEL)
    low = np.where(false_alarms < FEWEST_ERRORS, np.minimum(low, np.maximum(value - below, alone_low)), low)
    high = np.where(overlooked < FEWEST_ERRORS, np.maximum(high, np.minimum(value + above, alone_high)), high)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def _of_sets(w: Numbers, found: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """How far the two limits are from the estimate, by the rates of the class in both sets, each of shape (Q,)."""
    below, above = np.zeros(found.shape[1]), np.zeros(found.shape[1])
    for inside in (found, ~found):
        total, labels = w @ inside, _kish(w, inside)
        rate = np.divide(w @ (inside & true), total, out=np.zeros_like(total), where=total > 0)
        low, high = share_interval(rate, labels, LEVEL)
        below += (total / w.sum() * (rate - low)) ** 2
        above += (total / w.sum() * (high - rate)) ** 2
    return np.sqrt(below), np.sqrt(above)


def _kish(w: Numbers, inside: NDArray[np.bool_]) -> Numbers:
    """Effective number of labels in a set, shape (Q,)."""
    square = w**2 @ inside
    return np.divide((w @ inside) ** 2, square, out=np.zeros_like(square), where=square > 0)
