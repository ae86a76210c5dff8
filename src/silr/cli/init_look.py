"""What a table says of itself to `silr init`: its texts, the labels that are there, and their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from silr.errors import InputError
from silr.io.annotator_columns import label_columns
from silr.io.cells import is_placeholder, label_key, sort_classes
from silr.io.class_names import ClassNames, of_table
from silr.io.corpus import label_column, read_table, text_column
from silr.io.likely_columns import likely_labels, likely_texts

if TYPE_CHECKING:
    import pandas as pd

TEXT, GOLD = "text", "gold"


@dataclass(frozen=True)
class Look:
    """A table, read once.

    `labels` are the columns of LLM labels, and `likely` is another one that may have labels. `n_gold` counts the labels
    by hand.
    """

    path: Path
    frame: pd.DataFrame
    labels: list[str]
    likely: str | None
    n_gold: int

    @property
    def text(self) -> str | None:
        """The column that has the texts by its name, else by the looks of it."""
        return TEXT if TEXT in self.frame.columns else likely_texts(self.frame)

    def text_named(self, name: str) -> str:
        """The name, if such a column has texts."""
        text_column(self.frame, name, self.path)
        return name

    def labels_named(self, name: str) -> str:
        """The name, if such a column has labels."""
        if not any(label_column(self.frame, name, self.path)):
            raise InputError(f"column {name!r} of {self.path} has no labels")
        return name

    def classes(self, columns: Sequence[str]) -> list[str]:
        """The classes of the labels in these columns, and of the labels by hand."""
        known: dict[str, str] = {}
        for name in [*columns, GOLD]:
            for label in label_column(self.frame, name, self.path, required=False):
                if label is not None and not is_placeholder(label):
                    known.setdefault(label_key(label), label)
        return sort_classes(known.values())

    def check_classes(self, classes: list[str], columns: Sequence[str]) -> list[str]:
        """The classes; InputError if a label in these columns, or one by hand, is none of them."""
        names = ClassNames(classes, named=True)
        for name in [*columns, GOLD]:
            names.codes(label_column(self.frame, name, self.path, required=False), name, of_table(self.path))
        return classes


def look(path: str | Path) -> Look:
    """Read a table; InputError if it is none, or its name could not stand in a script."""
    path = Path(path)
    if not str(path).isprintable():
        raise InputError(f"the name {str(path)!r} has a character that cannot be printed: rename the table")
    frame = read_table(path)
    labels = [name for name in label_columns(frame) if name in frame.columns]
    n_gold = sum(label is not None for label in label_column(frame, GOLD, path, required=False))
    likely = None if labels else likely_labels(frame)
    return Look(path, frame, labels, likely, n_gold)
