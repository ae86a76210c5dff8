"""The share of right labels among few that were checked, and its interval."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

LEVEL = 0.95

FloatArray = NDArray[np.float64]


class Right(NamedTuple):
    """How many labels were checked, the share of right ones among them, and its 95 % interval."""

    labels: int
    share: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.1%} right ({low:.0%} to {high:.0%}, {self.labels:,} checked)"


def right_share(right: NDArray[np.bool_], weight: NDArray[Any]) -> Right | None:
    """Weighted share of right labels among those that were checked.

    With Jeffreys' interval for Kish's effective number of labels, as in `silr.priors`.

    Parameters
    ----------
    right : bool array of shape (m,)
    weight : array of shape (m,)
        Sampling weights, positive.

    Returns
    -------
    Right
        None if nothing was checked.
    """
    if not len(right):
        return None
    share = float(weight[right].sum() / weight.sum())
    n = weight.sum() ** 2 / (weight @ weight)
    low, high = share_interval(np.array(share), np.array(n), LEVEL)
    return Right(len(right), share, (float(low), float(high)))


def share_interval(share: FloatArray, n: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Jeffreys' interval of a share among n labels, one-sided and exact where they agree; a point for infinite n.

    See `silr.priors.priors_from_gold` for the sources.
    """
    alpha, known = 1 - level, np.isinf(n)
    n = np.where(known, 1, n)
    a, b = n * share + 0.5, n * (1 - share) + 0.5
    none, every = share < 1e-9, share > 1 - 1e-9
    with np.errstate(divide="ignore"):
        unanimous = alpha ** (1 / n)
    low = np.where(every, unanimous, np.where(none, 0, betaincinv(a, b, alpha / 2)))
    high = np.where(none, 1 - unanimous, np.where(every, 1, betaincinv(a, b, 1 - alpha / 2)))
    low, high = np.where(n > 0, np.minimum(low, share), 0), np.where(n > 0, np.maximum(high, share), 1)
    return np.where(known, share, low), np.where(known, share, high)
