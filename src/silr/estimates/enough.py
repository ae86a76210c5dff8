"""How many more gold labels bring an interval to a wanted width."""

from __future__ import annotations

import numpy as np

from silr.estimates.result import Row
from silr.stats.prediction_powered import share_limits


def more_labels(row: Row, width: float, texts: int) -> int | None:
    """How many more gold labels a share or accuracy needs for an interval of this width.

    Further labels are thought to be drawn as those so far, and the predictions to stay as good as they are; they get
    better with more gold labels, so it may be fewer. None where nothing is known yet, and 0 if it is narrow enough.

    Parameters
    ----------
    row : Row
        A share or an accuracy.
    width : float
        From the lower to the upper limit, such as 0.05.
    texts : int
        Texts of the corpus, or of the group.
    """
    if row.width <= width:
        return 0
    if row.worth is None or not np.isfinite(row.worth) or row.worth <= 0 or not row.gold:
        return None
    low, high = row.gold, texts  # the first is too few, the second always enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _width(row, middle, texts) <= width else (middle, high)
    return high - row.gold


def _width(row: Row, gold: int, texts: int) -> float:
    """Width with so many gold labels: what each is worth stays the same."""
    assert row.worth is not None
    spread = row.value * (1 - row.value)
    variance = spread * (1 / row.worth - 1 / texts)
    left = (1 / gold - 1 / texts) / max(1 / row.gold - 1 / texts, 1e-300)
    low, high = share_limits(np.array(row.value), np.array(variance * left), gold)
    return float(high - low)
