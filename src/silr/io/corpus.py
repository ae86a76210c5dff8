"""The table of texts: its columns, checked and converted, and the files that lie beside it.

Whatever a user's table can have wrong ends in an `InputError` whose one line says where it is and what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import label_key, label_name
from silr.io.cells import sort_classes as sort_classes
from silr.io.class_names import ClassNames, Wording, class_names, listed, of_table
from silr.io.columns import cells_of, is_empty, numbers_of, table_name, texts_of
from silr.io.likely_columns import likely_column
from silr.io.pieced_table import Frame, PiecedColumn, PiecedTable, pieces_hash
from silr.io.pieced_table import open_table as open_table
from silr.io.pieces import folder_of, is_in_pieces, open_pieces
from silr.io.tables import delimiter_hint, split_suffix
from silr.io.tables import read_table as read_table
from silr.io.tables import write_table as write_table

if TYPE_CHECKING:
    import pandas as pd

LABEL = "llm_label"
SCORE_PREFIX = "llm_score_"


class TextCounts(NamedTuple):
    """How many texts there are, how many repeat an earlier one, how many are empty; `str()` says it in one line."""

    total: int
    duplicates: int
    empty: int

    def __str__(self) -> str:
        odd = [f"{n:,} {name}" for n, name in ((self.duplicates, "duplicates"), (self.empty, "empty")) if n]
        return f"{self.total:,} texts" + (f", {', '.join(odd)} (kept)" if odd else "")


def table_stem(path: str | Path) -> str:
    """Return the file name without the table's suffixes: "labelled" for "a/labelled.csv.gz", or the folder's name."""
    path = Path(path)
    if is_in_pieces(path):
        return folder_of(path).resolve().name
    kind, zipped = split_suffix(path)
    return path.name[: -len(kind + ".gz" * zipped)]


def features_path(table: str | Path) -> Path:
    """Return where the annotator's hidden states lie: "labelled.features.npy" beside "labelled.csv.gz"."""
    return _beside(table, ".features.npy")


def annotator_path(table: str | Path) -> Path:
    """Return where the annotator is described: "labelled.annotator.json" beside "labelled.csv.gz"."""
    return _beside(table, ".annotator.json")


def _beside(table: str | Path, suffix: str) -> Path:
    path = folder_of(table).resolve() if is_in_pieces(table) else Path(table)
    return path.with_name(table_stem(path) + suffix)


@overload
def text_column(
    frame: pd.DataFrame, name: str = "text", path: str | Path | None = None, *, required: bool = True
) -> list[str]: ...
@overload
def text_column(
    frame: Frame, name: str = "text", path: str | Path | None = None, *, required: bool = True
) -> Sequence[str]: ...
def text_column(
    frame: Frame, name: str = "text", path: str | Path | None = None, *, required: bool = True
) -> Sequence[str]:
    """Return the texts: "" where missing, bytes decoded, numbers written out; a lone surrogate becomes U+FFFD.

    Those of a table in pieces are read whenever they are asked for.

    Raises InputError if there is no such column (the message lists those there are, and names the one that may be
    meant), a cell holds a list or a struct (the message says how to make one text of it), or all texts are empty and
    one is `required`.
    """
    texts: Sequence[str]
    if isinstance(frame, PiecedTable):
        _check_column(frame, name, path, texts=True)
        texts = PiecedColumn(frame.pieces, [name], lambda part, start: texts_of(part[name], name, path, start))
    else:
        texts = texts_of(_column(frame, name, path, texts=True), name, path)
    if required and not any(text.strip() for text in texts):
        raise InputError(f"column {name!r} of {table_name(path)} has no text: all {len(texts):,} rows are empty")
    return texts


def text_counts(texts: Sequence[str]) -> TextCounts:
    """Count the texts, those equal to an earlier one, and those that are empty or blank (never called duplicates)."""
    hashes = np.fromiter((hash(text) if text.strip() else 0 for text in texts), np.int64, len(texts))  # 8 bytes a text
    hashes.sort()
    filled = hashes[hashes != 0]
    repeated = int((filled[1:] == filled[:-1]).sum())
    return TextCounts(len(texts), repeated, len(texts) - len(filled))


