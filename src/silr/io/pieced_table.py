"""A table in pieces as the readers of columns take it: a column at a time, in few bytes a row, and texts as a stream.

`open_table` gives a frame of a table in one file, and a `PiecedTable` of one in pieces. What reads columns takes both:
it uses ``columns``, ``len``, ``[name]`` and ``head``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from silr.io.files import atomic_folder, os_errors
from silr.io.pieces import Piece, Pieces, each_piece, is_in_pieces, open_pieces, write_piece
from silr.io.tables import decoded_frame, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

Frame: TypeAlias = "pd.DataFrame | PiecedTable"
CHANGED = "changed"  # settings of pieces that are always made again, as what they were made from is not known
Cell = TypeVar("Cell")
ReadCells = Callable[["pd.DataFrame", int], list[Cell]]  # takes some rows, and the number of the first
Change = Callable[["pd.DataFrame", slice], None]  # adds columns to some rows; takes which of all rows they are


class PiecedTable:
    """A table in pieces."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces, self.columns = pieces, pieces.columns

    def __len__(self) -> int:
        return len(self.pieces)

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> pd.Series[Any]:
        """A column: strings as categories with codes of 1 to 4 bytes, others as Arrow has them."""
        return _column(name, (_arrow(frame[name]) for frame in self.pieces.frames([name])))

    def head(self, rows: int) -> pd.DataFrame:
        """The first rows of the first piece that has any, with all columns."""
        filled = (frame for frame in self.pieces.frames(self.columns) if len(frame))
        return next(filled).head(rows)


class PiecedColumn(Sequence[Cell]):
    """What some columns of a table in pieces have in each row, such as a text; read whenever it is asked for."""

    def __init__(self, pieces: Pieces, names: Sequence[str], read: ReadCells[Cell]) -> None:
        self.pieces, self.names, self._read = pieces, list(names), read
        self._last: tuple[int, Any] | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Cell]:
        return (cell for part in self.parts() for cell in part)

    def parts(self) -> Iterator[list[Cell]]:
        """All cells in order, some at a time."""
        start = 0
        for frame in self.pieces.frames(self.names):
            yield self._read(frame, start)
            start += len(frame)

    @overload
    def __getitem__(self, place: int) -> Cell: ...
    @overload
    def __getitem__(self, place: slice) -> list[Cell]: ...
    def __getitem__(self, place: int | slice) -> Cell | list[Cell]:
        if isinstance(place, slice):
            return self.at(range(*place.indices(len(self))))
        return self.at([place])[0]

    def at(self, rows: Iterable[int]) -> list[Cell]:
        """The cells of some rows; each group of rows of a file that has any of them is read once."""
        wanted = np.asarray(list(rows), np.int64)
        distinct, places = np.unique(wanted, return_inverse=True)
        if len(distinct) and not 0 <= distinct[0] <= distinct[-1] < len(self):
            raise IndexError(int(distinct[-1]))
        group_of = np.searchsorted(self._starts, distinct, side="right") - 1
        cells: list[Cell] = []
        for number in np.unique(group_of).tolist():
            inside = distinct[group_of == number]
            frame = decoded_frame(self._group(number).take(inside - self._starts[number]))
            cells += self._read(frame, int(inside[0]))
        return [cells[place] for place in places.tolist()]

    def _group(self, number: int) -> Any:
        """The columns in one group of rows, as an Arrow table; the last one that was read is kept."""
        import pyarrow.parquet as pq

        if self._last is None or self._last[0] != number:
            _, piece, group = self._groups[number]
            with pq.ParquetFile(piece.path) as file:
                self._last = number, file.read_row_group(group, columns=self.names)
        return self._last[1]

    @cached_property
    def _groups(self) -> list[tuple[int, Piece, int]]:
        import pyarrow.parquet as pq

        groups = []
        for piece in self.pieces.pieces:
            start, metadata = piece.start, pq.read_metadata(piece.path)
            for group in range(metadata.num_row_groups):
                groups.append((start, piece, group))
                start += metadata.row_group(group).num_rows
        return groups

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _, _ in self._groups]


