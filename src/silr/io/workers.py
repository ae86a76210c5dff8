"""Work on the pieces of a table: a worker makes one after the other, and somebody tells how far all are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from silr.io.factories import Factory
from silr.io.pieces import Piece
from silr.io.progress import progress

Missing: TypeAlias = Sequence[tuple[Piece, Path]]
"""Pieces that are to be made, and where."""


class Report(NamedTuple):
    """What a worker says of a piece: lines that the user should read, and what speaks against the result."""

    lines: Sequence[str] = ()
    caution: str | None = None


class Worker(Protocol):
    """Makes pieces; what has to be loaded is loaded once."""

    def __call__(self, piece: Piece, path: Path, advance: Callable[[int], None]) -> Report:
        """Write the new piece by `silr.io.pieces.write_piece`; `advance` takes the number of rows that are done."""


class Watch:
    """How far all pieces are, and what was said of them."""

    def __init__(self, show: Callable[[int, str], None], say: Callable[[str], None], rows: int, pieces: int) -> None:
        self._show, self._say, self._said = show, say, set[str]()
        self._rows, self._pieces, self._done, self._finished = rows, pieces, 0, 0
        self.caution: str | None = None

    def advance(self, rows: int) -> None:
        """Rows are done."""
        self._done += rows
        self._show(rows, self._state())

    def finish(self, report: Report) -> None:
        """A piece is done; lines that were said before are not said again."""
        self._finished += 1
        self._show(0, self._state())
        for line in report.lines:
            if line not in self._said:
                self._said.add(line)
                self._say(line)
        self.caution = report.caution or self.caution

    def _state(self) -> str:
        return f"{self._finished:,} of {self._pieces:,} pieces, {self._done:,} of {self._rows:,} texts"


@contextmanager
def watched(missing: Missing, name: str, *, quiet: bool, say: Callable[[str], None]) -> Iterator[Watch]:
    """Show how far the missing pieces are, with rate and time left; `name` is that of the work."""
    rows = sum(piece.rows for piece, _ in missing)
    with progress(name, rows, "texts", quiet=quiet) as advance:
        yield Watch(lambda done, state: advance(done, done, state), say, rows, len(missing))


def work(missing: Missing, make: Factory[Worker], name: str, *, quiet: bool, say: Callable[[str], None]) -> str | None:
    """Make pieces one after the other by one worker in this process; return what speaks against the result."""
    worker = make()
    with watched(missing, name, quiet=quiet, say=say) as watch:
        for piece, path in missing:
            watch.finish(worker(piece, path, watch.advance))
    return watch.caution