def label_column(
    frame: Frame, name: str = LABEL, path: str | Path | None = None, *, required: bool = True
) -> list[str | None]:
    """Return labels as strings, see `silr.io.cells.label_name`: 1, 1.0 and "1 " are all "1"; missing or blank is None.

    A column that is absent and not `required` gives None for every row.

    Raises InputError if a required column is absent, or a cell holds a list or a struct.
    """
    if name not in frame.columns and not required:
        return [None] * len(frame)
    return cells_of(_column(frame, name, path), label_name, name, path, missing=None)


@overload
def id_column(frame: pd.DataFrame, path: str | Path | None = None) -> list[str | None]: ...
@overload
def id_column(frame: Frame, path: str | Path | None = None) -> Sequence[str | None]: ...
def id_column(frame: Frame, path: str | Path | None = None) -> Sequence[str | None]:
    """Return the column ``id`` as strings, None for every row if there is none."""
    if "id" not in frame.columns:
        return [None] * len(frame)

    def written(value: object) -> str | None:
        return str(value).strip() if isinstance(value, (list, dict)) else label_name(value)

    def ids(part: pd.DataFrame, start: int = 0) -> list[str | None]:
        return cells_of(part["id"], written, "id", path, missing=None, start=start)

    return PiecedColumn(frame.pieces, ["id"], ids) if isinstance(frame, PiecedTable) else ids(frame)


def encode_labels(
    labels: Sequence[str | None],
    classes: Sequence[str] | None = None,
    name: str = LABEL,
    *,
    one_class: bool = False,
    named: bool = False,
    wording: Wording | None = None,
) -> tuple[NDArray[np.int64], list[str]]:
    """Class numbers of labels, int64 of shape (n,) and -1 where missing, and the classes in order.

    By default these are those that occur, sorted (by value if all are numbers). `one_class` says that a single one
    of several classes will do, `named` that somebody has named them: then a label may differ from one in case.
    Raises InputError if all labels are missing, only one class occurs, or a label is none of `classes`.
    """
    wording = wording or of_table(option=False)
    if all(label is None for label in labels):
        raise InputError(f"{name}: all {len(labels):,} labels are missing")
    order = class_names({name: labels}, wording) if classes is None else list(classes)
    codes = ClassNames(order, named=named).codes(labels, name, wording)
    occurring = np.unique(codes[codes >= 0])
    if len(occurring) == 1 and not (one_class and len(order) > 1):
        raise InputError(f"{name} has one class only, {order[occurring[0]]!r}; at least two must occur")
    return codes, order


def score_columns(
    frame: Frame,
    classes: Sequence[str],
    path: str | Path | None = None,
    label: str = LABEL,
    prefix: str = SCORE_PREFIX,
) -> NDArray[np.float64] | None:
    """Return the annotator's scores, float64 (n, K) in the order of `classes`, or None if the table has none.

    Rows whose `label` is missing may lack scores, and so may some with a label, which then have none at all (servers
    do not always give them). They are NaN. Without a column `label`, or where no row has scores, every row needs them.

    Raises InputError if a class has no score column, or a needed score is missing or no finite number (the message
    names the row).
    """
    scored = [name for name in map(str, frame.columns) if name.startswith(prefix)]
    column_of = {label_key(name.removeprefix(prefix)): name for name in scored}
    names = [column_of.get(label_key(name), prefix + name) for name in classes]
    absent = [name for name in names if name not in frame.columns]
    if len(absent) == len(names):
        return None
    if absent:
        raise InputError(f"{table_name(path)} has scores for some classes but no column {', '.join(map(repr, absent))}")
    needed = None
    if label in frame.columns:
        needed = np.array([value is not None for value in label_column(frame, label, path)], dtype=bool)
        empty = np.column_stack([is_empty(frame[name]) for name in names])
        if (~empty.all(axis=1) & needed).any():
            needed &= ~empty.all(axis=1)
    return np.column_stack([numbers_of(frame, name, path, needed) for name in names])


