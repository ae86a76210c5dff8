"""What a Python caller gives as X: texts, one matrix of features, or several; checked, and as NumPy has it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import is_missing, text_of
from silr.io.pieced_table import PiecedColumn

LARGEST_DENSE = 4 * 2**30  # bytes that a sparse matrix may take as a dense one


def texts_or_matrix(X: Any) -> tuple[Sequence[str] | None, NDArray[np.number]]:
    """Split an input by its kind: (texts, empty matrix) or (None, matrix); several matrices are put side by side.

    Texts are a list, an array, a column or a one-column frame of strings. A matrix is an array, a frame of numbers or a
    sparse matrix, which becomes a dense one. Frames and columns are those of pandas, polars or pyarrow.

    Raises InputError if it is neither, as one string is; a text is missing; a number is NaN or infinite (the message
    names the row); a sparse matrix is too large to be a dense one.
    """
    if isinstance(X, PiecedColumn):  # texts on the disk
        return X, np.empty((0, 0))
    if isinstance(X, (str, bytes)):
        raise InputError(f"X is one string, where a list of texts is wanted: [{X[:40]!r}]")
    if isinstance(X, (Mapping, set, frozenset)) or not (hasattr(X, "__iter__") or hasattr(X, "__array__")):
        raise InputError(f"X is a {type(X).__name__}, where a list of texts or a matrix is wanted")
    if widths_of(X) is not None:
        parts = [dense_matrix(matrix, f"X[{place}]") for place, matrix in enumerate(X)]
        return None, np.hstack([part.astype(np.float32) for part in parts]) if len(parts) > 1 else parts[0]
    if (texts := _texts(X)) is not None:
        return texts, np.empty((0, 0))
    return None, dense_matrix(X)


def is_empty(X: Any) -> bool:
    """Whether X has no rows, whatever they would be: an empty list, or an array or a frame of shape (0, ...)."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return len(shape) in (1, 2) and shape[0] == 0
    return isinstance(X, (list, tuple)) and not X


def texts_of_rows(texts: Any, n: int) -> list[str]:
    """The texts that n rows of features are of; InputError if they are no texts, or not as many."""
    rows = None if isinstance(texts, (str, bytes)) else _texts(texts)
    if rows is None or len(rows) != n:
        what = "something else" if rows is None else f"{len(rows):,}"
        raise InputError(f"texts must be a list of {n:,} strings, one for each row of X, got {what}")
    return rows


def widths_of(X: Any) -> list[int] | None:
    """The widths of several matrices of the same texts; None if X is something else."""
    if not isinstance(X, list | tuple) or not X or any(len(getattr(matrix, "shape", ())) != 2 for matrix in X):
        return None
    if len({matrix.shape[0] for matrix in X}) > 1:
        rows = ", ".join(f"{matrix.shape[0]:,}" for matrix in X)
        raise InputError(f"the matrices in X have {rows} rows: as many are wanted")
    return [matrix.shape[1] for matrix in X]


def dense_matrix(X: Any, name: str = "X") -> NDArray[np.number]:
    """A matrix of finite numbers, shape (n, d), else InputError; arrays stay as they are, memory maps too."""
    import scipy.sparse

    from silr.io.corpus import check_finite

    if scipy.sparse.issparse(X):
        return _dense(X, name)
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        X = _numbers(X, name)
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(np.float64), np.nan)
    try:
        matrix = np.asanyarray(X)
    except ValueError as error:
        raise InputError(
            f"{name} must be texts (a list of str) or a matrix of numbers, got rows of other lengths"
        ) from error
    if matrix.dtype.kind == "b":
        matrix = matrix.astype(np.float32)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or not matrix.size:
        raise InputError(
            f"{name} must be texts (a list of str) or a matrix of numbers, got {matrix.dtype} of shape {matrix.shape}"
        )
    try:
        check_finite(matrix, name)
    except InputError as error:
        raise InputError(f"{error}, rows counted from 1: fill it in, or leave the text out") from None
    dense: NDArray[np.number] = matrix
    return dense


def _dense(X: Any, name: str) -> NDArray[np.number]:
    rows = X.tocsr()
    if rows.dtype.kind not in "fiub" or rows.ndim != 2 or not all(rows.shape):
        raise InputError(f"{name} must be a matrix of numbers, got {rows.dtype} of shape {rows.shape}")
    bad = np.flatnonzero(~np.isfinite(rows.data))
    if len(bad):
        row = int(np.searchsorted(rows.indptr, bad[0], side="right"))
        raise InputError(
            f"{name}: row {row:,} has a value that is not finite (NaN or infinity), rows counted from 1: fill it in, "
            "or leave the text out"
        )
    size = rows.shape[0] * rows.shape[1] * 4
    if size > LARGEST_DENSE:
        raise InputError(
            f"{name} is sparse, and its {rows.shape[0]:,} x {rows.shape[1]:,} numbers take {size / 2**30:.0f} GiB "
            "as a dense matrix: give fewer columns, as sklearn.decomposition.TruncatedSVD(256) makes them, or the texts"
        )
    return np.asarray(rows.astype(np.float32).toarray())


def _numbers(frame: Any, name: str) -> NDArray[np.number]:
    """A frame as an array; a missing number is NaN."""
    if hasattr(frame, "to_pandas") and not hasattr(frame, "iloc"):  # of pyarrow or polars
        frame = frame.to_pandas()
    try:
        if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
            plain = frame.to_numpy()
            if plain.dtype.kind in "fiu":
                return np.asarray(plain)
        return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        columns = list(map(str, frame.columns))
        shown = ", ".join(map(repr, columns[:10])) + (" ..." if len(columns) > 10 else "")
        raise InputError(
            f"{name} is a frame with the columns {shown}, not all of numbers: give one column of texts, such as "
            f"X[{columns[0]!r}], or the columns of numbers"
        ) from None


def _texts(X: Any) -> list[str] | None:
    """The texts, if X is a column of them or a list that begins with one."""
    if hasattr(X, "column_names") or hasattr(X, "columns"):
        names = list(getattr(X, "column_names", X.columns))
        if len(names) != 1:
            return None
        column = X[names[0]]
        return _texts(column)
    if hasattr(X, "to_pylist"):
        X = X.to_pylist()
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 1 and getattr(X, "dtype", np.dtype(float)).kind in "OUST":
        X = X[:, 0]
    elif shape is not None and len(shape) != 1:
        return None
    values = X.tolist() if isinstance(X, np.ndarray) else list(X)
    first = next((value for value in values if not is_missing(value)), None)
    if not isinstance(first, (str, bytes)):
        return None
    texts = []
    for row, value in enumerate(values):
        if is_missing(value) or not isinstance(value, (str, bytes)):
            raise InputError(f"X[{row}] is {str(value)[:40]!r}, not a text: an empty text is ''")
        try:
            texts.append(text_of(value))
        except InputError as error:
            raise InputError(f"X[{row}] {error}") from None
    return texts
