"""The classes that a codebook gives a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from silr.io.annotator_columns import scored_classes
from silr.io.cells import sort_classes
from silr.io.codebook import Codebook, recorded_classes
from silr.io.corpus import label_column
from silr.io.pieced_table import Frame


def classes_of(
    codebook: Codebook, frame: Frame, columns: Sequence[str], table: Path, classes: Sequence[str] | None
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
