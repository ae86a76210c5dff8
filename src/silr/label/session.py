"""What a person has labelled and skipped, what comes next, and how good an estimate it gives by now."""

from __future__ import annotations

import statistics
import time
from typing import Any

from silr.errors import InputError
from silr.label.draw import Draw
from silr.label.gold_table import GoldTable
from silr.label.journal import LabelJournal, journal_path

KEYS = "1234567890qwertyiopadfghjklxcbn"  # one a class; u is undo, s skip, and the terminal's z stop, v view, m more
FEWEST = 10  # gold labels below which no interval is worth reading
PAUSE = 180.0  # seconds; who takes longer has left the table
MORE = 20


class Session:
    """One person at work on one table.

    Every action is in the journal, on the disk, before it counts; `save` moves them into the table. Actions that an
    earlier process left in the journal are taken up first, and can be undone like one's own.

    Parameters
    ----------
    table : GoldTable
    target : int
        How many gold labels there shall be, those already in the table included.
    seed : int, default 0
    show_llm_label : bool, default False
        Whether `state` tells the LLM's label.

    Attributes
    ----------
    gold : dict
        Class numbers by row.
    skipped : set of int
        Rows.
    current : int or None
        The row to label; None if none is left.
    turn : int
        Counts the actions; who acts says on which turn, so that no key press counts twice.
    recovered : int
        How many actions an earlier process left that are not in the table; skips that were saved do not count.
    """

    def __init__(self, table: GoldTable, target: int, seed: int = 0, show_llm_label: bool = False) -> None:
        self.table, self.target, self.show_llm_label = table, target, show_llm_label
        self.gold = dict(table.gold)
        self.skipped: set[int] = set()
        self.turn = 0
        self._past: list[tuple[str, int]] = []
        self._draw = Draw(table.strata, seed)
        self._journal = LabelJournal(journal_path(table.output.resolve()), table.hash)
        for event in self._journal.events:
            self._apply(event)
        self.recovered = sum("kept" not in event for event in self._journal.events)
        self.began_with = len(self.gold)
        self._seconds: list[float] = []
        self._unsaved = self.recovered > 0 or (bool(self.gold) and not table.weighted)
        self._look_up()

    # --- what a person does -------------------------------------------------------------------------------------------

    def label(self, row: int, label: int) -> None:
        """Give the current text its label.

        Raises
        ------
        InputError
            `row` is not the current text, there is no such class, or the disk is full.
        """
        self._check(row)
        if not 0 <= label < len(self.table.classes):
            raise InputError(f"there is no class number {label}")
        self._do({"do": "label", "row": row, "gold": self.table.classes[label]})

    def skip(self, row: int) -> None:
        """Leave the current text out; another of its stratum takes its place."""
        self._check(row)
        self._do({"do": "skip", "row": row})

    def undo(self) -> None:
        """Take the last action back; its text is the current one again."""
        if not self._past:
            raise InputError("there is nothing to undo")
        self._do({"do": "undo", "row": self._past[-1][1]})

    def more(self) -> None:
        """Go on beyond the target."""
        self.target = max(self.target, len(self.gold)) + MORE

    # --- what a person sees -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a page shows, for JSON. The LLM's label is in it only if asked for."""
        row, done = self.current, len(self.gold)
        half = self._half_width
        state = {
            "turn": self.turn,
            "row": row,
            "text": None if row is None else self.table.texts[row],
            "done": done,
            "target": self.target,
            "skipped": len(self.skipped),
            "can_undo": bool(self._past),
            "last": self._last(),
            "seconds_left": self._seconds_left(),
            "half_width": half,
            "half_width_at_target": None if half is None or done >= self.target else half * (done / self.target) ** 0.5,
        }
        if self.show_llm_label and row is not None:
            state["llm_label"] = self.table.classes[self.table.codes[row]]
        return state

    def result(self) -> dict[str, Any]:
        """Return what came out, for JSON: how many labels, and the estimated accuracy of the LLM's."""
        priors = self.table.priors(self.gold) if len(self.gold) >= FEWEST else None
        return {
            "output": str(self.table.output),
            "gold": len(self.gold),
            "added": len(self.gold) - self.began_with,
            "target": self.target,
            "skipped": len(self.skipped),
            "classes": {name: list(self.gold.values()).count(k) for k, name in enumerate(self.table.classes)},
            "llm_accuracy": priors and priors.accuracy,
            "llm_accuracy_interval": priors and priors.accuracy_interval.tolist(),
        }

    # --- the disk -----------------------------------------------------------------------------------------------------

    def adopt(self, gold: dict[int, int]) -> None:
        """Take labels from elsewhere, and save at once; they cannot be undone here."""
        self.gold |= gold
        self._unsaved = True
        self.save()
        self._look_up()

    def save(self) -> None:
        """Write the table; the journal keeps what is skipped, since the table has no place for it."""
        if not self._unsaved:
            return
        self.table.save(self.gold)
        self._unsaved = False
        self._journal.shorten({"do": "skip", "row": row, "kept": True} for row in sorted(self.skipped))

    def close(self) -> None:
        """Save, and end the session."""
        try:
            self.save()
        finally:
            self._journal.close()

    # ------------------------------------------------------------------------------------------------------------------

    def _check(self, row: int) -> None:
        if row != self.current:
            raise InputError("that text is not the current one")

    def _do(self, event: dict[str, Any]) -> None:
        before = self.gold.copy(), self.skipped.copy(), self._past.copy(), self.turn
        self._apply(event)
        self._unsaved = True
        try:  # after `_apply`: wherever Ctrl-C comes, what `close` then saves is no less than the journal
            self._journal.append(event)
        except InputError:
            self.gold, self.skipped, self._past, self.turn = before
            raise
        if event["do"] == "label":
            self._seconds.append(time.monotonic() - self._shown)
        self._look_up()

    def _apply(self, event: dict[str, Any]) -> None:
        try:
            kind, row = event["do"], event.get("row", -1)
            if not 0 <= row < len(self.table.texts) or kind not in ("label", "skip", "undo"):
                raise ValueError
            if kind == "undo":  # it names its text: what it undoes may be in the table, and no longer in the journal
                self.gold.pop(row, None)
                self.skipped.discard(row)
                self._past = [each for each in self._past if each[1] != row]
            elif kind == "label":
                self.gold[row] = self.table.classes.index(event["gold"])
                self._past.append(("label", row))
            else:
                self.skipped.add(row)
                self._past.append(("skip", row))
        except (KeyError, ValueError, TypeError):
            raise InputError(
                f"{self._journal.path} has {str(event)[:80]!r}, which does not fit the table; were its classes changed?"
            ) from None
        self.turn += 1

    def _look_up(self) -> None:
        self.current = self._draw.next(self.gold, self.skipped)
        self._shown = time.monotonic()
        priors = self.table.priors(self.gold) if len(self.gold) >= FEWEST else None
        self._half_width = None if priors is None else float(priors.accuracy_interval @ [-0.5, 0.5])

    def _last(self) -> str:
        """The class that was given last, "" if the last action was a skip."""
        row = self._past[-1][1] if self._past else -1
        return self.table.classes[self.gold[row]] if row in self.gold else ""

    def _seconds_left(self) -> float | None:
        pace = [seconds for seconds in self._seconds[-20:] if seconds < PAUSE]
        left = self.target - len(self.gold)
        return statistics.median(pace) * left if len(pace) >= 3 and left > 0 else None


def keys(classes: list[str]) -> list[str]:
    """Return the key of each class; "" beyond the last."""
    return [KEYS[number] if number < len(KEYS) else "" for number in range(len(classes))]
