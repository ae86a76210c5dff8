"""Theta, the class prior and the accuracy from weighted counts of gold labels, each with an interval.

The formulas of `silr.stats.priors.priors_from_gold`, for many draws of gold labels at once.
"""

import numpy as np
from numpy.typing import NDArray

from silr.stats.contrasts import Numbers
from silr.stats.gold_weights import collapsed
from silr.stats.intervals import kish_size, mover, share_interval

Codes = NDArray[np.integer]

FEW = 20  # gold labels; sets with fewer are collapsed before they give an interval of the accuracy


def noise_estimates(
    mass: Numbers, square: NDArray[np.number], count: Codes, size: Codes, level: float, smoothing: float
) -> dict[str, Numbers]:
    """All estimates, from sums of weights (..., K, K), squares and counts of gold labels (..., K), and sizes (K,)."""
    K, q, total = len(size), size / size.sum(), mass.sum(axis=-1)
    n = kish_size(size, total, square)[..., None]
    pooled = _pooled_rows(mass, square, q)
    share = np.where(total[..., None] > 0, row_shares(mass, total), pooled)
    own = diagonal(share)[..., None]
    shrink = np.where(n > 0, smoothing / np.maximum(n + smoothing, 1e-300), 1)
    with np.errstate(invalid="ignore"):
        n_pair = np.where(own + share > 0, n * (own + share), 0)
    theta = (1 - shrink) * share + shrink * pooled
    low, high = share_interval(share, n, level)
    R = pair_share(share)
    R_low, R_high = share_interval(R, n_pair, level)
    below, above = (np.hypot(d, d.swapaxes(-1, -2)) for d in (R - R_low, R_high - R))
    signal_interval = signal(R)[..., None] + np.stack([-below, above], axis=-1)
    signal_interval[..., range(K), range(K), :] = 0
    accuracy_interval = _accuracy_interval(mass, square, count, size, level)
    return {
        "theta": theta,
        "class_prior": q @ theta,
        "pseudo_share": q,
        "accuracy": np.clip(diagonal(theta) @ q, accuracy_interval[..., 0], accuracy_interval[..., 1]),
        "signal": signal(pair_share(theta)),
        "theta_interval": np.stack([low, high], axis=-1),
        "class_prior_interval": mover(q, *(each.swapaxes(-1, -2) for each in (share, low, high))),
        "accuracy_interval": accuracy_interval,
        "signal_interval": np.clip(signal_interval, -1, 1),
    }


def _pooled_rows(mass: Numbers, square: NDArray[np.number], q: Numbers) -> Numbers:
    """The row of each set as the gold labels of all sets have it, shape (..., K, K), after Jeffreys' half labels."""
    K, total = len(q), mass.sum(axis=(-1, -2))[..., None]
    n = total**2 / square.sum(axis=-1)[..., None]
    right = (n * diagonal(mass).sum(axis=-1)[..., None] / total + 0.5) / (n + 1)
    shares = ((n * mass.sum(axis=-2) / total + q) / (n + 1))[..., None, :]
    others = shares * (1 - np.eye(K))
    rest = others.sum(axis=-1, keepdims=True)
    others = np.where(rest > 0, others / np.where(rest > 0, rest, 1), (1 - np.eye(K)) / (K - 1))
    return np.asarray(right[..., None] * np.eye(K) + (1 - right[..., None]) * others)


def _accuracy_interval(mass: Numbers, square: NDArray[np.number], count: Codes, size: Codes, level: float) -> Numbers:
    """Interval of the accuracy, shape (..., 2), from sets of which those with few gold labels are collapsed."""
    group = np.empty(count.shape, np.int64)
    group[...] = np.arange(len(size))
    for place in np.argwhere(((count < FEW) & (size > 0)).any(axis=-1)).tolist():
        group[tuple(place)] = collapsed(size, count[tuple(place)], FEW)
    member = np.eye(len(size))[group].swapaxes(-1, -2)
    own, total, squares = (
        np.einsum("...gj,...j->...g", member, each) for each in (diagonal(mass), mass.sum(axis=-1), square)
    )
    sizes = member @ size
    share = np.where(total > 0, own / np.where(total > 0, total, 1), 0)
    low, high = share_interval(share, kish_size(sizes, total, squares), level)
    return mover(sizes / size.sum(), share, low, high)


def count_table(labels: Codes, truth: Codes, n_classes: int, weight: Numbers | None = None) -> Numbers:
    """Weight, or number, of the texts with each pseudo-label (row) and class (column)."""
    cells = np.bincount(labels.astype(np.int64) * n_classes + truth, weight, n_classes**2)
    return np.asarray(cells.reshape(n_classes, n_classes))


def row_shares(mass: Numbers, total: Numbers) -> Numbers:
    """Rows divided by their totals; an empty row becomes even."""
    total = total[..., None]
    return np.where(total > 0, mass / np.where(total > 0, total, 1), 1 / mass.shape[-1])


def pair_share(theta: Numbers) -> Numbers:
    """R_kj, among the texts of U_k that are truly k or j the share of k; 1/2 if there are none."""
    own = diagonal(theta)[..., None]
    return np.where(own + theta > 0, own / np.where(own + theta > 0, own + theta, 1), 0.5)


def signal(R: Numbers) -> Numbers:
    return R + R.swapaxes(-1, -2) - 1  # share of k inside U_k, R_kj, minus that inside U_j, 1 - R_jk


def diagonal(tables: Numbers) -> Numbers:
    return np.diagonal(tables, axis1=-2, axis2=-1)
