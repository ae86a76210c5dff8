"""Several people: their votes on a table's texts, and the gold labels that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.class_names import ClassNames, of_table
from silr.io.corpus import label_column
from silr.io.pieced_table import Frame
from silr.io.votes import ADJUDICATED, person_name, read_votes, vote_column
from silr.stats.dawid_skene import dawid_skene

UNNAMED = "unnamed"  # the person of gold labels from before anybody had a name
Rule = Literal["majority", "dawid-skene"]
Labels = dict[int, int]  # class numbers by row


@dataclass
class People:
    """Votes by person, and the decisions that stand above them."""

    votes: dict[str, Labels] = field(default_factory=dict)
    adjudicated: Labels = field(default_factory=dict)

    @classmethod
    def read(cls, frame: Frame, classes: Sequence[str], path: Path, named: bool) -> People:
        """Those of a table; InputError if a vote or a decision is none of the classes."""
        votes = read_votes(frame, classes, path, named=named)
        if votes is None:
            return cls()
        decisions = label_column(frame, ADJUDICATED, path, required=False)
        codes = ClassNames(classes, named=named).codes(decisions, ADJUDICATED, of_table(path))
        columns = zip(votes.persons, votes.codes.T, strict=True)
        return cls({person: _labels(column) for person, column in columns}, _labels(codes))

    def __bool__(self) -> bool:
        return bool(self.votes)

    def join(self, other: People) -> None:
        """Take the votes and decisions of a newer file of the same texts, which win."""
        for person, labels in other.votes.items():
            self.votes[person] = self.votes.get(person, {}) | labels
        self.adjudicated |= other.adjudicated

    def enter(self, person: str) -> str:
        """Make room for a person's votes; return the name, or an InputError says what is wrong with it."""
        person = person_name(person)
        alike = [name for name in self.votes if name.casefold() == person.casefold() and name != person]
        if alike:
            raise InputError(
                f"{person!r} differs from {alike[0]!r} in case only: is it the same person? Write it alike"
            )
        self.votes.setdefault(person, {})
        return person

    def rows(self) -> set[int]:
        """Texts with the vote of anybody."""
        return set().union(*self.votes.values())

    def others(self, person: str) -> set[int]:
        """Texts with the vote of anybody else."""
        return set().union(*(labels for name, labels in self.votes.items() if name != person))

    def without_vote(self, gold: Mapping[int, int]) -> Labels:
        """Gold labels that are neither of a person nor a decision."""
        known = self.rows() | self.adjudicated.keys()
        return {row: code for row, code in gold.items() if row not in known}

    def decision(self, row: int) -> int | None:
        """The gold label of a text: what was decided, else what most persons say, None where they tie."""
        if row in self.adjudicated:
            return self.adjudicated[row]
        counts = Counter(labels[row] for labels in self.votes.values() if row in labels).most_common(2)
        return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else None

    def gold(self, n_classes: int, rule: Rule = "majority") -> Labels:
        """The gold labels of all texts; InputError if the package for a rule is not installed."""
        rows = sorted(self.rows() | self.adjudicated.keys())
        if rule == "majority":
            decisions = {row: self.decision(row) for row in rows}
        else:
            chosen = dawid_skene(self.codes(rows), n_classes).tolist()
            decisions = dict(zip(rows, chosen, strict=True)) | self.adjudicated
        return {row: code for row, code in decisions.items() if code is not None and code >= 0}

    def codes(self, rows: Sequence[int]) -> NDArray[np.int16]:
        """Class codes of these texts, one column a person, -1 without a vote."""
        columns = [[labels.get(row, -1) for row in rows] for labels in self.votes.values()]
        return np.array(columns, dtype=np.int16).reshape(len(columns), len(rows)).T

    def columns(self, classes: Sequence[str], frame: Frame) -> dict[str, dict[int, str]]:
        """Columns of votes and decisions as a table has them; an empty one only where there is one already."""
        columns = {vote_column(person): labels for person, labels in self.votes.items()}
        if self.votes:
            columns[ADJUDICATED] = self.adjudicated
        return {
            name: {row: classes[code] for row, code in labels.items()}
            for name, labels in columns.items()
            if labels or name in frame.columns
        }

    def merge(self, other: People, classes: Sequence[str], source: Path) -> int:
        """Add the votes and decisions of a file; return how many votes are new.

        InputError if a person said something else before; nothing is added then.
        """
        names = {person: self.enter(person) for person in other.votes}
        for person, labels in other.votes.items():
            _check_same(self.votes[names[person]], labels, person, classes, source)
        _check_same(self.adjudicated, other.adjudicated, ADJUDICATED, classes, source)
        added = 0
        for person, labels in other.votes.items():
            added += len(labels.keys() - self.votes[names[person]].keys())
            self.votes[names[person]] |= labels
        self.adjudicated |= other.adjudicated
        return added

    def listed(self) -> str:
        """Names and numbers of votes, for a message."""
        return ", ".join(f"{person} {len(labels):,}" for person, labels in self.votes.items() if labels)


def _check_same(before: Labels, now: Labels, who: str, classes: Sequence[str], source: Path) -> None:
    conflicts = sorted(row for row, code in now.items() if before.get(row, code) != code)
    if conflicts:
        row = conflicts[0]
        more = f" (so {len(conflicts):,} texts)" if len(conflicts) > 1 else ""
        raise InputError(
            f"{source}: {who} says {classes[now[row]]!r} of the text in row {row + 1:,} of the table, and "
            f"{classes[before[row]]!r} there{more}: clear the wrong one, or give the file another name of a person"
        )


def _labels(codes: NDArray[np.integer]) -> Labels:
    return {row: int(codes[row]) for row in np.flatnonzero(codes >= 0).tolist()}
