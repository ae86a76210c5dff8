"""Shares of the classes as rows, from what is known of the gold texts and what is expected of all texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from silr.estimates.result import Row
from silr.stats.prediction_powered import (
    Parts,
    prediction_powered_means,
    share_limits,
    simple_random_labels,
)
from silr.stats.unseen_errors import allow_for_unseen


def share_rows(
    class_names: Sequence[str],
    parts: Parts,
    power: float,
    sums: NDArray[np.float64],
    size: int,
    by_hand: NDArray[np.integer] | NDArray[np.float64],
    borrowed: bool = False,
    in_all: bool = False,
) -> list[Row]:
    """The share of each of K classes in `size` texts.

    `sums` are the expected numbers by class, shape (K,), and `by_hand` those of the texts among them whose gold label
    counts as it is. A `borrowed` correction is that of another corpus: its weights keep their own total. Limits of
    shares `in_all` texts allow for errors that no gold label shows; in groups, which have fewer gold labels, they would
    be too wide.
    """
    open_size, n_gold = float(size - by_hand.sum()), len(parts.weights)
    if open_size <= 0:
        value = low = high = np.asarray(by_hand / max(size, 1))
        worth = [float("nan")] * len(class_names)
    else:
        total = float(parts.weights.sum()) if borrowed else open_size
        means = prediction_powered_means(parts, (sums - by_hand) / open_size, total, power)
        share = open_size / size
        value = np.clip(share * means.value + by_hand / size, 0, 1)
        variance = share**2 * means.variance
        limits = share_limits(value, variance, n_gold)
        low, high = allow_for_unseen(value, limits, parts, size) if in_all else limits
        with np.errstate(divide="ignore", invalid="ignore"):  # nothing is worth anything where all texts have gold
            narrower = np.where(high - low > 0, (limits[1] - limits[0]) / (high - low), 1.0)
            worth = list(1 / (1 / (simple_random_labels(value, variance, n_gold) * narrower**2) + 1 / size))
    return [
        Row("share", float(value[k]), float(low[k]), float(high[k]), n_gold, None, name, worth=float(worth[k]))
        for k, name in enumerate(class_names)
    ]
