"""Table files: csv, tsv, jsonl and parquet, each plain or gzipped, with every value as it is in the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from silr.errors import InputError
from silr.io.files import atomic_write
from silr.io.hub_tables import local_table

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of at least one row; the suffix names the format, `.gz` after it means gzip.

    `.csv`, `.tsv`, `.jsonl` or `.parquet`. Text is UTF-8; a byte order mark is dropped. csv and tsv give object
    columns of str, so "NA", "007" and "1e5" stay; an empty field is "". jsonl gives object columns of the JSON
    values, None where the row says null and `pandas.NA` where it lacks the key. parquet gives Arrow-typed columns;
    bytes that are UTF-8 become strings.

    A dataset of the hub, `hf://datasets/OWNER/NAME`, is fetched first.

    Raises InputError if the file is missing, a folder, empty, without rows, corrupt, not UTF-8, malformed (with the
    line), repeats a column name, or has an unknown suffix.
    """
    path = local_table(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a table")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    kind, zipped = split_suffix(path)
    try:
        with _open(path, zipped) as file:
            if not file.peek(1):
                raise InputError(f"{path} is empty")
            try:
                frame = _READERS[kind](file, path)
            except UnicodeDecodeError:
                line = _broken_line(path, zipped)
                raise InputError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is not an intact gzip file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if frame.empty:
        raise InputError(f"{path} has no rows" + (", only a header" if len(frame.columns) else ""))
    return frame


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write `frame`, without its index, atomically; the suffix names the format as in `read_table`.

    A missing value becomes an empty csv field, a JSON null (or no key, where an object column holds `pandas.NA` as
    `read_table` leaves it) or a parquet null. The same frame always gives the same bytes, gzipped too. What UTF-8
    has no bytes for (half of a surrogate pair) becomes "?" in a csv field and stays an escape in jsonl. Raises
    InputError if the format cannot hold a column or the file cannot be written; an old file is untouched.
    """
    path = Path(path)
    kind, zipped = split_suffix(path)
    with atomic_write(path) as file:
        packed: Any = gzip.GzipFile("", "wb", 6, file, mtime=0) if zipped else nullcontext(file)
        with packed as out:
            _WRITERS[kind](frame, out, path)


def split_suffix(path: Path) -> tuple[str, bool]:
    """The suffix of the format, and whether gzip is around it: (".csv", True) for "a.csv.gz"; InputError for others."""
    name = path.name.lower()
    zipped = name.endswith(".gz")
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in _READERS:
        raise InputError(f"{path}: unknown kind of table; known are {', '.join(_READERS)}, each also with .gz")
    return kind, zipped


def delimiter_hint(name: str) -> str:
    """Return a hint, to be added to a message, when a table's only column is named like several; else ""."""
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
        if mark in name:
            return f" (are the fields separated by {word}? .csv wants commas, .tsv tabs)"
    return ""


def _read_csv(file: IO[bytes], path: Path, delimiter: str = ",") -> pd.DataFrame:
    import pandas as pd

    header: list[str] = []
    rows: list[list[str]] = []
    start = 1  # the line on which the current row begins
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines, _fields_of_any_size():
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            for row in reader:
                if row and not header:
                    header = row
                elif row and len(row) != len(header):
                    hint = delimiter_hint(header[0]) if len(header) == 1 else ""
                    raise InputError(f"{path}, line {start}: {len(row)} fields, the header has {len(header)}{hint}")
                elif row:
                    rows.append(row)
                start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {start}: malformed, {error}") from error
    refuse_repeats(header, path)
    return pd.DataFrame(rows, columns=header, dtype=object)


def _read_jsonl(file: IO[bytes], path: Path) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, object]] = []
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_distinct)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: not JSON, {getattr(error, 'msg', error)}") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number}: not a JSON object; .jsonl has one {{...}} on each line")
            rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: pd.Series([row.get(name, pd.NA) for row in rows], dtype=object) for name in names})


