"""Session of labelling: what is labelled and skipped, what comes next, and how good an estimate it gives by now."""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from silr.errors import InputError
from silr.io.codebook import check_gold
from silr.label.adaptive_draw import AdaptiveDraw, draw_adaptively, first_part
from silr.label.draw import Draw
from silr.label.drawn_order import drawn_order
from silr.label.gold_table import GoldTable
from silr.label.import_votes import ImportedVotes
from silr.label.journal import Event, LabelJournal, journal_path
from silr.label.pace import Pace
from silr.label.people import UNNAMED, Labels, Rule
from silr.label.posterior import Posterior
from silr.label.precision import Precision

OUTSIDE = ("draw", "labelled", "reached")  # lines of the journal that are no actions
MORE = 20


class Session:
    """Work of one person on one table, up to `target` gold labels, those already in the table included.

    Every action is in the journal, on the disk, before it counts; `save` moves them into the table. Actions that an
    earlier process left in the journal are taken up first, and can be undone like one's own.

    With a posterior texts are drawn in rounds: the first half of the target by strata, then by how unsure the posterior
    is. Such a draw depends on what the posterior was just then, so it goes into the journal, with its probability,
    before anybody sees the text; and what was undone is asked about again in its turn. Nothing is ever drawn twice.

    A `person` with a name gives votes: first on the texts that others have labelled, in the order in which they were
    drawn, then on new ones. The target counts this person's labels. Nothing that a person sees tells the votes of
    others. `gold` then has what follows from all votes, by `rule` once they are saved. The journal keeps who labelled
    which text, and when.
    """

    def __init__(
        self,
        table: GoldTable,
        target: int,
        seed: int = 0,
        show_llm_label: bool = False,
        posterior: Posterior | None = None,
        person: str | None = None,
        rule: Rule = "majority",
        until: float | None = None,
    ) -> None:
        self.table, self._most, self.show_llm_label = table, target, show_llm_label
        self.mode = "label"
        self.people, self._rule = table.people, rule
        self.person = None if person is None else self.people.enter(person)
        self.gold: Labels = dict(table.gold)  # class numbers by row
        self.skipped: set[int] = set()  # rows that this person skipped
        self._skipped_by_others: dict[str | None, set[int]] = {}
        self.precision = Precision(table, posterior, until, self.person)
        self._given: list[Event] = []  # labels of people with names, as the journal keeps them
        self.current: int | None  # the row to label; None if none is left
        self._history = table.history
        self._posterior, self._seed = posterior, seed
        self._past: list[int] = []  # rows labelled or skipped, the last action last
        self._waiting: list[int] = []  # drawn, and neither labelled nor skipped; the last one is the current text
        self._draw = Draw(table.strata, seed)
        self._journal = LabelJournal(journal_path(table.output.resolve()), table.hash)
        try:
            if self.people:
                table.check_unchanged()
            for event in self._journal.events:
                self._apply(event)
            check_gold(table.codebook, table.texts, self.answered, table.output)
            self._waiting = [row for row in self._waiting if row not in table.barred]
            if posterior is None and self._history.adaptive:
                raise InputError(f"{self._journal.path} has draws in rounds: go on without --draw strata")
        except InputError:
            self._journal.close()
            raise
        actions = [event for event in self._journal.events if event["do"] not in OUTSIDE]
        self.turn = len(actions)  # who acts says on which turn, so that no key press counts twice
        self.recovered = sum("kept" not in event for event in actions)  # of an earlier process, not in the table
        self.renamed = self._name_gold()
        self.began_with = self.done
        self._pace = Pace()
        self._unsaved = self.recovered > 0 or (bool(self.gold) and not table.weighted)
        self._unsaved |= bool(self.people) and (self.renamed > 0 or rule != "majority" or self.gold != table.gold)
        self._queue = self._texts_of_others()
        self._look_up()

    @property
    def mine(self) -> Labels:
        """The labels of this person, by row; without a name all gold labels."""
        return self.gold if self.person is None else self.people.votes[self.person]

    @property
    def done(self) -> int:
        """How many labels count towards the target."""
        return len(self.mine)

    @property
    def target(self) -> int:
        """How many labels are wanted."""
        return self.precision.target(self.done, self._most)

    def wants(self, number: int) -> bool:
        """Whether somebody is to be asked, up to so many labels: not nobody in particular where people have names."""
        nobody = self.person is None and bool(self.people)
        return self.done < min(number, self.target) and self.current is not None and not nobody

    @property
    def answered(self) -> set[int]:
        """Texts with a label of anybody, with or without a gold label."""
        return self.gold.keys() | self.people.rows()

    def _name_gold(self) -> int:
        """Turn gold labels of nobody into votes where people have names; return how many there are."""
        if not self.people:
            return 0
        nameless = self.people.without_vote(self.gold)
        if nameless:
            self.people.votes.setdefault(UNNAMED, {}).update(nameless)
        self.gold = self.people.gold(len(self.table.classes))
        return len(nameless)

    def _texts_of_others(self) -> list[int]:
        """Texts that other people labelled, in the order in which they were drawn."""
        rows = self.people.others(self.person) if self.person is not None else set()
        return drawn_order(rows - self.table.barred, self._history, self._draw, self._seed) if rows else []

    # --- what a person does -------------------------------------------------------------------------------------------

    def label(self, row: int, label: int) -> None:
        """Give the current text its label; InputError if `row` is another, without such a class, or on a full disk."""
        self._check(row)
        if not 0 <= label < len(self.table.classes):
            raise InputError(f"there is no class number {label}")
        self._do(self._event("label", row, gold=self.table.classes[label], **self._by()))

    def skip(self, row: int) -> None:
        """Leave the current text out; another of its stratum takes its place."""
        self._check(row)
        self._do(self._event("skip", row, **self._by()))

    def undo(self) -> None:
        """Take the last action back; its text is the current one again."""
        if not self._past:
            raise InputError("there is nothing to undo")
        self._do({"do": "undo", "row": self._past[-1], **self._by()})

    def more(self) -> None:
        """Go on beyond the target, and beyond the width that was wanted."""
        self._most = max(self.target, self.done) + MORE
        self.precision.lift()
        self._look_up()

    # --- what a person sees -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a page shows, for JSON. The LLM's label is in it only if asked for."""
        row, done = self.current, self.done
        last = self._past[-1] if self._past else -1
        known = self.precision.state(done, self._most)
        state = {
            "turn": self.turn,
            "row": row,
            "text": None if row is None else self.table.texts[row],
            "done": done,
            "skipped": len(self.skipped),
            "can_undo": bool(self._past),
            "last": self.table.classes[self.mine[last]] if last in self.mine else "",  # so after a skip
            "seconds_left": self._pace.seconds_left(known["planned"] - done),
            **known,
        }
        if self.show_llm_label and row is not None:
            state["llm_label"] = self.table.classes[self.table.codes[row]]
        if self.person is not None:
            state["person"] = self.person
        return state

    def result(self, everyone: bool = False) -> dict[str, Any]:
        """Return what came out, for JSON: how many labels, and the estimated accuracy of the LLM's.

        It is of this person's labels, which tell nothing of the votes of others; with `everyone` of the gold labels.
        """
        gold, skipped = (self.gold, self._left_out()) if everyone else (self.mine, self.skipped)
        return {
            "output": str(self.table.output),
            "gold": len(gold),
            "added": self.done - self.began_with,
            "target": self.precision.planned(self.done, self._most),
            "skipped": len(self.skipped),
            "draw": "strata" if self._posterior is None else "rounds",
            "drawn_by_posterior": sum(row in gold for row in self._history.adaptive),
            "only_train": len(self._history.only_trains(gold)),
            "classes": {name: list(gold.values()).count(k) for k, name in enumerate(self.table.classes)},
            **self.precision.result(gold, skipped, self.done),
        }

    # --- the disk -----------------------------------------------------------------------------------------------------

    def adopt(self, gold: dict[int, int]) -> None:
        """Take labels from elsewhere, and save at once; they cannot be undone here.

        InputError if one is of a text that is an example of the codebook.
        """
        check_gold(self.table.codebook, self.table.texts, gold, self.table.output)
        self.gold |= gold
        self._history.undrawn |= gold.keys()
        for row in gold:
            self._history.adaptive.pop(row, None)
        self._adopted(gold)

    def adopt_votes(self, imported: ImportedVotes) -> int:
        """Take votes from elsewhere, and save at once; return how many are new.

        Texts that have a label here keep what is known of their draw. InputError if a person said something else of a
        text before, or one is an example of the codebook.
        """
        check_gold(self.table.codebook, self.table.texts, imported.people.rows(), imported.path)
        if self._posterior is None and imported.history.adaptive:
            raise InputError(f"the texts of {imported.path} were drawn in rounds: go on without --draw strata")
        self.table.refresh()
        before = self.answered
        added = self.people.merge(imported.people, self.table.classes, imported.path)
        self.renamed += self._name_gold()
        self._history.take(imported.history, self.answered - before)
        self._adopted(self.answered - before)
        return added

    def _adopted(self, rows: Collection[int]) -> None:
        self._waiting = [row for row in self._waiting if row not in rows]
        self._unsaved = True
        self.save()
        self._queue = self._texts_of_others()
        self._look_up()

    def save(self) -> None:
        """Write the table; the journal keeps what is skipped, since the table has no place for it."""
        if not self._unsaved:
            return
        if self.people:
            self.table.refresh()
            self.gold = self.people.gold(len(self.table.classes), self._rule)
        self.table.save(self.gold, self._left_out())
        self._unsaved = False
        kept = []
        for name, rows in {self.person: self.skipped, **self._skipped_by_others}.items():
            by = {} if name is None else {"by": name}
            kept += [self._event("skip", row, kept=True, **by) for row in sorted(rows)]
        votes = self.people.votes
        self._given = [e for e in self._given if votes.get(e["by"], {}).get(e["row"]) == self.table.code(e["gold"])]
        kept += [self._event("draw", row) for row in self._waiting]
        self._journal.shorten(self._given + self.precision.events + kept)

    def close(self) -> None:
        """Save, and end the session."""
        try:
            self.save()
        finally:
            self._journal.close()

    def _check(self, row: int) -> None:
        if self._posterior is not None and self.done >= self.target:
            raise InputError("all that were asked for are labelled; ask for more")
        if row != self.current:
            raise InputError("that text is not the current one")

    def _do(self, event: Event) -> None:
        before = self.gold.copy(), self.skipped.copy(), self._past.copy(), self._waiting.copy(), self.turn
        mine, given = self.mine.copy(), self._given.copy()
        self._apply(event)
        self.turn += 1
        self._unsaved = True
        try:  # after `_apply`: wherever Ctrl-C comes, what `close` then saves is no less than the journal
            self._journal.append(event)
        except InputError:
            self.gold, self.skipped, self._past, self._waiting, self.turn = before
            if self.person is not None:
                self.people.votes[self.person], self._given = mine, given
            raise
        if event["do"] == "label":
            self._pace.label()
        self._look_up()

    def _apply(self, event: Event) -> None:
        try:
            kind, row, name = event["do"], event.get("row", -1), event.get("by")
            if not 0 <= row < len(self.table.texts) or kind not in ("label", "skip", "undo", *OUTSIDE):
                raise ValueError
            if "draw" in event:
                self._history.adaptive[row] = AdaptiveDraw(int(event["draw"]), float(event["probability"]))
            if kind == "labelled":
                self._given.append(event)
            elif kind == "reached":
                self.precision.remember(event)
            elif kind == "draw":
                if row not in self.answered and row not in self._skips():
                    self._waiting.append(row)
            else:
                self._act(kind, row, event, name)
        except (KeyError, ValueError, TypeError):
            reason = f"{self._journal.path} has {str(event)[:80]!r}, which does not fit the table"
            raise InputError(f"{reason}; were its classes changed?") from None

    def _act(self, kind: str, row: int, event: Event, name: str | None) -> None:
        """Label, skip or undo, as the person of that name, None if nobody had one."""
        labels = self.gold if name is None else self.people.votes.setdefault(name, {})
        is_mine = name == self.person
        skipped = self.skipped if is_mine else self._skipped_by_others.setdefault(name, set())
        if kind == "undo":  # it names its text: what it undoes may be in the table, and no longer in the journal
            labels.pop(row, None)
            skipped.discard(row)
            self.precision.undone(name, len(labels))
            self._past = [past for past in self._past if past != row]
            if self._posterior is not None and row not in self.people.rows():
                self._waiting.append(row)
        else:
            if kind == "label":
                labels[row] = self.table.classes.index(event["gold"])
            else:
                skipped.add(row)
            if is_mine:
                self._past.append(row)
            self._waiting = [waiting for waiting in self._waiting if waiting != row]
        if name is not None:
            if kind == "label":
                self._given.append({**{key: event.get(key) for key in ("row", "gold", "by", "at")}, "do": "labelled"})
            decision = self.people.decision(row)
            if decision is None:
                self.gold.pop(row, None)
            else:
                self.gold[row] = decision

    # --- which text comes next ----------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        last = self._past[-1] if self._past else None
        reached = self.precision.update(self.mine, self.skipped, self._most, last)
        if reached is not None:
            with suppress(InputError):  # a full disk: the same command then asks a few more
                self._journal.append(reached)
        self.current = self._next()
        self._pace.show()
        planned = self.precision.planned(self.done, self._most)
        if self._posterior is not None and first_part(planned) < planned:
            self._posterior.update(self.gold)

    def _next(self) -> int | None:
        """Return the row to ask about; a new adaptive draw is on the disk by then."""
        undone = [row for row in self._waiting if row in self._queue]
        others = (row for row in self._queue if row not in self.mine and row not in self.skipped)
        if (row := undone[-1] if undone else next(others, None)) is not None:
            return row
        answered, skips = self.answered, self._skips()
        if self._posterior is None:
            return self._draw.next(answered, skips | self.table.barred)
        if self._waiting:
            return self._waiting[-1]
        history, posterior = self._history, self._posterior.latest
        by_strata = history.by_strata(answered)
        elsewhere = len(answered) - len(by_strata) - sum(row in answered for row in history.adaptive)
        enough = len(by_strata) >= first_part(self.precision.planned(self.done, self._most) - elsewhere)
        number = max((draw.number for draw in history.adaptive.values()), default=0) + 1
        if number == 1 and not (enough and posterior is not None):
            row = self._draw.next(by_strata, skips | answered | self.table.barred)
            if row is not None:
                return row
        taken = np.fromiter(answered | skips | self.table.barred, dtype=np.int64)
        open_rows = np.setdiff1d(np.arange(len(self.table.texts)), taken)
        if not len(open_rows):
            return None
        if self.done >= self.target:
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

    def _by(self) -> dict[str, str]:
        """Who acts and when, for the journal; nothing without a name."""
        return {} if self.person is None else {"by": self.person, "at": datetime.now(UTC).isoformat(timespec="seconds")}

    def _skips(self) -> set[int]:
        """Texts that anybody skipped."""
        return self.skipped.union(*self._skipped_by_others.values())

    def _left_out(self) -> set[int]:
        """Texts that were drawn and have no gold label: skipped, or disputed."""
        return (self._skips() | self.people.rows()) - self.gold.keys()
