"""The codebook on the labelling page and in the terminal: the classes that it gives a table, and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.io.annotator_columns import scored_classes
from silr.io.cells import sort_classes
from silr.io.codebook import Codebook, recorded_classes
from silr.io.corpus import label_column
from silr.label.keys import class_keys, codebook_key, question_of

if TYPE_CHECKING:
    import pandas as pd

    from silr.label.gold_table import GoldTable


def classes_of(
    codebook: Codebook, frame: pd.DataFrame, columns: Sequence[str], table: Path, classes: Sequence[str] | None
) -> list[str]:
    """The classes of a table with label `columns`; InputError if they are others than the codebook's.

    `classes` are those of ``--classes``, if it was given. Else the table has those of its labels, of its columns of
    scores and of the annotation's record.
    """
    if classes:
        codebook.check_classes(classes, "--classes")
        return list(classes)
    labels = [label for name in (*columns, "gold") for label in label_column(frame, name, table, required=False)]
    known = [name for column in columns for name in scored_classes(frame, column)] + recorded_classes(table)
    codebook.check_table(sort_classes(label for label in labels if label is not None), known, table)
    return codebook.class_names


def question_for(table: GoldTable) -> str:
    """What the person is asked: the codebook's question, else what the LLM was asked."""
    book = table.codebook
    return book.question if book is not None and book.question else question_of(table.table)


def panel(table: GoldTable) -> dict[str, Any]:
    """The codebook for the page, ready for JSON: its key, and each class with its key and its entries."""
    if table.codebook is None:
        return {"key": "", "classes": []}
    keys = _keys(table)
    classes = [
        {"name": each.name, "key": keys.get(each.name, ""), "entries": each.entries} for each in table.codebook.classes
    ]
    return {"key": codebook_key(table.classes), "classes": classes}


def plain_text(table: GoldTable) -> str:
    """The codebook for the terminal, the keys before the names; "" without one."""
    if table.codebook is None:
        return ""
    keys = _keys(table)
    names = table.codebook.class_names
    return "\n\n".join(table.codebook.blocks({name: f"{keys.get(name, '')} {name}".strip() for name in names}))


def _keys(table: GoldTable) -> dict[str, str]:
    assert table.codebook is not None
    keys = class_keys(table.classes)
    place = {name: table.code(name) for name in table.codebook.class_names}
    return {name: keys[code] for name, code in place.items() if code >= 0}
