"""Tables in pieces: a folder or a glob of parquet files, read and written one file at a time.

A table that is larger than memory comes as such a folder. What a command makes of it is a folder of as many pieces
with the same names, each with all its columns, and each there as a whole or not at all. Names such as "year=2024/" are
columns (partitions in the style of Hive): readers have them, and the new pieces keep them in their names.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from silr.errors import InputError
from silr.io.files import atomic_write, make_folder
from silr.io.resumable import Kind, resumable
from silr.io.tables import TABLES, arrow_table, decoded_frame, refuse_repeats

if TYPE_CHECKING:
    import pandas as pd

SUFFIX = ".parquet"
ROWS = 2**14  # of a frame at most: a piece may be larger than memory
INDEX = re.compile(r"__index_level_\d+__")  # what pandas writes for rows that were filtered or sorted
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
    partition: Mapping[str, str | int | None] = {}  # columns in the name, by "year=2024/"

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """All rows, at most `ROWS` at a time, with some columns only; a piece without rows is one empty frame."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        stored = None if columns is None else [name for name in columns if name not in self.partition]
        with _intact(self.path), pq.ParquetFile(self.path, buffer_size=2**20) as file:
            if not self.rows:
                yield self._frame(file.read(columns=stored), columns)
                return
            for batch in file.iter_batches(ROWS, columns=stored):
                yield self._frame(pa.Table.from_batches([batch]), columns)

    def _frame(self, table: Any, columns: Sequence[str] | None) -> pd.DataFrame:
        import pyarrow as pa

        arrays = dict(zip(table.column_names, table.columns, strict=True))
        for name, value in self.partition.items():
            kind = pa.int64() if isinstance(value, int) else pa.string()
            arrays[name] = pa.array([value] * table.num_rows, kind)
        return decoded_frame(pa.table({name: arrays[name] for name in columns or arrays}))


@dataclass(frozen=True)
class Pieces:
    """A table in pieces, in the order of their names; `columns` are those of the files and then of the names."""

    source: str
    pieces: list[Piece]
    columns: list[str]

    def __len__(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The rows in order, with some columns only; each frame is of one piece and has at most `ROWS` rows."""
        return (frame for piece in self.pieces for frame in piece.frames(columns))


def is_in_pieces(path: str | Path) -> bool:
    """Whether a path is that of a table in pieces: a folder, or a glob such as "texts/*.parquet"."""
    return Path(path).is_dir() or (glob.has_magic(str(path)) and not Path(path).exists())


def folder_of(path: str | Path) -> Path:
    """The folder of a table in pieces: itself, or that before the first part of a glob with a pattern."""
    path = Path(path)
    if path.is_dir():
        return path
    parts = path.parts
    at = next((at for at, part in enumerate(parts) if glob.has_magic(part) or "=" in part), len(parts) - 1)
    return Path(*parts[:at])


def has_pieces(folder: str | Path) -> bool:
    """Whether a folder has parquet files of its own or below, and is not a run or the like, which have a manifest."""
    folder = Path(folder)
    return not (folder / "run.json").exists() and next(folder.glob(f"**/*{SUFFIX}"), None) is not None


def open_pieces(path: str | Path) -> Pieces:
    """Open a folder or a glob of parquet files; only their footers are read.

    Raises InputError if there are none, one is broken (the message names it), two have other columns, or there is no
    row at all.
    """
    folder, whole = folder_of(path), Path(path).is_dir()
    pattern = "**/*" if whole else Path(path).relative_to(folder).as_posix()
    names = {file: file.relative_to(folder).as_posix() for file in folder.glob(pattern) if file.is_file()}
    if whole:  # files beside the tables do no harm
        names = {file: name for file, name in names.items() if name.lower().removesuffix(".gz").endswith(TABLES)}
    names = {file: name for file, name in names.items() if not any(part[0] in "._" for part in name.split("/"))}
    if not names:
        kind = "is a folder, not a table, and" if Path(path).is_dir() else "is no table, and"
        raise InputError(f"{path} {kind} has no {SUFFIX} files")
    if other := next((name for name in names.values() if not name.endswith(SUFFIX)), None):
        raise InputError(f"{path}: {other} is no {SUFFIX} file; tables in pieces are folders or globs of those")
    pieces, first, start = [], None, 0
    footers = [(file, name, *_footer(file)) for file, name in sorted(names.items(), key=lambda item: item[1])]
    partitions = _partitions(folder, list(names))
    for file, name, schema, rows, key in footers:
        if first is None:
            first = (name, schema)
        elif words := _differences(first[1], schema):
            raise InputError(f"{path}: {first[0]} and {name} differ, {words}; all pieces need the same columns")
        partition = {key: value for key, value in partitions.get(file, {}).items() if key not in schema}
        pieces.append(Piece(file, name, start, rows, key, partition))
        start += rows
    if not start:
        raise InputError(f"{path} has no rows")
    assert first is not None
    if other := next((piece.name for piece in pieces if piece.partition.keys() != pieces[0].partition.keys()), None):
        raise InputError(
            f"{path}: {pieces[0].name} and {other} differ in the columns that their folders name; "
            "put all files into folders NAME=VALUE of the same names, or none"
        )
    return Pieces(str(path), pieces, [*first[1], *pieces[0].partition])


def read_piece(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A file as `silr.io.tables.read_table` gives it, with some columns only; it may have no rows."""
    import pyarrow.parquet as pq

    with _intact(path):
        return decoded_frame(pq.ParquetFile(path).read(columns=None if columns is None else list(columns)))


def each_piece(
    source: Pieces, output: str | Path, settings: object, run: Callable[[Sequence[tuple[Piece, Path]]], None]
) -> int:
    """Make the pieces of `output` that are not there yet, and count those that were.

    `settings` are all that decides the rows beside the piece itself, as JSON values. `run` gets the missing pieces,
    with the path of each new one, and calls `write_piece` for each, in any order and in any process.

    Raises InputError if the folder is that of the source, holds something else, or was made with other settings.
    """
    folder = Path(output)
    check_output(source, folder)
    wanted = [folder / piece.name for piece in source.pieces]
    with resumable(folder, FOLDER, settings, begun=lambda: any(path.is_file() for path in wanted)):
        missing = missing_pieces(source, folder, settings)
        if missing:
            run(missing)
        for _, path in missing:
            for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):  # of a process that was killed
                draft.unlink(missing_ok=True)
        return len(wanted) - len(missing)