def open_table(path: str | Path) -> Frame:
    """Read a table, or open one in pieces; InputError as `silr.io.tables.read_table` and `open_pieces`."""
    return PiecedTable(open_pieces(path)) if is_in_pieces(path) else read_table(path)


def cells_at(column: Sequence[Cell], rows: Iterable[int]) -> list[Cell]:
    """Some cells of a column, such as texts."""
    return column.at(rows) if isinstance(column, PiecedColumn) else [column[row] for row in rows]


def pieces_hash(pieces: Pieces) -> str:
    """A SHA-256 of the names and footers of all pieces."""
    return sha256("".join(f"{piece.name} {piece.key}\n" for piece in pieces.pieces).encode()).hexdigest()


def write_changed(frame: Frame, path: Path, change: Change, *, command: str | None = None) -> None:
    """Write a table with columns added, as a file, or in the same pieces as a folder.

    A `frame` in memory is changed itself. The folder takes the place of an earlier one; with a `command` it must be
    new, or one that the same command wrote.
    """
    if not isinstance(frame, PiecedTable):
        change(frame, slice(0, len(frame)))
        write_table(frame, path)
        return

    def write(pieces: Sequence[tuple[Piece, Path]]) -> None:
        for piece, new in pieces:
            write_piece(_changed(piece, change), piece, new, CHANGED)

    if command is not None:
        each_piece(frame.pieces, path, {"command": command}, write)
        return
    with os_errors(f"cannot write {path}"), atomic_folder(path) as draft:
        write([(piece, draft / piece.name) for piece in frame.pieces.pieces])
        shutil.rmtree(path, ignore_errors=True)


def _changed(piece: Piece, change: Change) -> Iterator[pd.DataFrame]:
    start = piece.start
    for frame in piece.frames():
        change(frame, slice(start, start + len(frame)))
        start += len(frame)
        yield frame


def _arrow(series: pd.Series[Any]) -> Any:
    """A column as one Arrow array; of a dictionary its values."""
    import pyarrow as pa

    chunked = series.array.__arrow_array__()
    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
    return pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.array([], chunked.type)


def _column(name: str, parts: Iterable[Any]) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    places: dict[str, int] = {}
    codes: list[NDArray[np.signedinteger[Any]]] = []
    others: list[Any] = []
    for part in parts:
        is_null = pa.types.is_null(part.type)
        if is_null and others:
            others.append(pa.nulls(len(part), others[0].type))
        elif is_null or pa.types.is_string(part.type) or pa.types.is_large_string(part.type):
            codes.append(_codes(part, places))
        else:
            others += [pa.nulls(len(rows), part.type) for rows in codes]  # pieces in which nothing has a value
            codes = []
            others.append(part)
    if not others:
        categories = pd.Index(list(places), dtype=object)
        return pd.Series(pd.Categorical.from_codes(np.concatenate(codes), categories), name=name)
    kind = others[0].type if len({other.type for other in others}) == 1 else pa.float64()
    others = [other.cast(kind) for other in others]
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array(others, kind)), name=name)


def _codes(strings: Any, places: dict[str, int]) -> NDArray[np.signedinteger[Any]]:
    """The place of each string among all so far, -1 where it is missing, in as few bytes as they take."""
    import pyarrow as pa

    if pa.types.is_null(strings.type):
        return np.full(len(strings), -1, np.int8)
    encoded = strings.dictionary_encode()
    local = encoded.dictionary.to_pylist()
    place = np.array([*(places.setdefault(value, len(places)) for value in local), -1], np.int32)
    codes = place[encoded.indices.fill_null(len(local)).to_numpy()]
    return np.asarray(codes.astype(np.min_scalar_type(-len(places) - 1)))
