"""Columns and records of several LLMs in one table: those of the others stay when one annotates."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from silr.annotators.columns import column, names_in, own_columns
from silr.annotators.embed import EMBEDDINGS
from silr.errors import InputError
from silr.io import corpus
from silr.io.annotator_records import read_records
from silr.io.cells import label_name
from silr.io.files import Json

if TYPE_CHECKING:
    import pandas as pd

_GOLD = "gold"  # what the columns of gold labels begin with


@dataclass
class Table:
    """The table to annotate as it is now, with what its earlier copy at the output has beside it.

    A column that the source lacks is kept from the output, if that holds the same texts: labels by other LLMs, gold
    labels, and any other. So an annotation adds to the output, whichever copy of the table it reads.

    `name` is that of the LLM, "" for none. With a name, an output of other texts is an InputError. Without, an output
    of other texts, or without labels of an LLM with a name, is written over.
    """

    source: Path
    output: Path
    text_column: str
    name: str = ""
    frame: pd.DataFrame = field(init=False)
    texts: list[str] = field(init=False)
    kept: list[str] = field(init=False)  # columns from the output

    def __post_init__(self) -> None:
        if self.output.is_dir():
            raise InputError(f"cannot write {self.output}: it is a folder")
        self._read()
        self._records = self._read_records()

    def refresh(self) -> None:
        """Read what was written into the files meanwhile; InputError if their texts are others now."""
        if self._signature() == self._seen:
            return
        texts, frame = self.texts, self.frame
        try:
            self._read()
        except InputError:
            if self.source.exists():
                raise
            self.frame = frame  # gone meanwhile, as a temporary file
        if self.texts != texts:
            raise InputError(
                f"{self.source} holds other texts than when the annotation began: put them back, and the same command "
                "writes the labels"
            )
        self._records = self._read_records()

    def others(self) -> dict[str, Json]:
        """Records of the other LLMs whose labels the table has, and of embeddings that belong to none."""
        names = set(names_in(self.frame.columns))
        names |= {name for name, record in self._records.items() if EMBEDDINGS in record}
        return {name: record for name, record in self._records.items() if name in names - {self.name}}

    def own(self) -> Json | None:
        """The record of the last annotation of this name."""
        return self._records.get(self.name)

    def count_labels(self) -> int:
        """How many labels of this name the output has."""
        label = column("label", self.name)
        with suppress(InputError):  # no table, which is written over
            frame = corpus.read_table(self.output)
            return sum(label_name(value) is not None for value in frame[label]) if label in frame else 0
        return 0

    def without_own(self) -> pd.DataFrame:
        """The table without the columns of an earlier annotation of this name."""
        return self.frame.drop(columns=own_columns(self.frame.columns, self.name))

    def _read(self) -> None:
        self._seen = self._signature()
        self.frame, self.kept = corpus.read_table(self.source), []
        self.texts = corpus.text_column(self.frame, self.text_column, self.source)
        if not self.output.exists() or self.output.resolve() == self.source.resolve():
            return
        try:
            there = corpus.read_table(self.output)
            same = corpus.text_column(there, self.text_column, self.output) == self.texts
        except InputError:
            if self.name:
                raise
            return
        if same and (self.name or set(names_in(there.columns)) - {""}):
            self.kept = self._missing(list(map(str, there.columns)))
            self.frame = self.frame.assign(**{column: there[column] for column in self.kept})
        elif self.name:
            raise InputError(f"{self.output} holds other texts than {self.source}: give another --output")

    def _missing(self, there: list[str]) -> list[str]:
        """Columns of the output that the source lacks; those of one LLM, and those of gold labels, come together."""
        here = list(map(str, self.frame.columns))
        taken = {*here, *own_columns(there, self.name)}.union(*(own_columns(there, name) for name in names_in(here)))
        with_gold = _GOLD in here
        return [each for each in there if each not in taken and not (with_gold and each.startswith(_GOLD))]

    def _read_records(self) -> dict[str, Json]:
        """The records of both tables: of another LLM the source's counts, of this one the output's."""
        there, here = (self._read_one(path) for path in (self.output, self.source))
        own = there.get(self.name)
        records = {name: record for name, record in (there | here).items() if name != self.name}
        return records if own is None else records | {self.name: own}

    def _read_one(self, path: Path) -> dict[str, Json]:
        try:
            return read_records(path)
        except InputError:
            if self.name:
                raise
            return {}  # written over

    def _signature(self) -> list[tuple[int, int, int] | None]:
        seen: list[tuple[int, int, int] | None] = []
        for path in (self.source, self.output, corpus.annotator_path(self.output)):
            try:
                status = path.stat()
                seen.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                seen.append(None)
        return seen
