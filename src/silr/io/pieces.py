"""Tables in pieces: a folder or a glob of parquet files, read and written one file at a time.

A table that is larger than memory comes as such a folder. What a command makes of it is a folder of as many pieces
with the same names, each with all its columns, and each there as a whole or not at all.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from silr.errors import InputError
from silr.io.files import atomic_write, make_folder
from silr.io.resumable import Kind, resumable
from silr.io.tables import arrow_table, decoded_frame

if TYPE_CHECKING:
    import pandas as pd

SUFFIX = ".parquet"
MADE_FROM = b"silr"  # in the footer of a finished piece: the key of what it was made from
FOLDER = Kind(
    manifest="_silr.json",  # readers of such folders pass over names that begin with "_"
    lock="_silr.lock",
    busy="another process writes {}",
    other="was made in another way ({}); give a new folder",
    foreign="holds other files",
    noun="folder",
)


class Piece(NamedTuple):
    """One file of a table in pieces."""

    path: Path
    name: str  # below the folder, such as "part-00000.parquet" or "year=2024/a.parquet"
    start: int  # rows of the pieces before
    rows: int
    key: str  # of its footer, which differs between files with other rows


@dataclass(frozen=True)
class Pieces:
    """A table in pieces, in the order of their names."""

    source: str
    pieces: list[Piece]
    columns: list[str]

    def __len__(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The pieces one after the other, with some columns only."""
        return (read_piece(piece.path, columns) for piece in self.pieces)


def is_in_pieces(path: str | Path) -> bool:
    """Whether a path is that of a table in pieces: a folder, or a glob such as "texts/*.parquet"."""
    return Path(path).is_dir() or (glob.has_magic(str(path)) and not Path(path).exists())


def open_pieces(path: str | Path) -> Pieces:
    """Open a folder or a glob of parquet files; only their footers are read.

    Raises InputError if there are none, one is broken (the message names it), two have other columns, or there is no
    row at all.
    """
    folder, pattern = Path(path), f"**/*{SUFFIX}"
    if not folder.is_dir():
        parts = folder.parts
        at = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
        folder, pattern = Path(*parts[:at]), "/".join(parts[at:])
    names = {file: file.relative_to(folder).as_posix() for file in folder.glob(pattern) if file.is_file()}
    names = {file: name for file, name in names.items() if not any(part[0] in "._" for part in name.split("/"))}
    if not names:
        raise InputError(f"{path} has no {SUFFIX} files")
    if other := next((name for name in names.values() if not name.endswith(SUFFIX)), None):
        raise InputError(f"{path}: {other} is no {SUFFIX} file; tables in pieces are folders or globs of those")
    pieces, first, start = [], None, 0
    for file, name in sorted(names.items(), key=lambda item: item[1]):
        schema, rows, key = _footer(file)
        if first is None:
            first = (name, schema)
        elif words := _differences(first[1], schema):
            raise InputError(f"{path}: {first[0]} and {name} differ, {words}; all pieces need the same columns")
        pieces.append(Piece(file, name, start, rows, key))
        start += rows
    if not start:
        raise InputError(f"{path} has no rows")
    assert first is not None
    return Pieces(str(path), pieces, list(first[1]))


def read_piece(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """One piece as `silr.io.tables.read_table` gives it, with some columns only; it may have no rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not an intact parquet file; make this piece again") from error
    return decoded_frame(table)


def each_piece(
    source: Pieces, output: str | Path, settings: object, run: Callable[[Sequence[tuple[Piece, Path]]], None]
) -> int:
    """Make the pieces of `output` that are not there yet, and count those that were.

    `settings` are all that decides the rows beside the piece itself, as JSON values. `run` gets the missing pieces,
    with the path of each new one, and calls `write_piece` for each, in any order and in any process.

    Raises InputError if the folder holds something else, or was made with other settings.
    """
    folder = Path(output)
    with resumable(folder, FOLDER, settings):
        settled = json.dumps(settings, sort_keys=True)
        wanted = [(piece, folder / piece.name) for piece in source.pieces]
        missing = [(piece, path) for piece, path in wanted if _made_from(path) != _key(piece, settled)]
        if missing:
            run(missing)
        return len(wanted) - len(missing)


def write_piece(frame: pd.DataFrame, piece: Piece, path: Path, settings: object) -> None:
    """Write a finished piece, atomically; its footer says what it was made from."""
    import pyarrow.parquet as pq

    make_folder(path.parent)
    table = arrow_table(frame, path)
    key = _key(piece, json.dumps(settings, sort_keys=True))
    with atomic_write(path) as file:
        pq.write_table(table.replace_schema_metadata({MADE_FROM: key.encode()}), file)


def _key(piece: Piece, settings: str) -> str:
    return blake2b(f"{piece.name} {piece.key} {settings}".encode(), digest_size=16).hexdigest()


def _made_from(path: Path) -> str | None:
    """The key in the footer of a finished piece; None if it is not there, or not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return None
    return str(metadata[MADE_FROM].decode()) if MADE_FROM in metadata else None


def _footer(path: Path) -> tuple[dict[str, Any], int, str]:
    """Column types, rows, and a key of the footer, which holds the sizes and bounds of all columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            metadata = pq.read_metadata(file)
            file.seek(-8, 2)
            size = int.from_bytes(file.read(4), "little")
            file.seek(-8 - size, 2)
            footer = file.read(size)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not an intact parquet file; make this piece again") from error
    schema = metadata.schema.to_arrow_schema()
    types = {name: schema.field(name).type for name in schema.names}
    return types, metadata.num_rows, blake2b(footer, digest_size=16).hexdigest()


def _differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    import pyarrow as pa

    for name in [*one, *(name for name in other if name not in one)]:
        if name not in one or name not in other:
            return f"only one of them has the column {name!r}"
        if one[name] != other[name] and pa.null() not in (one[name], other[name]):
            return f"the column {name!r} is of type {one[name]} in one and {other[name]} in the other"
    return ""
