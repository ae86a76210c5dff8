"""Votes of several people from elsewhere: from tables, and from exports that tell who gave which label."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.errors import InputError
from silr.io import corpus
from silr.io.class_names import ClassNames, listed, of_table
from silr.io.tables import split_suffix
from silr.io.votes import ADJUDICATED, person_name
from silr.label.draw_weights import DrawHistory
from silr.label.gold_table import DRAW, GOLD, PROBABILITY, WEIGHT, read_draws
from silr.label.imports import NEARLY_ALL, Imported, Rows
from silr.label.people import Labels, People

if TYPE_CHECKING:
    import pandas as pd

    from silr.label.gold_table import GoldTable

EXPORTED = ("annotations", "responses", "annotation_id")  # fields of records that are no rows of a table


@dataclass(frozen=True)
class ImportedVotes:
    """Votes of a file by person, and what it tells of the draws of their texts."""

    path: Path
    people: People
    history: DrawHistory = field(default_factory=DrawHistory)
    unmatched: int = 0
    repeated: int = 0

    def without(self, rows: frozenset[int]) -> tuple[ImportedVotes, int]:
        """The same without the votes on some texts, and how many such texts there are."""
        left_out = rows & self.people.rows()
        votes = {
            person: {row: code for row, code in labels.items() if row not in left_out}
            for person, labels in self.people.votes.items()
        }
        decisions = {row: code for row, code in self.people.adjudicated.items() if row not in left_out}
        people = People(votes, decisions)
        return ImportedVotes(self.path, people, self.history, self.unmatched, self.repeated), len(left_out)

    def __str__(self) -> str:
        parts = [f"votes of {self.people.listed()}"]
        for count, reason in (
            (self.unmatched, "labels match no text of the table"),
            (self.repeated, "texts with two labels of one person, which are left out"),
        ):
            parts += [f"{count:,} {reason}"] * bool(count)
        return ", ".join(parts)


def named_file(value: str) -> tuple[str | None, Path]:
    """NAME and FILE of ``NAME=FILE``, or None and the file; a file of that whole name comes first."""
    name, sign, file = value.partition("=")
    if not sign or Path(value).exists() or not file or "/" in name:
        return None, Path(value)
    return person_name(name), Path(file)


def is_table(path: Path) -> bool:
    """Whether a file is a table rather than an export of Label Studio or Argilla; of JSON lines the first tells."""
    try:
        kind, zipped = split_suffix(path)
    except InputError:
        return False
    if kind != ".jsonl" or zipped or not path.exists():
        return True
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    names = record if isinstance(record, dict) else {}
    return bool(names) and not any(name in EXPORTED or str(name).endswith(".responses") for name in names)


def votes_of_table(path: Path, person: str | None, table: GoldTable) -> ImportedVotes:
    """Read the votes of a table: its columns ``vote_NAME``, else the one column of labels, which is a person's.

    The person is `person`, or has the name of the file. A row belongs to the text that it holds, or else to its id.

    Raises InputError if there is no such column or more than one, a label is none of the classes, or nothing matches.
    """
    frame = corpus.read_table(path)
    people = People.read(frame, table.classes, path, table.named)
    if people and person is not None:
        raise InputError(f"{path} has the votes of {people.listed()} already: give it without {person}=")
    if not people:
        name = person or _name_of(path, corpus.table_stem(path))
        people = People({name: _single_column(frame, path, table)})
    rows = sorted(people.rows() | people.adjudicated.keys())
    places = _places(frame, path, rows, table)
    history = DrawHistory(rounds=table.history.rounds)
    labels = corpus.label_column(frame, GOLD, path, required=False)
    read_draws(frame, path, {row for row in rows if labels[row] is not None}, history, rows)
    moved = People(
        {name: _moved(labels, places) for name, labels in people.votes.items()}, _moved(people.adjudicated, places)
    )
    if not moved.rows():
        raise InputError(
            f"{path}: none of its {len(rows):,} labelled rows matches a text of the table; rows are found by their "
            f"text (column {table.text_name!r}, see --text-column) or by the column 'id'"
        )
    adaptive = {places[row]: draw for row, draw in history.adaptive.items() if row in places}
    known = (history.unjudging, history.undrawn)
    unjudging, undrawn = ({places[row] for row in each if row in places} for each in known)
    return ImportedVotes(path, moved, DrawHistory(adaptive, unjudging, undrawn), len(rows) - len(places))


def votes_of_export(path: Path, person: str | None, labels: Imported) -> ImportedVotes:
    """The votes in an export by person; those of nobody are of `person`, or have the name of the file.

    InputError if a `person` is named and the export names several.
    """
    if person is not None and len(labels.persons) > 1:
        raise InputError(f"{path} has the labels of {listed(labels.persons)}: give it without {person}=")
    votes: dict[str, Labels] = {}
    for name, rows in labels.votes.items():
        who = person or name or _name_of(path, path.stem)
        votes[who] = rows | votes.get(who, {})
    history = DrawHistory(undrawn=set().union(*votes.values()))
    return ImportedVotes(path, People(votes), history, labels.unmatched, labels.repeated)


def _name_of(path: Path, stem: str) -> str:
    try:
        return person_name(stem)
    except InputError as error:
        raise InputError(f"{error}; whose labels are in {path}? --import NAME={path} says so") from None


def _single_column(frame: pd.DataFrame, path: Path, table: GoldTable) -> Labels:
    """The labels of the column `gold`, or of the only one, beside those of the table, whose cells are classes."""
    names = ClassNames(table.classes, named=True)
    others = {table.text_name, "text", "id", WEIGHT, DRAW, PROBABILITY, ADJUDICATED}
    candidates: dict[str, list[str | None]] = {}
    for column in map(str, frame.columns):
        if column in others or column.startswith("llm_"):
            continue
        try:
            labels = corpus.label_column(frame, column, path)
        except InputError:  # a list or the like
            continue
        right = [names.code(label) >= 0 for label in labels if label is not None]
        if sum(right) > NEARLY_ALL * len(right):
            candidates[column] = labels
    if len(candidates) > 1:
        known = table.columns - {GOLD}
        candidates = {name: labels for name, labels in candidates.items() if name not in known} or candidates
    if GOLD in candidates:
        candidates = {GOLD: candidates[GOLD]}
    if len(candidates) != 1:
        what = f"several columns of labels, {listed(list(candidates))}" if candidates else "no column of labels"
        raise InputError(f"{path} has {what}: a person's labels stand in one column, 'gold' or 'vote_NAME'")
    column, labels = next(iter(candidates.items()))
    codes = names.codes(labels, column, of_table(path))
    return {row: int(codes[row]) for row in np.flatnonzero(codes >= 0).tolist()}


def _places(frame: pd.DataFrame, path: Path, rows: list[int], table: GoldTable) -> dict[int, int]:
    """The row of the table for each of these rows of a file that has one."""
    name = next((name for name in (table.text_name, "text") if name in frame.columns), None)
    texts = [] if name is None else corpus.text_column(frame, name, path)
    if corpus.corpus_hash(texts) == table.hash:
        return {row: row for row in rows}
    ids = corpus.id_column(frame, path)
    finder, places = Rows(table.texts, table.ids(), table.text_name), dict[int, int]()
    taken: set[int] = set()
    for row in rows:
        place = finder.of({"text": texts[row] if texts else None, "id": ids[row]}, taken)
        if place is not None and place not in taken:
            places[row] = place
            taken.add(place)
    return places


def _moved(labels: Labels, places: dict[int, int]) -> Labels:
    return {places[row]: code for row, code in labels.items() if row in places}
