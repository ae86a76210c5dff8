"""The table that a person labels: its texts, classes and strata, and its columns `gold` and `gold_weight`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.corpus import (
    check_classes,
    corpus_hash,
    encode_labels,
    label_column,
    read_table,
    score_classes,
    score_columns,
    table_stem,
    text_column,
    write_table,
)
from silr.errors import InputError
from silr.label.draw import gold_weights, make_strata
from silr.priors import Priors, priors_from_gold

if TYPE_CHECKING:
    import pandas as pd

GOLD, WEIGHT = "gold", "gold_weight"


class GoldTable:
    """A table with labels of an LLM, read once and written with the gold labels.

    Parameters
    ----------
    table : Path
    output : Path, default None
        Where the table with gold goes; None: into `table` itself. If it exists, its gold is read.
    classes : sequence of str, default None
        None: those of the score columns, else those that occur.
    text, label : str
        Names of columns.

    Attributes
    ----------
    texts : list of str, of length n
    codes : int array of shape (n,)
        The LLM's labels; -1 where missing.
    classes : list of str
    gold : dict
        Class numbers by row, as they were in the file.
    weighted : bool
        Whether the file had weights.

    Raises
    ------
    InputError
        The table cannot be used, or `output` holds other texts.
    """

    def __init__(
        self,
        table: Path,
        output: Path | None = None,
        classes: Sequence[str] | None = None,
        text: str = "text",
        label: str = "llm_label",
    ) -> None:
        self.table, self.output = table, (output or table)
        self._text = text
        table_stem(self.output)  # refuses an unknown suffix before any work
        if not self.output.parent.is_dir():
            raise InputError(f"the folder {self.output.parent} does not exist")
        self._frame = read_table(table)
        self._read_as = _signature(table)
        self.texts = text_column(self._frame, text, table)
        self.hash = corpus_hash(self.texts)
        given = list(classes) if classes else score_classes(self._frame)
        if classes and len(set(classes)) < max(2, len(classes)):
            raise InputError("--classes must name at least two classes, each once")
        self.codes, self.classes = encode_labels(label_column(self._frame, label, table), given, label, one_class=True)
        try:
            scores = score_columns(self._frame, self.classes, table, label)
        except InputError:
            if score_classes(self._frame) == self.classes:
                raise
            scores = None  # --classes names more classes than the LLM scored
        self.strata = make_strata(self.codes, len(self.classes), scores)
        self.gold = self._read_gold(self._frame, table)
        newest = self._frame
        if self._elsewhere() and self.output.exists():
            newest = self._same_texts(self.output)
            self.gold |= self._read_gold(newest, self.output)
        self.weighted = WEIGHT in newest.columns

    def ids(self) -> list[str | None]:
        """Return the column `id` as strings, None for every row if there is none."""
        return label_column(self._frame, "id", self.table, required=False)

    def columns(self) -> set[str]:
        """Return the names of the table's columns."""
        return set(map(str, self._frame.columns))

    def priors(self, gold: Mapping[int, int]) -> Priors | None:
        """Estimate what the LLM's labels are worth; None without gold."""
        rows = np.array([row for row in gold if self.codes[row] >= 0], dtype=np.int64)
        if not len(rows):
            return None
        codes, weight = np.full(len(self.codes), -1), np.zeros(len(self.codes))
        codes[rows] = [gold[row] for row in rows.tolist()]
        weight[rows] = gold_weights(self.strata, rows)
        known = self.codes >= 0
        return priors_from_gold(self.codes[known], codes[known], len(self.classes), weight[known])

    def save(self, gold: Mapping[int, int]) -> None:
        """Write the table with columns `gold` and `gold_weight`, atomically.

        If another program has changed the table meanwhile, its other columns are taken as they are now.

        Raises
        ------
        InputError
            The table was given other texts, or cannot be written.
        """
        import pandas as pd

        if _signature(self.table) != self._read_as:
            self._frame = self._same_texts(self.table)
        frame = self._frame.copy(deep=False)
        rows = sorted(gold)
        labels: list[str | None] = [None] * len(frame)
        weights: list[float | None] = [None] * len(frame)
        for row, weight in zip(rows, gold_weights(self.strata, rows).tolist(), strict=True):
            labels[row], weights[row] = self.classes[gold[row]], weight
        frame[GOLD] = pd.Series(labels, index=frame.index, dtype=object)
        frame[WEIGHT] = pd.Series(weights, index=frame.index, dtype=float)
        write_table(frame, self.output.resolve())
        if not self._elsewhere():
            self._frame = frame
            self._read_as = _signature(self.table)

    def _read_gold(self, frame: pd.DataFrame, path: Path) -> dict[int, int]:
        labels = label_column(frame, GOLD, path, required=False)
        check_classes(labels, self.classes, GOLD)
        code = {name: number for number, name in enumerate(self.classes)}
        return {row: code[label] for row, label in enumerate(labels) if label is not None}

    def _same_texts(self, path: Path) -> pd.DataFrame:
        frame = read_table(path)
        if corpus_hash(text_column(frame, self._text, path)) != self.hash:
            raise InputError(f"{path} holds other texts than {self.table} held; give another -o")
        return frame

    def _elsewhere(self) -> bool:
        return self.output.resolve() != self.table.resolve()


def _signature(path: Path) -> Any:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return status.st_ino, status.st_mtime_ns, status.st_size
