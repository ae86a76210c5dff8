"""How many more gold labels bring an interval to a wanted width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from silr.errors import InputError
from silr.stats.prediction_powered import share_limits

WIDTH = 0.05  # of the widest share interval, where nobody says another


class Share(Protocol):
    """What this file reads of a `silr.estimates.result.Row`."""

    @property
    def value(self) -> float:
        """A share, or an accuracy."""

    @property
    def width(self) -> float:
        """Of its interval."""

    @property
    def gold(self) -> int:
        """Gold labels that judge it."""

    @property
    def worth(self) -> float | None:
        """Simple random gold labels that would know as much."""


def checked_width(width: float, name: str = "width") -> float:
    """The width of an interval of a share that somebody wants; InputError if it is none. `name` is of the option."""
    if not 0 < width < 1:
        hint = f"; for {width:g} points give {width / 100:g}" if 1 < width < 100 else ""
        raise InputError(f"{name} is the width of an interval of a share: above 0 and below 1, not {width:g}{hint}")
    return width


def points(width: float) -> str:
    """A width in percentage points: "5", "4.9"."""
    return f"{100 * width:.1f}".removesuffix(".0")


def more_words(more: int, width: float, of: str = "the widest share interval") -> str:
    """How many labels are missing, as a sentence without its end."""
    labels = "1 more gold label" if more == 1 else f"about {more:,} more gold labels"
    return f"{labels} would bring {of} to {points(width)} points"


def more_labels(row: Share, width: float, texts: int) -> int | None:
    """How many more gold labels a share or accuracy needs for an interval of this width.

    Further labels are thought to be drawn as those so far, and the predictions to stay as good as they are; they get
    better with more gold labels, so it may be fewer. None where nothing is known yet, and 0 if it is narrow enough.

    Parameters
    ----------
    row : Share
        A row of `silr.estimate`: a share or an accuracy.
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


def more_for_all(rows: Sequence[Share], width: float, texts: int) -> int | None:
    """How many more gold labels all of these rows need; None if that is not known of one that is too wide."""
    counts = [more_labels(row, width, texts) for row in rows]
    known = [count for count in counts if count is not None]
    return max(known, default=None) if len(known) == len(counts) else None


def _width(row: Share, gold: int, texts: int) -> float:
    """Width with so many gold labels: what each is worth stays the same."""
    assert row.worth is not None
    spread = row.value * (1 - row.value)
    variance = spread * (1 / row.worth - 1 / texts)
    left = (1 / gold - 1 / texts) / max(1 / row.gold - 1 / texts, 1e-300)
    low, high = share_limits(np.array(row.value), np.array(variance * left), gold)
    return float(high - low)
