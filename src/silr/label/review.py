"""Review of gold labels: texts in a fixed order, each with who says what, and a decision of one person.

It stands in the place of a `silr.label.session.Session` for the page and the terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from silr.errors import InputError
from silr.io.reviews import Places, reviews_path, text_key
from silr.label.gold_table import GoldTable
from silr.label.journal import Event, LabelJournal, journal_path
from silr.label.review_columns import Cells, ReviewColumns

Mode = Literal["adjudicate", "again"]
ANY_TABLE = ""  # in the journal's header: its lines name their texts themselves


@dataclass(frozen=True)
class Doubt:
    """A text to decide about."""

    row: int
    said: dict[int, list[str]]  # who says so, by class number
    present: int | None = None  # the gold label now


class Review:
    """Work of one person on texts whose gold label is in doubt, in the order of `doubts`.

    Every decision is in the journal, on the disk, before it counts; `save` moves them into the table, as `gold` and,
    with `adjudicated`, into that column too. The journal stays: what was decided is not asked again. Decisions that an
    earlier process left unsaved are taken up first. `person` is kept with each decision.
    """

    def __init__(
        self,
        table: GoldTable,
        columns: ReviewColumns,
        doubts: Sequence[Doubt],
        mode: Mode,
        person: str | None = None,
    ) -> None:
        self.table, self.mode, self._columns, self._person = table, mode, columns, person
        self.gold: dict[int, int] = {}  # what this session decided, class numbers by row
        self.skipped: set[int] = set()
        self.turn = 0
        self._past: list[tuple[int, Cells | None]] = []  # rows with their cells before; None: skipped
        self._unsaved: dict[int, Cells] = {}
        with ExitStack() as held:
            held.callback(_hold_labels(table).close)
            self._journal = LabelJournal(reviews_path(table.output.resolve()), ANY_TABLE)
            held.callback(self._journal.close)
            self.recovered = self._take_up()
            self._held = held.pop_all()
        taken_up = set(self._unsaved)
        self._doubts = [doubt for doubt in doubts if doubt.row not in taken_up]
        self._by_row = {doubt.row: doubt for doubt in self._doubts}
        self.target = len(self._doubts)

    def _take_up(self) -> int:
        """Take up what an earlier process decided and did not save; return how many decisions these are."""
        events = self._journal.events
        last = max((place for place, event in enumerate(events) if event.get("do") == "saved"), default=-1)
        open_events = events[last + 1 :]
        if not open_events:
            return 0
        places = Places(self.table.texts)
        for event in open_events:
            row = places.row(event)
            try:
                if row is None:
                    raise ValueError
                if event["do"] == "undo":
                    self._unsaved[row] = Cells(*event["back"])
                else:
                    code = self.table.classes.index(event["gold"])
                    self._unsaved[row] = self._columns.decided(row, self.table.classes[code])
            except (KeyError, ValueError, TypeError):
                reason = f"{self._journal.path} has {str(event)[:80]!r}, which does not fit the table"
                raise InputError(f"{reason}; were its texts or classes changed? Move the file away") from None
        return len(self._unsaved)

    # --- what a person does -------------------------------------------------------------------------------------------

    @property
    def current(self) -> int | None:
        """The row to decide about; None if none is left."""
        return next((each.row for each in self._doubts if each.row not in self.gold.keys() | self.skipped), None)

    @property
    def done(self) -> int:
        """How many texts this session decided about."""
        return len(self.gold)

    def label(self, row: int, label: int) -> None:
        """Decide about the current text; InputError if `row` is another, without such a class, or on a full disk."""
        self._check(row)
        if not 0 <= label < len(self.table.classes):
            raise InputError(f"there is no class number {label}")
        before, name = self._columns.cells(row, self._unsaved), self.table.classes[label]
        self._journal.append(self._event("label", row) | {"gold": name, "was": list(before)})
        self._past.append((row, before))
        self.gold[row], self._unsaved[row] = label, self._columns.decided(row, name)
        self._next_turn()

    def skip(self, row: int) -> None:
        """Leave the current text as it is; the next session asks again."""
        self._check(row)
        self._past.append((row, None))
        self.skipped.add(row)
        self._next_turn()

    def undo(self) -> None:
        """Take the last action back; its text is the current one again."""
        if not self._past:
            raise InputError("there is nothing to undo")
        row, before = self._past[-1]
        if before is not None:
            self._journal.append(self._event("undo", row) | {"back": list(before)})
            self._unsaved[row] = before
            del self.gold[row]
        self.skipped.discard(row)
        self._past.pop()
        self.turn += 1

    def more(self) -> None:
        """There are no more than these."""
        raise InputError("no other text is in doubt")

    def _check(self, row: int) -> None:
        if row != self.current:
            raise InputError("that text is not the current one")

    def _next_turn(self) -> None:
        self.turn += 1
        if self.current is None:
            self.save()

    def _event(self, kind: str, row: int) -> Event:
        by = {} if self._person is None else {"as": self._person}
        return {"do": kind, "row": row, "text": text_key(self.table.texts[row]), "for": self.mode, **by}

    # --- what a person sees -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a page shows, for JSON."""
        row, names = self.current, self.table.classes
        doubt = None if row is None else self._by_row[row]
        last = self._past[-1][0] if self._past else -1
        return {
            "turn": self.turn,
            "row": row,
            "text": None if row is None else self.table.texts[row],
            "done": len(self.gold),
            "target": self.target,
            "skipped": len(self.skipped),
            "can_undo": bool(self._past),
            "last": names[self.gold[last]] if last in self.gold else "",
            "seconds_left": None,
            "half_width": None,
            "half_width_at_target": None,
            "width": None,
            "said": [] if doubt is None else [{"name": names[k], "who": who} for k, who in sorted(doubt.said.items())],
            "present": None if doubt is None else doubt.present,
            **({} if self._person is None else {"person": self._person}),
        }

    def result(self) -> dict[str, Any]:
        """Return what came out, for JSON."""
        present = {row: self._by_row[row].present for row in self.gold}
        return {
            "output": str(self.table.output),
            "mode": self.mode,
            "decided": len(self.gold),
            "kept": sum(label == present[row] for row, label in self.gold.items()),
            "changed": sum(label != present[row] for row, label in self.gold.items() if present[row] is not None),
            "new": sum(label is None for label in present.values()),
            "target": self.target,
            "left": self.target - len(self.gold),
            "recovered": self.recovered,
            "classes": {name: list(self.gold.values()).count(k) for k, name in enumerate(self.table.classes)},
        }

    # --- the disk -----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the decisions into the table; the journal keeps them."""
        if self._unsaved:
            self._columns.write(self._unsaved)
            self._unsaved = {}
            self._journal.append({"do": "saved"})

    def close(self) -> None:
        """Save, and end the session."""
        with self._held:
            self.save()


def _hold_labels(table: GoldTable) -> LabelJournal:
    """Keep `silr label` away from the table: both would write its gold labels.

    InputError if it is at work, or left labels that are not in the table yet.
    """
    journal = LabelJournal(journal_path(table.output.resolve()), table.hash)
    if any(event.get("do") in ("label", "undo") and "kept" not in event for event in journal.events):
        journal.close()
        command = f"silr label {shlex.quote(str(table.table))} -n 0"
        raise InputError(f"{journal.path} has labels that are not in the table yet: `{command}` takes them up")
    return journal