def _read_parquet(file: IO[bytes], path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = file.read()
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not an intact parquet file") from error
    refuse_repeats(table.column_names, path)
    return decoded_frame(table)


def decoded_frame(table: Any) -> pd.DataFrame:
    """An Arrow table as a frame of Arrow-typed columns; bytes that are UTF-8 become strings."""
    import pandas as pd
    import pyarrow as pa

    table = pa.table(dict(zip(table.column_names, map(_decoded, table.columns), strict=True)))
    return pd.DataFrame(table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True))


def _decoded(column: Any) -> Any:
    """A column of bytes that are UTF-8 as strings; other columns as they are."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)):
        return column
    try:
        return column.cast(pa.large_string() if pa.types.is_large_binary(kind) else pa.string())
    except pa.ArrowInvalid:
        return column


def _write_csv(frame: pd.DataFrame, out: IO[bytes], path: Path, delimiter: str = ",") -> None:
    writer = csv.writer(_UnixLines(out), delimiter=delimiter)
    writer.writerow(frame.columns)
    writer.writerows(zip(*(map(_cell, _values(frame[name])) for name in frame.columns), strict=True))


def _write_jsonl(frame: pd.DataFrame, out: IO[bytes], path: Path) -> None:
    import pandas as pd

    encode = json.JSONEncoder(ensure_ascii=False, default=_plain).encode
    names = [str(name) for name in frame.columns]
    for row in zip(*(_values(frame[name], gap=pd.NA) for name in frame.columns), strict=True):
        line = encode({name: value for name, value in zip(names, row, strict=True) if value is not pd.NA})
        out.write(line.encode("utf-8", "backslashreplace") + b"\n")  # half a surrogate pair is its own JSON escape


def _write_parquet(frame: pd.DataFrame, out: IO[bytes], path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(frame, path), out)


def arrow_table(frame: pd.DataFrame, path: Path) -> Any:
    """A frame as an Arrow table, without its index; InputError if parquet cannot hold it."""
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot write {path}: parquet cannot hold this table, .jsonl can ({reason})") from error


_READERS: dict[str, Callable[[IO[bytes], Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, delimiter="\t"),
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
_WRITERS: dict[str, Callable[[pd.DataFrame, IO[bytes], Path], None]] = {
    ".csv": _write_csv,
    ".tsv": partial(_write_csv, delimiter="\t"),
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
TABLES = tuple(_READERS)  # suffixes


class _UnixLines:
    """A csv writer's output with "\\n" line ends.

    Told to end lines with "\\n" itself, `csv.writer` of Python 3.11 leaves a lone "\\r" inside a field unquoted.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out

    def write(self, row: str) -> None:
        self.out.write((row.removesuffix("\r\n") + "\n").encode("utf-8", "replace"))


def _values(series: pd.Series[Any], gap: object = None) -> list[object]:
    """Return Python values with None for a missing one, but `gap` for an NA in an object column (a JSON row's gap)."""
    import numpy as np
    import pandas as pd

    dtype = getattr(series.dtype, "numpy_dtype", series.dtype)
    if dtype in (np.float16, np.float32):  # 0.1, not the 0.10000000149011612 that a float64 makes of it
        series = pd.Series([float(str(value)) for value in series.to_numpy(dtype, na_value=np.nan)])
    if series.dtype != object:
        gap = None
    return [
        (gap if value is pd.NA else None) if missing else value
        for value, missing in zip(series.tolist(), series.isna(), strict=True)
    ]


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, default=_plain) if isinstance(value, (dict, list)) else value


def _plain(value: object) -> object:
    """Return a NumPy value as Python's own and anything else (a date, a decimal) as a string, for JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key occurs twice")
    return row


def refuse_repeats(names: list[str], path: Path) -> None:
    """Raise InputError if two columns have one name."""
    repeated = [repr(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{path} has more than one column named {', '.join(repeated)}")


@contextmanager
def _fields_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _open(path: Path, zipped: bool) -> Any:
    return gzip.open(path) if zipped else path.open("rb")


def _broken_line(path: Path, zipped: bool) -> int:
    with _open(path, zipped) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} became UTF-8 while it was read")
