"""Intervals of shares, such as that of right labels among few that were checked."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from silr.stats.contrasts import Numbers

LEVEL = 0.95
OUT_OF_FOLD = 1.1  # how much wider intervals are, as gold texts are judged by fits without their fold


class Right(NamedTuple):
    """How many labels were checked, the share of right ones among them, and its 95 % interval."""

    labels: int
    share: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.1%} right ({low:.0%} to {high:.0%}, {self.labels:,} checked)"


def right_share(right: NDArray[np.bool_], weight: Numbers) -> Right | None:
    """Weighted share of right labels among m that were checked, from positive sampling weights; None of none.

    With Jeffreys' interval for Kish's effective number of labels, as in `silr.stats.priors`.
    """
    if not len(right):
        return None
    share = float(weight[right].sum() / weight.sum())
    n = weight.sum() ** 2 / (weight @ weight)
    low, high = share_interval(np.array(share), np.array(n), LEVEL)
    return Right(len(right), share, (float(low), float(high)))


def share_interval(share: Numbers, n: Numbers, level: float) -> tuple[Numbers, Numbers]:
    """Jeffreys' interval of a share among n labels, one-sided and exact where they agree; a point for infinite n.

    See `silr.stats.priors.priors_from_gold` for the sources.
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


def wider_out_of_fold(m: int, n: int) -> float:
    """How much wider an interval from m gold labels is that is for the other n - m texts, by fits without their fold.

    The variance of the difference of two independent means is v (1/m + 1/(n - m)), not v/m. Where hardly any of the n
    texts is left, it is for as many new ones.
    """
    return OUT_OF_FOLD * float(np.sqrt(1 + m / max(n - m, m)))


def kish_size(size: NDArray[np.number], total: Numbers, square: NDArray[np.number]) -> Numbers:
    """Simple random labels that those of each set are worth: 0 without gold, infinite if all of it was read.

    From the sets' sizes, and the sums of their weights and of the weights' squares; see
    `silr.stats.priors.priors_from_gold`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(total > 0, size * square / total**2 - 1, np.inf)
        return np.asarray(np.where(excess > 1e-9, size / excess, np.inf))


def mover(weights: Numbers, share: Numbers, low: Numbers, high: Numbers) -> Numbers:
    """Interval of sum_j weights_j share_j from those of independent shares, by MOVER; shape (..., 2)."""
    middle = (weights * share).sum(axis=-1)
    below, above = (np.sqrt((weights**2 * distance**2).sum(axis=-1)) for distance in (share - low, high - share))
    return np.asarray(np.clip(np.stack([middle - below, middle + above], axis=-1), 0, 1))


def paired_standard_error(wins: float, losses: float, n: float) -> float:
    """Standard error of a paired difference of shares, with half a text added to each cell of right and wrong.

    Agresti, Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine
    24, 2005.
    """
    b, c, size = wins + 0.5, losses + 0.5, n + 2
    return float(np.sqrt(max(b + c - (b - c) ** 2 / size, 0.0)) / size)


class Difference(NamedTuple):
    """A difference of two shares of right labels among the same m texts, with its 95 % interval."""

    value: float
    interval: tuple[float, float]
    only_first: int  # texts where the first label alone is right
    only_second: int


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_], weight: Numbers) -> Difference:
    """Weighted share of right labels by one LLM less that by another, (m,) each, from positive sampling weights.

    The interval is Wald's with half a text added to each cell of right and wrong, for Kish's effective number of texts;
    see `paired_standard_error`.
    """
    w = np.asarray(weight, dtype=np.float64) / np.sum(weight)
    wins, losses = first & ~second, second & ~first
    n = float(1 / (w @ w))
    won, lost = float(w[wins].sum()), float(w[losses].sum())
    middle = n * (won - lost) / (n + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * paired_standard_error(n * won, n * lost, n)
    interval = (max(middle - half, -1.0), min(middle + half, 1.0))
    return Difference(won - lost, interval, int(wins.sum()), int(losses.sum()))
