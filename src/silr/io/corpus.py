"""The table of texts: its columns, checked and converted, and the files that lie beside it.

Whatever a user's table can have wrong ends in an `InputError` whose one line says where it is and what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import is_missing, label_key, label_name, text_of
from silr.io.cells import sort_classes as sort_classes
from silr.io.class_names import ClassNames, Wording, class_names, listed, of_table
from silr.io.likely_columns import likely_column
from silr.io.tables import delimiter_hint, split_suffix
from silr.io.tables import read_table as read_table
from silr.io.tables import write_table as write_table

if TYPE_CHECKING:
    import pandas as pd

LABEL = "llm_label"
SCORE_PREFIX = "llm_score_"

Cell = TypeVar("Cell", str, str | None)


class TextCounts(NamedTuple):
    """How many texts there are, how many repeat an earlier one, how many are empty; `str()` says it in one line."""

    total: int
    duplicates: int
    empty: int

    def __str__(self) -> str:
        odd = [f"{n:,} {name}" for n, name in ((self.duplicates, "duplicates"), (self.empty, "empty")) if n]
        return f"{self.total:,} texts" + (f", {', '.join(odd)} (kept)" if odd else "")


def table_stem(path: str | Path) -> str:
    """Return the file name without the table's suffixes: "labelled" for "a/labelled.csv.gz"."""
    path = Path(path)
    kind, zipped = split_suffix(path)
    return path.name[: -len(kind + ".gz" * zipped)]


def features_path(table: str | Path) -> Path:
    """Return where the annotator's hidden states lie: "labelled.features.npy" beside "labelled.csv.gz"."""
    return Path(table).with_name(f"{table_stem(table)}.features.npy")


def annotator_path(table: str | Path) -> Path:
    """Return where the annotator is described: "labelled.annotator.json" beside "labelled.csv.gz"."""
    return Path(table).with_name(f"{table_stem(table)}.annotator.json")


def text_column(
    frame: pd.DataFrame, name: str = "text", path: str | Path | None = None, *, required: bool = True
) -> list[str]:
    """Return the texts: "" where missing, bytes decoded, numbers written out; a lone surrogate becomes U+FFFD.

    Raises InputError if there is no such column (the message lists those there are, and names the one that may be
    meant), a cell holds a list or a struct (the message says how to make one text of it), or all texts are empty and
    one is `required`.
    """
    series = _column(frame, name, path, texts=True)
    texts = [_clean(text) for text in _cells(series, text_of, name, path, missing="")]
    if required and not any(text.strip() for text in texts):
        raise InputError(f"column {name!r} of {_table(path)} has no text: all {len(texts):,} rows are empty")
    return texts


def text_counts(texts: Sequence[str]) -> TextCounts:
    """Count the texts, those equal to an earlier one, and those that are empty or blank (never called duplicates)."""
    filled = [text for text in texts if text.strip()]
    return TextCounts(len(texts), len(filled) - len(set(filled)), len(texts) - len(filled))


def label_column(
    frame: pd.DataFrame, name: str = LABEL, path: str | Path | None = None, *, required: bool = True
) -> list[str | None]:
    """Return labels as strings, see `silr.io.cells.label_name`: 1, 1.0 and "1 " are all "1"; missing or blank is None.

    A column that is absent and not `required` gives None for every row.

    Raises InputError if a required column is absent, or a cell holds a list or a struct.
    """
    if name not in frame.columns and not required:
        return [None] * len(frame)
    return _cells(_column(frame, name, path), label_name, name, path, missing=None)


def id_column(frame: pd.DataFrame, path: str | Path | None = None) -> list[str | None]:
    """Return the column ``id`` as strings, None for every row if there is none."""
    if "id" not in frame.columns:
        return [None] * len(frame)

    def written(value: object) -> str | None:
        return str(value).strip() if isinstance(value, (list, dict)) else label_name(value)

    return _cells(frame["id"], written, "id", path, missing=None)


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
    frame: pd.DataFrame,
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
        raise InputError(f"{_table(path)} has scores for some classes but no column {', '.join(map(repr, absent))}")
    needed = None
    if label in frame.columns:
        needed = np.array([value is not None for value in label_column(frame, label, path)])
        empty = np.column_stack([frame[name].isna() | (frame[name].astype(str).str.strip() == "") for name in names])
        if (~empty.all(axis=1) & needed).any():
            needed &= ~empty.all(axis=1)
    return np.column_stack([_numbers(frame, name, path, needed) for name in names])


def weight_column(
    frame: pd.DataFrame,
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
    return _numbers(frame, name, path, needed, weights=True)


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


def _table(path: str | Path | None) -> str:
    return "the table" if path is None else str(path)


def _column(frame: pd.DataFrame, name: str, path: str | Path | None, *, texts: bool = False) -> pd.Series[Any]:
    if name in frame.columns:
        return frame[name]
    names = [str(column) for column in frame.columns]
    hint = (delimiter_hint(names[0]) if len(names) == 1 else "") or likely_column(frame, name, texts=texts)
    raise InputError(f"{_table(path)} has no column {name!r}; its columns are {listed(names)}{hint}")


def _cells(
    series: pd.Series[Any], read: Callable[[object], Cell], name: str, path: str | Path | None, missing: Cell
) -> list[Cell]:
    """The cells of a column as `read` makes them; equal strings are read once."""
    dtype = getattr(series.dtype, "numpy_dtype", series.dtype)
    values = series.tolist()
    if dtype in (np.float16, np.float32):  # 0.1, not the 0.10000000149011612 that a float64 makes of it
        values = [value if is_missing(value) else np.float32(value) for value in values]
    known: dict[str, Cell] = {}
    cells: list[Cell] = []
    for row, value in enumerate(values):
        is_text = type(value) is str
        if not (is_text and value in known):
            try:
                cell = missing if is_missing(value) else read(value)
            except InputError as error:
                raise InputError(f"{_table(path)}, row {row + 1:,}: {name!r} {error}") from None
            if is_text:
                known[value] = cell
        cells.append(known[value] if is_text else cell)
    return cells


def _clean(text: str) -> str:
    """Return `text` without lone surrogates, which JSON can hold and tokenizers refuse."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _numbers(
    frame: pd.DataFrame,
    name: str,
    path: str | Path | None,
    needed: NDArray[np.bool_] | None,
    *,
    weights: bool = False,
) -> NDArray[np.float64]:
    values = frame[name].tolist()
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    bad = ~np.isfinite(numbers)
    if weights:
        empty = np.array([not str(value).strip() for value in values]) | frame[name].isna().to_numpy()
        bad = (bad & ~empty) | (numbers < 0)
    bad &= True if needed is None else needed
    if bad.any():
        row = int(np.argmax(bad))
        what = "a positive finite number or 0" if weights else "a finite number"
        raise InputError(f"{_table(path)}, row {row + 1:,}: {name!r} is {str(values[row])[:40]!r}, not {what}")
    return numbers


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
