"""Which column of a table is probably meant where the one that was looked for is missing."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = {"text": "--text-column", "llm_label": "--label-column"}
ROWS_READ = 200
FEWEST_CHARACTERS = 8  # of a text in the mean
MOST_CLASSES = 50
NO_LABELS = ("llm_score", "llm_confidence", "llm_reason", "gold", "refined_", "id")


def likely_column(frame: pd.DataFrame, name: str, *, texts: bool = False) -> str:
    """Return a hint, to be added to a message, that names the option and the likely column; "" where neither is known.

    `name` is the column that is missing; `texts` tells whether it should have the texts.
    """
    if not texts and not name.startswith("llm_label"):  # of gold labels, ids or the like: no text is meant
        near = get_close_matches(name, list(map(str, frame.columns)), 1)
        return f"; did you mean {near[0]!r}?" if near else ""
    wanted = "llm_label" if name.startswith("llm_label") else "text"
    option = OPTIONS[wanted] if name in OPTIONS else ""
    column = likely_labels(frame) if wanted == "llm_label" else likely_texts(frame)
    if not option:
        return f"; did you mean {column!r}?" if column else ""
    return f"; {option} {column} if that is it" if column else f"; {option} names it"


def likely_texts(frame: pd.DataFrame) -> str | None:
    """The column of the longest texts."""
    lengths = {}
    for name in map(str, frame.columns):
        values = [value for value in _first(frame, name) if isinstance(value, (str, bytes))]
        if values and not name.startswith(("llm_", *NO_LABELS)):
            lengths[name] = sum(map(len, values)) / len(values)
    best = max(lengths, key=lengths.__getitem__, default=None)
    return best if best is not None and lengths[best] >= FEWEST_CHARACTERS else None


def likely_labels(frame: pd.DataFrame) -> str | None:
    """The first column of few values that each occur more than once, those called like labels before others."""
    candidates = []
    for name in map(str, frame.columns):
        values = [str(value) for value in _first(frame, name)]
        several = 2 <= len(set(values)) <= min(MOST_CLASSES, len(values) // 2)
        if several and not name.startswith(NO_LABELS):
            candidates.append(name)
    named = [name for name in candidates if any(word in name.casefold() for word in ("label", "class", "category"))]
    return next(iter(named or candidates), None)


def _first(frame: pd.DataFrame, name: str) -> list[object]:
    return frame[name][:ROWS_READ].dropna().tolist()
