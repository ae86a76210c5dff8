"""The columns that a review writes: `gold`, `adjudicated` where several persons gave votes, and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from silr.errors import InputError
from silr.io import corpus
from silr.io.votes import ADJUDICATED, read_votes
from silr.label.gold_table import GOLD, WEIGHT

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable


class Cells(NamedTuple):
    """Gold label and adjudicated label of a text; None where there is none."""

    gold: str | None
    adjudicated: str | None


class ReviewColumns:
    """The newest file of a table to label: its `output` if that exists, else the table.

    With `adjudicated` a decision is written into that column too, so that it stands above the persons' votes. `text`
    is the name of the column. InputError if the file cannot be read or holds other texts.
    """

    def __init__(self, table: GoldTable, text: str, adjudicated: bool) -> None:
        self._table, self._text, self.adjudicated = table, text, adjudicated
        self.path = table.output if table.output.exists() else table.table
        self.frame = self._read()
        columns = {name: corpus.label_column(self.frame, name, self.path, required=False) for name in Cells._fields}
        self._cells = [Cells(*cells) for cells in zip(columns[GOLD], columns[ADJUDICATED], strict=True)]

    def cells(self, row: int, newer: Mapping[int, Cells]) -> Cells:
        """The cells of a text as they are now."""
        return newer.get(row, self._cells[row])

    def decided(self, row: int, name: str) -> Cells:
        """The cells of a text after the decision for a class."""
        return Cells(name, name if self.adjudicated else self._cells[row].adjudicated)

    def write(self, changes: Mapping[int, Cells]) -> None:
        """Write the table atomically, with these cells and all others as they are in the file by now.

        A text that gets its first gold label, or loses its last one, gives all of them new weights.
        """
        frame = self._read()
        columns = {name: corpus.label_column(frame, name, self.path, required=False) for name in Cells._fields}
        before = {row for row, label in enumerate(columns[GOLD]) if label is not None}
        for row, cells in changes.items():
            columns[GOLD][row], columns[ADJUDICATED][row] = cells
        for name, values in columns.items():
            if name == GOLD or name in frame.columns or any(value is not None for value in values):
                frame[name] = pd.Series(values, index=frame.index, dtype="object")
        gold = {row for row, label in enumerate(columns[GOLD]) if label is not None}
        if gold != before and WEIGHT in frame.columns:
            self._weigh(frame, gold, before)
        corpus.write_table(frame, self._table.output.resolve())
        self.path = self._table.output
        for row, cells in changes.items():
            self._cells[row] = cells

    def _weigh(self, frame: pd.DataFrame, gold: set[int], before: set[int]) -> None:
        """New weights of the gold labels; texts on which the persons still tie count as drawn and skipped."""
        votes = read_votes(frame, self._table.classes, self.path, named=True)
        voted = set() if votes is None else set(np.flatnonzero((votes.codes >= 0).any(axis=1)).tolist())
        weights = self._table.history.weights(self._table.strata, gold, sorted(voted - gold))
        cells = frame[WEIGHT].tolist()
        for row in before - gold:
            cells[row] = None
        for row, weight in weights.items():
            cells[row] = weight
        frame[WEIGHT] = pd.Series(pd.to_numeric(pd.Series(cells)).to_numpy(), index=frame.index, dtype="float")

    def _read(self) -> pd.DataFrame:
        frame = corpus.read_table(self.path)
        if corpus.corpus_hash(corpus.text_column(frame, self._text, self.path)) != self._table.hash:
            raise InputError(f"{self.path} holds other texts than {self._table.table} held; give another -o")
        return frame
