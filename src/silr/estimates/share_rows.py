"""Shares of the classes as rows, from what is known of the gold texts and what is expected of all texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from silr.estimates.result import Row
from silr.stats.prediction_powered import Parts, effective_labels, prediction_powered_means, share_limits


def share_rows(
    class_names: Sequence[str],
    parts: Parts,
    power: float,
    sums: NDArray[np.float64],
    size: int,
    by_hand: NDArray[np.integer] | NDArray[np.float64],
    borrowed: bool = False,
) -> list[Row]:
    """The share of each of K classes in `size` texts.

    `sums` are the expected numbers by class, shape (K,), and `by_hand` those of the texts among them whose gold label
    counts as it is. A `borrowed` correction is that of another corpus: its weights keep their own total.
    """
    open_size = float(size - by_hand.sum())
    if open_size <= 0:
        value = low = high = np.asarray(by_hand / max(size, 1))
        worth = [float("nan")] * len(class_names)
    else:
        total = float(parts.weights.sum()) if borrowed else open_size
        means = prediction_powered_means(parts, (sums - by_hand) / open_size, total, power)
        share = open_size / size
        value = np.clip(share * means.value + by_hand / size, 0, 1)
        variance = share**2 * means.variance
        low, high = share_limits(value, variance, len(parts.weights))
        worth = [effective_labels(float(v), float(var), size) for v, var in zip(value, variance, strict=True)]
    n_gold = len(parts.weights)
    return [
        Row("share", float(value[k]), float(low[k]), float(high[k]), n_gold, None, name, worth=worth[k])
        for k, name in enumerate(class_names)
    ]
