"""Tables in pieces, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from silr.io.pieces import open_pieces, read_piece
from silr.io.tables import write_table


def in_pieces(frame: pd.DataFrame, folder: Path, cuts: Sequence[int]) -> Path:
    """Write a table as ``part-0.parquet``, ``part-1.parquet`` and so on, cut before these rows."""
    folder.mkdir()
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(frame)], strict=True)):
        write_table(frame.iloc[start:stop], folder / f"part-{number}.parquet")
    return folder


def joined(folder: Path) -> pd.DataFrame:
    """All rows of a table in pieces."""
    pieces = [read_piece(piece.path) for piece in open_pieces(folder).pieces]
    return pd.concat([piece for piece in pieces if len(piece)], ignore_index=True)
