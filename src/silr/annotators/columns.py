"""Columns that an annotation writes: their names, for the only LLM of a table or for one of several.

``llm_label``, ``llm_score_CLASS``, ``llm_missing``, ``llm_confidence`` and ``llm_reason`` are those of an annotation
without name; of one with a NAME they are ``llm_label_NAME``, ``llm_score_NAME_CLASS``, ``llm_missing_NAME`` and so on,
as `silr.io.annotator_columns` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from silr.errors import InputError
from silr.io.annotator_columns import score_prefix, scored_classes
from silr.io.corpus import LABEL

KINDS = ("label", "missing", "confidence", "reason")  # of the columns beside the scores
_NAME = re.compile(r"[\w.-]*\w[\w.-]*")


def column(kind: str, name: str = "") -> str:
    """The name of a column of one of the `KINDS`: "llm_label", or "llm_label_gpt4" of the LLM called gpt4."""
    return f"llm_{kind}_{name}" if name else f"llm_{kind}"


def score_column(class_name: str, name: str = "") -> str:
    """The name of a class's score column: "llm_score_positive", or "llm_score_gpt4_positive"."""
    return f"{score_prefix(column('label', name))}{class_name}"


def own_columns(columns: Iterable[object], name: str = "") -> list[str]:
    """Those of a table's columns that belong to the LLM of this name.

    Without labels of that name, score columns that begin alike are those of another LLM.
    """
    every = list(map(str, columns))
    prefix = str(score_prefix(column("label", name)))
    others = [score_prefix(each) for each in every if each.startswith(f"{LABEL}_") and each != column("label", name)]
    longer = tuple(other for other in others if other is not None and other.startswith(prefix))
    kinds, scored = {column(kind, name) for kind in KINDS}, not name or column("label", name) in every
    return [
        each for each in every if each in kinds or (scored and each.startswith(prefix) and not each.startswith(longer))
    ]


def names_in(columns: Iterable[object]) -> list[str]:
    """Names of the LLMs whose labels a table has, "" for that of ``llm_label``."""
    labels = [each for each in map(str, columns) if each == LABEL or each.startswith(f"{LABEL}_")]
    return [label.removeprefix(LABEL).removeprefix("_") for label in labels]


def check_name(name: str, classes: Sequence[str], columns: Iterable[object]) -> None:
    """Refuse a name that is none, or whose score columns would be read as those of another LLM of the table."""
    if name and not _NAME.fullmatch(name):
        raise InputError(f"--name {name!r}: letters, digits and the signs _ - . make up the name of an LLM")
    every = list(map(str, columns))
    mine = {*own_columns(every, name)}
    kept = [each for each in every if each not in mine]
    own = [column("label", name), *(score_column(class_name, name) for class_name in classes)]
    if taken := sorted({*own} & {*kept}):
        raise InputError(f"the column {taken[0]} of the table is not of the LLM {name!r}; take another --name")
    before, after = (pd.DataFrame(columns=each) for each in (kept, [*kept, *own]))
    for other in names_in(kept):
        label = column("label", other)
        if scored_classes(before, label) != scored_classes(after, label):
            raise InputError(
                f"the score columns of {_called(name)} ({own[1]}, ...) would be read as those of {_called(other)}; "
                "take another --name"
            )
    if scored_classes(after, own[0]) != list(classes):
        raise InputError(
            f"the score columns of {_called(name)} ({own[1]}, ...) would be read as those of another LLM of the table "
            f"({', '.join(_called(other) for other in names_in(kept))}); take another --name"
        )


def _called(name: str) -> str:
    return f"the LLM {name!r}" if name else "the LLM without name"
