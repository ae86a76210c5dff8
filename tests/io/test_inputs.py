"""X as Python callers give it: texts, matrices, frames, and what is none of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from silr.errors import InputError
from silr.io.inputs import LARGEST_DENSE, texts_of_rows, texts_or_matrix

TEXTS = ["a", "b"]
NUMBERS = np.array([[1.0, 2.0], [0.0, 3.0]])


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        np.array(TEXTS),
        np.array([["a"], ["b"]], dtype=object),
        np.array(TEXTS, dtype=np.dtypes.StringDType()),
        pd.Series(TEXTS, dtype="string"),
        pd.DataFrame({"text": TEXTS}),
        pa.array(TEXTS),
        pa.chunked_array([["a"], ["b"]]),
        pa.table({"text": TEXTS}),
        [b"a", "b"],
        (text for text in TEXTS),
    ],
)
def test_texts(X: Any) -> None:
    assert texts_or_matrix(X)[0] == TEXTS


@pytest.mark.parametrize(
    "X",
    [
        NUMBERS,
        NUMBERS.tolist(),
        pd.DataFrame(NUMBERS, columns=["x", "y"]),
        pd.DataFrame({"x": [1.0, 0.0], "y": pd.array([2, 3], dtype="Int64")}),
        pa.table({"x": [1.0, 0.0], "y": [2, 3]}),
        scipy.sparse.csr_matrix(NUMBERS),
        scipy.sparse.csr_array(NUMBERS),
        scipy.sparse.coo_array(NUMBERS),
        pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_array(NUMBERS)),
    ],
)
def test_matrices(X: Any) -> None:
    texts, matrix = texts_or_matrix(X)
    assert texts is None and isinstance(matrix, np.ndarray) and matrix.tolist() == NUMBERS.tolist()


def test_several_matrices() -> None:
    _, matrix = texts_or_matrix([scipy.sparse.csr_array(NUMBERS), NUMBERS])
    assert matrix.tolist() == np.hstack([NUMBERS, NUMBERS]).tolist()
    with pytest.raises(InputError, match=r"X\[1\]: row 2 has a value that is not finite"):
        texts_or_matrix([NUMBERS, np.array([[1.0], [np.nan]])])


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_row_of_what_is_not_finite(kind: Any, bad: float) -> None:
    matrix = np.zeros((40, 3))
    matrix[17, 1] = matrix[30, 0] = bad
    with pytest.raises(InputError, match=r"X: row 18 has a value that is not finite .* fill it in"):
        texts_or_matrix(kind(matrix))


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ("great", r"one string, where a list of texts is wanted: \['great'\]"),
        (None, "NoneType"),
        ({"a": 1}, "dict"),
        (["a", None], r"X\[1\] is 'None', not a text: an empty text is ''"),
        (["a", 3], r"X\[1\] is '3', not a text"),
        ([b"a", b"\xff"], r"X\[1\] is binary and not UTF-8"),
        (pd.DataFrame({"t": ["a"], "n": [1]}), r"columns 't', 'n', not all of numbers: give one column .* X\['t'\]"),
        (pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}), "row 2 has a value that is not finite"),
        (np.ma.array([[1.0], [2.0]], mask=[[0], [1]]), "row 2 has a value that is not finite"),
        ([[1, 2], [3]], "rows of other lengths"),
        (scipy.sparse.csr_array((LARGEST_DENSE // 4000, 1001)), r"GiB as a dense matrix: give .*TruncatedSVD"),
    ],
)
def test_what_is_neither(X: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        texts_or_matrix(X)


def test_texts_of_rows() -> None:
    assert texts_of_rows(pd.Series(TEXTS), 2) == TEXTS
    for texts in ("ab", ["a"], np.zeros(2)):
        with pytest.raises(InputError, match="a list of 2 strings"):
            texts_of_rows(texts, 2)