def missing_pieces(source: Pieces, output: Path, settings: object) -> list[tuple[Piece, Path]]:
    """The pieces that `output` has not yet, or made from something else, with the path of each new one."""
    settled, wanted = json.dumps(settings, sort_keys=True), [(piece, output / piece.name) for piece in source.pieces]
    return [(piece, path) for piece, path in wanted if _made_from(path) != _key(piece, settled)]


def check_output(source: Pieces, output: str | Path) -> None:
    """Raise InputError unless `output` can be a folder of the new pieces of `source`, before any work."""
    folder = Path(output)
    if folder.is_file() or folder.name.lower().removesuffix(".gz").endswith(TABLES):
        raise InputError(f"{source.source} is a table in pieces, and so is what becomes of it: {folder} is no folder")
    here, inside = folder.resolve(), Path(source.source)
    if any(here / piece.name == piece.path.resolve() for piece in source.pieces[:1]) or (
        inside.is_dir() and here.is_relative_to(inside.resolve())
    ):
        raise InputError(f"{folder} is part of {source.source}: give a folder outside of it")


def write_piece(frames: pd.DataFrame | Iterable[pd.DataFrame], piece: Piece, path: Path, settings: object) -> None:
    """Write a finished piece, atomically; its footer says what it was made from.

    Of several frames, which may be more than fits into memory, the first decides the types. Columns that the name of
    the piece has are left out.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    make_folder(path.parent)
    made_from = {MADE_FROM: _key(piece, json.dumps(settings, sort_keys=True)).encode()}
    with atomic_write(path) as file, ExitStack() as opened:
        writer = None
        for frame in [frames] if isinstance(frames, pd.DataFrame) else frames:
            table = arrow_table(frame.drop(columns=[*piece.partition], errors="ignore"), path)
            if writer is None:
                schema = table.schema.with_metadata(made_from)
                writer = opened.enter_context(pq.ParquetWriter(file, schema))
            try:
                writer.write_table(table.cast(schema))
            except (pa.ArrowException, ValueError) as error:
                raise InputError(f"cannot write {path}: its rows differ in their types ({error})") from error


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not an intact parquet file; make this piece again") from error


def _partitions(folder: Path, files: list[Path]) -> dict[Path, dict[str, str | int | None]]:
    """What the folders' names say of each file, such as {"year": 2024}; nothing where none has a "="."""
    import pyarrow as pa
    from pyarrow import dataset
    from pyarrow.fs import LocalFileSystem

    if not any("=" in part for file in files for part in file.relative_to(folder).parts[:-1]):
        return {}
    base = folder.absolute()
    absolute = {(base / file.relative_to(folder)).as_posix(): file for file in files}
    options = dataset.FileSystemFactoryOptions(base.as_posix(), partitioning=dataset.HivePartitioning.discover())
    kind = dataset.ParquetFileFormat()
    factory = dataset.FileSystemDatasetFactory(LocalFileSystem(), sorted(absolute), kind, options)
    try:
        schema = factory.inspect()
    except pa.ArrowException as error:
        raise InputError(f"{folder}: the columns in its folders' names do not fit its files ({error})") from error
    fragments = factory.finish(schema).get_fragments()
    keys = {absolute[part.path]: dataset.get_partition_keys(part.partition_expression) for part in fragments}
    return {file: {name: values[name] for name in schema.names if name in values} for file, values in keys.items()}


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
    import pyarrow.parquet as pq

    with _intact(path), path.open("rb") as file:
        metadata = pq.read_metadata(file)
        file.seek(-8, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-8 - size, 2)
        footer = file.read(size)
        schema = metadata.schema.to_arrow_schema()
    refuse_repeats(schema.names, path)
    types = {name: schema.field(name).type for name in schema.names if not INDEX.fullmatch(name)}
    return types, metadata.num_rows, blake2b(footer, digest_size=16).hexdigest()


def _differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    import pyarrow as pa

    for name in [*one, *(name for name in other if name not in one)]:
        if name not in one or name not in other:
            return f"only one of them has the column {name!r}"
        if _kind(one[name]) != _kind(other[name]) and pa.null() not in (one[name], other[name]):
            return f"the column {name!r} is of type {one[name]} in one and {other[name]} in the other"
    return ""


def _kind(type_: Any) -> str:
    """The types that programs take for one another: texts of any length, in a dictionary or not, and numbers."""
    import pyarrow as pa

    kind = type_.value_type if pa.types.is_dictionary(type_) else type_
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else str(kind)
