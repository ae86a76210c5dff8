"""The cells of one column as texts, labels or numbers; an `InputError` names the row of a cell that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import is_missing, text_of

if TYPE_CHECKING:
    import pandas as pd

    from silr.io.pieced_table import Frame

Cell = TypeVar("Cell", str, str | None)


def table_name(path: str | Path | None) -> str:
    """What messages call a table."""
    return "the table" if path is None else str(path)


def texts_of(series: pd.Series[Any], name: str, path: str | Path | None, start: int = 0) -> list[str]:
    """Texts, "" where one is missing; `start` is the number of the first in the whole table."""
    if str(getattr(series.dtype, "pyarrow_dtype", "")) in ("string", "large_string"):  # they are, and are UTF-8
        return series.array.__arrow_array__().fill_null("").to_pylist()  # type: ignore[no-any-return]
    return [_clean(text) for text in cells_of(series, text_of, name, path, missing="", start=start)]


def cells_of(
    series: pd.Series[Any],
    read: Callable[[object], Cell],
    name: str,
    path: str | Path | None,
    missing: Cell,
    start: int = 0,
) -> list[Cell]:
    """The cells of a column as `read` makes them; equal strings are read once. `start` is the number of the first."""
    if hasattr(series, "cat"):
        return _cells_of_categories(series, read, name, path, missing)
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
                raise InputError(f"{table_name(path)}, row {start + row + 1:,}: {name!r} {error}") from None
            if is_text:
                known[value] = cell
        cells.append(known[value] if is_text else cell)
    return cells


def _cells_of_categories(
    series: pd.Series[Any], read: Callable[[object], Cell], name: str, path: str | Path | None, missing: Cell
) -> list[Cell]:
    codes, values = series.cat.codes.to_numpy(), series.cat.categories.tolist()
    cells = np.full(len(values) + 1, missing, object)  # the last one is that of the code -1
    for code in np.unique(codes[codes >= 0]).tolist():
        try:
            cells[code] = missing if is_missing(values[code]) else read(values[code])
        except InputError as error:
            raise InputError(
                f"{table_name(path)}, row {int((codes == code).argmax()) + 1:,}: {name!r} {error}"
            ) from None
    return cells[codes].tolist()  # type: ignore[no-any-return]


def _clean(text: str) -> str:
    """Return `text` without lone surrogates, which JSON can hold and tokenizers refuse."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def numbers_of(
    frame: Frame,
    name: str,
    path: str | Path | None,
    needed: NDArray[np.bool_] | None,
    *,
    weights: bool = False,
) -> NDArray[np.float64]:
    """Numbers, NaN where a cell is none and no number is `needed`; `weights` may be missing, and not negative."""
    series = frame[name]
    numbers = _as_numbers(series)
    bad = ~np.isfinite(numbers)
    if weights:
        bad = (bad & ~is_empty(series)) | (numbers < 0)
    bad &= True if needed is None else needed
    if bad.any():
        row = int(np.argmax(bad))
        what = "a positive finite number or 0" if weights else "a finite number"
        raise InputError(f"{table_name(path)}, row {row + 1:,}: {name!r} is {str(series.iloc[row])[:40]!r}, not {what}")
    return numbers


def _as_numbers(series: pd.Series[Any]) -> NDArray[np.float64]:
    """NaN where a cell is no number."""
    if getattr(series.dtype, "kind", "O") in "fiu":
        return np.asarray(series.to_numpy(np.float64, na_value=np.nan))
    return np.array([_number(value) for value in series.tolist()], dtype=np.float64)


def is_empty(series: pd.Series[Any]) -> NDArray[np.bool_]:
    """Where a cell is missing or blank, shape (n,)."""
    empty = series.isna().to_numpy()
    if getattr(series.dtype, "kind", "O") in "fiu":
        return np.asarray(empty)
    return np.asarray(empty | (series.astype(str).str.strip() == "").to_numpy())


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
