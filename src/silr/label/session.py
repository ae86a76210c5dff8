"""Session of labelling: what is labelled and skipped, what comes next, and how good an estimate it gives by now."""

import statistics
import time
from contextlib import suppress
from typing import Any

import numpy as np

from silr.errors import InputError
from silr.io.codebook import check_gold
from silr.label.adaptive_draw import AdaptiveDraw, draw_adaptively, first_part
from silr.label.draw import Draw
from silr.label.gold_table import GoldTable
from silr.label.journal import Event, LabelJournal, journal_path
from silr.label.posterior import Posterior
from silr.stats.gold_accuracy import Accuracy

FEWEST = 10  # gold labels below which no interval is worth reading
PAUSE = 180.0  # seconds; who takes longer has left the table
MORE = 20


class Session:
    """Work of one person on one table, up to `target` gold labels, those already in the table included.

    Every action is in the journal, on the disk, before it counts; `save` moves them into the table. Actions that an
    earlier process left in the journal are taken up first, and can be undone like one's own.

    With a posterior texts are drawn in rounds: the first half of the target by strata, then by how unsure the posterior
    is. Such a draw depends on what the posterior was just then, so it goes into the journal, with its probability,
    before anybody sees the text; and what was undone is asked about again in its turn. Nothing is ever drawn twice.
    """

    def __init__(
        self,
        table: GoldTable,
        target: int,
        seed: int = 0,
        show_llm_label: bool = False,
        posterior: Posterior | None = None,
    ) -> None:
        self.table, self.target, self.show_llm_label = table, target, show_llm_label
        self.mode = "label"
        self.gold = dict(table.gold)  # class numbers by row
        self.skipped: set[int] = set()  # rows
        self.current: int | None  # the row to label; None if none is left
        self._history = table.history
        self._posterior, self._seed = posterior, seed
        self._past: list[int] = []  # rows labelled or skipped, the last action last
        self._waiting: list[int] = []  # drawn, and neither labelled nor skipped; the last one is the current text
        self._draw = Draw(table.strata, seed)
        self._journal = LabelJournal(journal_path(table.output.resolve()), table.hash)
        try:
            for event in self._journal.events:
                self._apply(event)
            check_gold(table.codebook, table.texts, self.gold, table.output)
            self._waiting = [row for row in self._waiting if row not in table.barred]
            if posterior is None and self._history.adaptive:
                raise InputError(f"{self._journal.path} has draws in rounds: go on without --draw strata")
        except InputError:
            self._journal.close()
            raise
        actions = [event for event in self._journal.events if event["do"] != "draw"]
        self.turn = len(actions)  # who acts says on which turn, so that no key press counts twice
        self.recovered = sum("kept" not in event for event in actions)  # of an earlier process, not in the table
        self.began_with = len(self.gold)
        self._seconds: list[float] = []
        self._unsaved = self.recovered > 0 or (bool(self.gold) and not table.weighted)
        self._look_up()

    # --- what a person does -------------------------------------------------------------------------------------------

    def label(self, row: int, label: int) -> None:
        """Give the current text its label; InputError if `row` is another, without such a class, or on a full disk."""
        self._check(row)
        if not 0 <= label < len(self.table.classes):
            raise InputError(f"there is no class number {label}")
        self._do(self._event("label", row, gold=self.table.classes[label]))

    def skip(self, row: int) -> None:
        """Leave the current text out; another of its stratum takes its place."""
        self._check(row)
        self._do(self._event("skip", row))

    def undo(self) -> None:
        """Take the last action back; its text is the current one again."""
        if not self._past:
            raise InputError("there is nothing to undo")
        self._do({"do": "undo", "row": self._past[-1]})

    def more(self) -> None:
        """Go on beyond the target."""
        self.target = max(self.target, len(self.gold)) + MORE
        self._look_up()

    # --- what a person sees -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a page shows, for JSON. The LLM's label is in it only if asked for."""
        row, done = self.current, len(self.gold)
        half, last = self._half_width, self._past[-1] if self._past else -1
        state = {
            "turn": self.turn,
            "row": row,
            "text": None if row is None else self.table.texts[row],
            "done": done,
            "target": self.target,
            "skipped": len(self.skipped),
            "can_undo": bool(self._past),
            "last": self.table.classes[self.gold[last]] if last in self.gold else "",  # so after a skip
            "seconds_left": self._seconds_left(),
            "half_width": half,
            "half_width_at_target": None if half is None or done >= self.target else half * (done / self.target) ** 0.5,
        }
        if self.show_llm_label and row is not None:
            state["llm_label"] = self.table.classes[self.table.codes[row]]
        return state

    def result(self) -> dict[str, Any]:
        """Return what came out, for JSON: how many labels, and the estimated accuracy of the LLM's."""
        accuracy = self._accuracy()
        return {
            "output": str(self.table.output),
            "gold": len(self.gold),
            "added": len(self.gold) - self.began_with,
            "target": self.target,
            "skipped": len(self.skipped),
            "draw": "strata" if self._posterior is None else "rounds",
            "drawn_by_posterior": sum(row in self.gold for row in self._history.adaptive),
            "only_train": len(self._history.only_trains(self.gold)),
            "classes": {name: list(self.gold.values()).count(k) for k, name in enumerate(self.table.classes)},
            "llm_accuracy": accuracy and accuracy.value,
            "llm_accuracy_interval": accuracy and list(accuracy.interval),
        }

    # --- the disk -----------------------------------------------------------------------------------------------------

    def adopt(self, gold: dict[int, int]) -> None:
        """Take labels from elsewhere, and save at once; they cannot be undone here.

        InputError if one is of a text that is an example of the codebook.
        """
        check_gold(self.table.codebook, self.table.texts, gold, self.table.output)
        self.gold |= gold
        self._history.undrawn |= gold.keys()
        self._waiting = [row for row in self._waiting if row not in gold]
        for row in gold:
            self._history.adaptive.pop(row, None)
        self._unsaved = True
        self.save()
        self._look_up()

    def save(self) -> None:
        """Write the table; the journal keeps what is skipped, since the table has no place for it."""
        if not self._unsaved:
            return
        self.table.save(self.gold, self.skipped)
        self._unsaved = False
        kept = [self._event("skip", row, kept=True) for row in sorted(self.skipped)]
        self._journal.shorten(kept + [self._event("draw", row) for row in self._waiting])

    def close(self) -> None:
        """Save, and end the session."""
        try:
            self.save()
        finally:
            self._journal.close()

    def _check(self, row: int) -> None:
        if self._posterior is not None and len(self.gold) >= self.target:
            raise InputError("all that were asked for are labelled; ask for more")
        if row != self.current:
            raise InputError("that text is not the current one")

    def _do(self, event: Event) -> None:
        before = self.gold.copy(), self.skipped.copy(), self._past.copy(), self._waiting.copy(), self.turn
        self._apply(event)
        self.turn += 1
        self._unsaved = True
        try:  # after `_apply`: wherever Ctrl-C comes, what `close` then saves is no less than the journal
            self._journal.append(event)
        except InputError:
            self.gold, self.skipped, self._past, self._waiting, self.turn = before
            raise
        if event["do"] == "label":
            self._seconds.append(time.monotonic() - self._shown)
        self._look_up()

    def _apply(self, event: Event) -> None:
        try:
            kind, row = event["do"], event.get("row", -1)
            if not 0 <= row < len(self.table.texts) or kind not in ("label", "skip", "undo", "draw"):
                raise ValueError
            if "draw" in event:
                self._history.adaptive[row] = AdaptiveDraw(int(event["draw"]), float(event["probability"]))
            if kind == "draw":
                if row not in self.gold and row not in self.skipped:
                    self._waiting.append(row)
            elif kind == "undo":  # it names its text: what it undoes may be in the table, and no longer in the journal
                self.gold.pop(row, None)
                self.skipped.discard(row)
                self._past = [past for past in self._past if past != row]
                if self._posterior is not None:
                    self._waiting.append(row)
            else:
                if kind == "label":
                    self.gold[row] = self.table.classes.index(event["gold"])
                else:
                    self.skipped.add(row)
                self._past.append(row)
                self._waiting = [waiting for waiting in self._waiting if waiting != row]
        except (KeyError, ValueError, TypeError):
            reason = f"{self._journal.path} has {str(event)[:80]!r}, which does not fit the table"
            raise InputError(f"{reason}; were its classes changed?") from None

    # --- which text comes next ----------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        self.current = self._next()
        self._shown = time.monotonic()
        accuracy = self._accuracy()
        self._half_width = None if accuracy is None else (accuracy.interval[1] - accuracy.interval[0]) / 2
        if self._posterior is not None and first_part(self.target) < self.target:
            self._posterior.update(self.gold)

    def _next(self) -> int | None:
        """Return the row to ask about; a new adaptive draw is on the disk by then."""
        if self._posterior is None:
            return self._draw.next(self.gold, self.skipped | self.table.barred)
        if self._waiting:
            return self._waiting[-1]
        history, posterior = self._history, self._posterior.latest
        by_strata = history.by_strata(self.gold)
        elsewhere = len(self.gold) - len(by_strata) - sum(row in self.gold for row in history.adaptive)
        enough = len(by_strata) >= first_part(self.target - elsewhere)
        number = max((draw.number for draw in history.adaptive.values()), default=0) + 1
        if number == 1 and not (enough and posterior is not None):
            row = self._draw.next(by_strata, self.skipped | self.gold.keys() | self.table.barred)
            if row is not None:
                return row
        taken = np.fromiter(self.gold.keys() | self.skipped | self.table.barred, dtype=np.int64)
        open_rows = np.setdiff1d(np.arange(len(self.table.texts)), taken)
        if not len(open_rows):
            return None
        if len(self.gold) >= self.target:
            return int(open_rows[0])  # any: it is not shown, and the text to ask about is drawn when more are wanted
        row, draw = draw_adaptively(posterior, open_rows, number, self._seed)
        history.adaptive[row] = draw
        self._waiting.append(row)
        with suppress(InputError):  # a full disk: the label will say so, and its line has the draw, too
            self._journal.append(self._event("draw", row))
        return row

    def _event(self, kind: str, row: int, **more: object) -> Event:
        """A line of the journal, with the adaptive draw of the text if there is one."""
        draw = self._history.adaptive.get(row)
        drawn = {} if draw is None else {"draw": draw.number, "probability": draw.probability}
        return {"do": kind, "row": row, **more, **drawn}

    def _accuracy(self) -> Accuracy | None:
        """How often the LLM's labels are right, if enough gold labels judge."""
        if len(self.gold) - len(self._history.only_trains(self.gold)) < FEWEST:
            return None
        probabilities = None if self._posterior is None else self._posterior.latest
        return self.table.accuracy(self.gold, self.skipped, probabilities)

    def _seconds_left(self) -> float | None:
        pace = [seconds for seconds in self._seconds[-20:] if seconds < PAUSE]
        left = self.target - len(self.gold)
        return statistics.median(pace) * left if len(pace) >= 3 and left > 0 else None
