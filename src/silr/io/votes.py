"""Votes: the labels that several people gave, in columns ``vote_NAME``, one a person.

Column ``gold`` is the decision made of them, and ``adjudicated`` what a person decided where they disagree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.class_names import ClassNames, of_table
from silr.io.corpus import label_column
from silr.io.pieced_table import Frame

VOTE = "vote_"
ADJUDICATED = "adjudicated"  # column of the decisions by a person; such a decision always wins
_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Votes:
    """Labels of n texts by R persons."""

    persons: list[str]  # R names, in the order of their columns
    codes: NDArray[np.int16]  # shape (n, R), class codes, -1 where a person gave no label


def person_name(name: str) -> str:
    """A person's name as it stands in a column, without blanks around it.

    Raises InputError if it has other characters than letters, digits, - and _.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not _NAME.fullmatch(plain):
        raise InputError(f"{name!r} is no name of a person: take letters, digits, - and _, as in ann or rater-2")
    return plain


def vote_column(person: str) -> str:
    """The name of a person's column."""
    return f"{VOTE}{person}"


def read_votes(
    frame: Frame, classes: Sequence[str], path: str | Path | None = None, *, named: bool = False
) -> Votes | None:
    """Read the columns ``vote_NAME`` of a table; None if it has none.

    A column in which no cell is a class is somebody else's, such as ``vote_count``, and is left alone. `named` says
    that somebody has named the classes: then a label may differ from one in case.

    Raises InputError if a label is none of the classes, or a column's NAME is no name of a person.
    """
    known, wording = ClassNames(classes, named=named), of_table(path or "the table")
    loose = ClassNames(classes, named=True)
    persons: list[str] = []
    columns: list[NDArray[np.int64]] = []
    for column in map(str, frame.columns):
        if not column.startswith(VOTE):
            continue
        try:
            labels = label_column(frame, column, path)
        except InputError:  # a list or the like
            continue
        if all(loose.code(label) < 0 for label in set(labels) if label is not None):
            continue
        try:
            persons.append(person_name(column.removeprefix(VOTE)))
            columns.append(known.codes(labels, column, wording))
        except InputError as error:
            raise InputError(f"{error}; if {column!r} holds no person's labels, rename it") from None
    if not persons:
        return None
    return Votes(persons, np.column_stack(columns).astype(np.int16))
