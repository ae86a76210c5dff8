"""What the LLM said beside its labels: how sure it is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from silr.io.annotator_columns import CONFIDENCE, REASON
from silr.io.cells import is_missing
from silr.io.corpus import LABEL
from silr.io.pieced_table import Frame, PiecedColumn, PiecedTable
from silr.io.words import percent, short

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 300


def said_lines(frame: Frame, label_columns: Sequence[str]) -> Sequence[str] | None:
    """A line for each row, "" where nothing was said; None for several LLMs, or a table without such columns."""
    if len(label_columns) != 1 or not label_columns[0].startswith(LABEL):
        return None
    names = [f"{name}{label_columns[0].removeprefix(LABEL)}" for name in (CONFIDENCE, REASON)]
    if not any(name in frame.columns for name in names):
        return None

    def lines(part: pd.DataFrame, start: int = 0) -> list[str]:
        nothing = [None] * len(part)
        columns = [part[name].tolist() if name in part.columns else nothing for name in names]
        return [_line(confidence, reason) for confidence, reason in zip(*columns, strict=True)]

    if isinstance(frame, PiecedTable):
        return PiecedColumn(frame.pieces, [name for name in names if name in frame.columns], lines)
    return lines(frame)


def _line(confidence: object, reason: object) -> str:
    parts = []
    with suppress(TypeError, ValueError):
        if not is_missing(confidence) and 0 <= (share := float(str(confidence))) <= 1:
            parts.append(f"{percent(share, 0)} sure")
    if not is_missing(reason) and str(reason).strip():
        parts.append(short(reason, _LONGEST))
    return ": ".join(parts)
