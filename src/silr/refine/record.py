"""A run that was read back: its iterations, and the texts that belong to them where they can be found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.annotator_columns import read_annotators
from silr.io.codebook import Codebook, codebook_of_record
from silr.io.corpus import file_hash, id_column, read_table, text_column, weight_column
from silr.io.files import Json
from silr.io.hub_tables import table_of_record
from silr.io.said import said_lines
from silr.refine.refinement import Refinement
from silr.refine.run import TABLE, Run
from silr.refine.table import LABELS, Columns, column_codes
from silr.stats.annotator_evidence import Annotator, majority
from silr.stats.gold_weights import post_stratified

if TYPE_CHECKING:
    import pandas as pd

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """The table behind a run."""

    name: str  # ``labels.csv``, or that of the table that was refined
    texts: list[str]
    ids: list[str | None] | None  # the column ``id``, if there is one
    gold: Codes  # shape (n,), -1 where there is no gold label
    weight: NDArray[np.float64]  # shape (n,), how many texts each gold label speaks for, as the run's estimates have it
    llms: dict[str, Codes]  # labels of each LLM by column, shape (n,), -1 where it gave none
    said: list[str] | None = None  # what the only LLM said beside its labels, if the table has it
    frame: pd.DataFrame | None = None  # the table itself
    weighted: bool = True  # whether the table says how likely each gold label was to be drawn
    truth: Codes | None = None  # shape (n,)
    truth_column: str | None = None


@dataclass(frozen=True)
class Record(Refinement):
    """A run that was read back, with ``true_accuracy`` of its iterations wherever the truth is known."""

    run: Run
    table: Json | None  # what `silr refine` wrote about the table; None for a run that was made in Python
    corpus: Corpus | None  # None if the texts cannot be found
    problems: list[str] = field(default_factory=list)  # why they, or their gold labels, are not what the run had

    @property
    def table_path(self) -> Path | None:
        """Where the table that was refined lay, or lies in the cache if it is one of the hub."""
        return None if self.table is None else table_of_record(self.run.folder, self.table["table"])

    @property
    def codebook(self) -> Codebook | None:
        """The codebook that the LLM read, if the run knows of one."""
        return None if self.table is None else self.table["codebook"]

    @property
    def llm(self) -> NDArray[np.int16]:
        """The LLM's labels, -1 where it gave none."""
        return self.iterations[0].labels


def read_record(folder: str | Path, truth: str | None = None) -> Record:
    """Read a run; InputError if it is none. No `truth`: the column that `silr refine` was given, if any."""
    run = Run(folder)
    result = run.result()
    if len(result.iterations) < 2:
        result.check_finished(folder)
    classes = result.class_names
    problems: list[str] = []
    table = _read_table_record(run.folder, problems)
    read = None if table is None else _find(run.folder, table, result.iterations[0].labels, classes, problems)
    if table is None or read is None:
        if truth is not None:
            raise InputError(f"no truth column {truth!r}: {'; '.join(problems) or f'{folder} does not know its table'}")
        return Record(result.iterations, classes, run, table, None, problems)
    frame, corpus = read
    counted = int((corpus.gold >= 0).sum())
    if counted != run.manifest.get("gold", counted):
        problems.append(
            f"{corpus.name} has {counted:,} gold labels now, the run was made with {run.manifest['gold']:,}: its "
            "estimates are those of the run; refine again to use what was added"
        )
    column, iterations = truth or table["columns"]["truth"], result.iterations
    if column is not None:
        codes = column_codes(frame, column, classes, corpus.name, required=truth is not None, finished=True)
        if codes is not None:
            corpus = replace(corpus, truth=codes, truth_column=column)
            iterations = [iteration.scored(codes) for iteration in iterations]
    return Record(iterations, classes, run, table, corpus, problems)


def _read_table_record(folder: Path, problems: list[str]) -> Json | None:
    try:
        table = json.loads((folder / TABLE).read_text())
        columns = vars(Columns(**table["columns"]))
        specs = table["features"]
        return {
            **{name: str(table[name]) for name in ("table", "sha256")},
            "classes": list(map(str, table.get("classes") or ())),
            "features": [specs] if isinstance(specs, str) else list(map(str, specs)),
            "columns": columns,
            "iterations": int(table.get("iterations", 0)),
            "codebook": codebook_of_record(table.get("codebook")),
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        problems.append(f"{TABLE} of the run is damaged")
        return None


def _find(
    folder: Path, table: Json, llm: NDArray[np.int16], classes: list[str], problems: list[str]
) -> tuple[pd.DataFrame, Corpus] | None:
    """The run's own ``labels.csv``, if its rows are still those of the run, else the table that was refined."""
    reasons = []
    own = folder / LABELS
    for path in (own, table_of_record(folder, table["table"])):
        try:
            if path != own:
                _check_unchanged(path, table["sha256"])
            elif not own.is_file():
                raise InputError(f"the run has no {LABELS}")
            frame = read_table(path)
            llms = read_annotators(frame, path.name, table["columns"]["labels"], classes=classes)
            codes = majority([Annotator(each.astype(np.int16)) for each in llms.codes], len(classes)).astype(np.int64)
            if not np.array_equal(codes, llm):
                raise InputError(f"{path.name} has other rows or LLM labels than the run; was it edited?")
            by_column = dict(zip(llms.columns, llms.codes, strict=True))
            return frame, _corpus(frame, path.name, table["columns"], codes, by_column, classes)
        except InputError as error:
            reasons.append(str(error))
    problems += reasons
    return None


def _check_unchanged(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise InputError(f"{path.name} is no longer where it was when it was refined")
    if file_hash(path) != sha256:
        raise InputError(f"{path.name} was changed since it was refined (its SHA-256 is another)")


def _corpus(
    frame: pd.DataFrame, name: str, columns: Json, llm: Codes, llms: dict[str, Codes], classes: list[str]
) -> Corpus:
    gold = column_codes(frame, columns["gold"], classes, name, required=False, finished=True)
    if gold is None:
        gold = np.full(len(frame), -1)
    weight = weight_column(frame, columns["weight"], name, gold >= 0)
    weighted = weight is not None
    if weight is None:  # as in `priors_from_gold`: each gold label speaks for its share of the LLM's set
        weight = post_stratified(llm, gold >= 0)
    ids = id_column(frame, name) if "id" in frame.columns else None
    said = said_lines(frame, columns["labels"])
    return Corpus(name, text_column(frame, columns["text"], name), ids, gold, weight, llms, said, frame, weighted)
