"""A worker for tests of a Ray cluster, which its processes import as a part of silr."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from silr.errors import InputError
from silr.io.factories import registered
from silr.io.pieces import Piece, write_piece
from silr.io.workers import Report


@registered
class Upper:
    """Writes texts in capitals; its process is killed in the middle of the piece `killed_in`, once."""

    def __init__(self, killed_in: str, marks: str, refused: str = "") -> None:
        self._killed_in, self._marks, self._refused = killed_in, Path(marks), refused

    def __call__(self, piece: Piece, path: Path, advance: Callable[[int], None]) -> Report:
        if piece.name == self._refused:
            raise InputError(f"{piece.name} cannot be used")
        with (self._marks / f"{piece.name}.{os.getpid()}").open("a") as mark:
            mark.write("x")
        write_piece(self._frames(piece), piece, path, {})
        return Report(("a line",))

    def _frames(self, piece: Piece) -> Iterator[pd.DataFrame]:
        for frame in piece.frames():
            yield frame.assign(upper=frame["text"].str.upper())
        if piece.name == self._killed_in and len(list(self._marks.glob(f"{piece.name}.*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
