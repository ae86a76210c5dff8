"""Which values are missing, what a label is called, and which names mean the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from silr.errors import InputError
from silr.io.cells import is_missing, is_placeholder, label_key, label_name, may_be_placeholder, sort_classes, text_of


@pytest.mark.parametrize(
    "value",
    [
        None,
        np.nan,
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
        np.ma.masked,
        np.float32("nan"),
        Decimal("nan"),
        "",
        " \n",
        b" ",
    ],
)
def test_what_is_missing(value: Any) -> None:
    assert label_name(value) is None
    assert is_missing(value) or not label_name(value)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([1, 1.0, np.int64(1), np.float32(1), Decimal("1.00"), " 1", b"1", pa.scalar(1), np.array(1)], "1"),
        ([0.1, np.float32(0.1), np.float16(0.1), Decimal("0.10")], "0.1"),
        ([True, np.True_, "True"], "True"),
        (["n\u00e9", "ne\u0301", "\u00a0n\u00e9 ", "\ufeffn\u00e9\u200b", "n\u00e9".encode()], "n\u00e9"),
        (["007"], "007"),
    ],
)
def test_the_name_of_a_label(values: list[Any], name: str) -> None:
    assert {label_name(value) for value in values} == {name}


@pytest.mark.parametrize(
    "alike",
    [("0", "0.0", "-0", "+0"), ("1.5", "1.50"), ("-1", "-1.0"), ("True", "true", "TRUE"), ("a b", "a  b", "a\u00a0b")],
)
def test_names_that_mean_the_same(alike: tuple[str, ...]) -> None:
    assert len(set(map(label_key, alike))) == 1


def test_names_that_do_not() -> None:
    names = ["7", "007", "7.5", "Yes", "yes", "1e0", "1.", "none", "None", "true ly"]
    assert len(set(map(label_key, names))) == len(names)


@pytest.mark.parametrize("value", [["a"], ("a",), {"a": 1}, np.array(["a"]), {"a"}])
def test_collections_are_no_labels_and_no_texts(value: Any) -> None:
    for read in (label_name, text_of):
        with pytest.raises(InputError, match=r"is a (list|struct), not "):
            read(value)


def test_texts() -> None:
    assert [text_of(each) for each in (" a ", b"\xc3\xa9", 3, None, pd.NA, 1.5)] == [
        " a ",
        "\u00e9",
        "3",
        "",
        "",
        "1.5",
    ]
    with pytest.raises(InputError, match="binary and not UTF-8"):
        text_of(b"\xff")
    with pytest.raises(InputError, match=r"join\(turn\['content'\] for turn in cell\)"):
        text_of([{"role": "user", "content": "a"}])
    with pytest.raises(InputError, match="make a column of the field"):
        text_of({"title": "a", "body": "b"})


def test_order() -> None:
    assert sort_classes(["10", "9", "1", "-1", "2"]) == ["-1", "1", "2", "9", "10"]
    assert sort_classes(["4.5", "10", "4"]) == ["4", "4.5", "10"]
    assert sort_classes(["b", "10", "9"]) == ["10", "9", "b"]


def test_placeholders() -> None:
    assert all(map(is_placeholder, ["?", "-", "...", "nan", "NaN", "<NA>", "NULL", "TODO", "#N/A", "\u2014"]))
    assert all(map(may_be_placeholder, ["None", "none", "n/a", "Unknown"]))
    assert not any(is_placeholder(name) or may_be_placeholder(name) for name in ["+", "***", "a", "0", "\U0001f44d"])