def weight_column(
    frame: Frame,
    name: str = "gold_weight",
    path: str | Path | None = None,
    needed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64] | None:
    """Return sampling weights, float64 (n,), or None if the table has no such column.

    `needed`, bool (n,), marks the rows whose weight is read (by default all). There 0 or a missing weight (NaN) will
    do: such a gold label trains and does not judge.

    Raises InputError if a needed weight is negative, infinite or no number (the message names the row).
    """
    if name not in frame.columns:
        return None
    return numbers_of(frame, name, path, needed, weights=True)


def load_features(path: str | Path, n_rows: int) -> NDArray[np.number]:
    """Open a `.npy` of features, memory-mapped and read-only, of shape (n_rows, n_features), or InputError.

    It holds finite numbers in float16, float32, float64 or an integer type.
    """
    features = open_features(path, n_rows)
    check_finite(features, str(path))
    return features


def open_features(path: str | Path, n_rows: int) -> NDArray[np.number]:
    """The same without reading the numbers, which may not be finite; see `check_finite`."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{path} is not a readable .npy file of numbers") from error
    if not isinstance(features, np.ndarray):
        raise InputError(f"{path} is an archive of arrays; save one array with numpy.save")
    if features.ndim != 2 or not features.size:
        raise InputError(f"{path} has shape {features.shape}; features have one row a text and at least one column")
    if features.dtype.kind not in "fiu" or features.dtype.itemsize > 8 or not features.dtype.isnative:
        raise InputError(f"{path} holds {features.dtype}; features are float16, float32, float64 or integers")
    if len(features) != n_rows:
        raise InputError(f"{path} has {len(features):,} rows, the table has {n_rows:,}; they must match row for row")
    return features


def check_finite(features: NDArray[np.number], name: str = "features") -> None:
    """Raise an `InputError` naming the first row of `features` (n, d) with a NaN or infinity; needs 16 MB at most."""
    if features.dtype.kind != "f":
        return
    step = max(1, 2**24 // (features.shape[1] * features.dtype.itemsize))
    for start in range(0, len(features), step):
        chunk = features[start : start + step]
        if features.dtype == np.float16:  # an all-ones exponent; four times faster than isfinite, which converts
            exponent = np.uint16(0x7C00)
            finite = (chunk.view(np.uint16) & exponent) != exponent
        else:
            finite = np.isfinite(chunk)
        if not finite.all():
            row = int(np.argmin(finite.all(axis=1)))
            raise InputError(f"{name}: row {start + row + 1:,} has a value that is not finite (NaN or infinity)")


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in a stream."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_hash(path: str | Path) -> str:
    """Return the SHA-256 of a table's file; of one in pieces, of the names and footers of the pieces."""
    return pieces_hash(open_pieces(path)) if is_in_pieces(path) else file_hash(path)


def corpus_hash(*columns: Iterable[str | None]) -> str:
    """Return a SHA-256 of columns such as texts and labels; equal only for equal values in equal order."""
    digest = hashlib.sha256()
    for column in columns:
        for value in column:
            data = b"" if value is None else value.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % (-1 if value is None else len(data)) + data)
        digest.update(b"/")
    return digest.hexdigest()


def digest(*columns: object) -> str:
    """SHA-256 of arrays, read in place, and strings."""
    whole = hashlib.sha256()
    for column in columns:
        if isinstance(column, np.ndarray):
            whole.update(f"{column.dtype} {column.shape}".encode())
            whole.update(np.ascontiguousarray(column).reshape(-1).view(np.uint8).data)
        else:
            whole.update(repr(column).encode())
    return whole.hexdigest()


def _column(frame: Frame, name: str, path: str | Path | None, *, texts: bool = False) -> pd.Series[Any]:
    _check_column(frame, name, path, texts=texts)
    return frame[name]


def _check_column(frame: Frame, name: str, path: str | Path | None, *, texts: bool = False) -> None:
    if name in frame.columns:
        return
    names = [str(column) for column in frame.columns]
    hint = (delimiter_hint(names[0]) if len(names) == 1 else "") or likely_column(frame, name, texts=texts)
    raise InputError(f"{table_name(path)} has no column {name!r}; its columns are {listed(names)}{hint}")
