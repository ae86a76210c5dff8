"""How much is known by now: the accuracy of the LLM's labels, and how wide the intervals of the class shares are.

What is shown is of the labels of one person, so that it tells nothing of the votes of others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from silr.estimates.enough import WIDTH, more_for_all
from silr.estimates.ongoing import OngoingShares
from silr.estimates.result import Row
from silr.label.journal import Event
from silr.stats.gold_accuracy import Accuracy

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable
    from silr.label.posterior import Posterior

FEWEST = 10  # gold labels below which no interval is worth reading
FIRST_LOOK = 50  # labels before anybody asks whether the intervals are narrow enough
APART = 10  # labels from one look to the next, at least
NUMERIC = (ArithmeticError, ValueError)  # of numpy and scipy, where a formula has no value; LinAlgError is a ValueError


class Known(NamedTuple):
    """What some gold labels tell."""

    texts: int
    accuracy: Accuracy | None = None
    shares: list[Row] | None = None  # a row a class

    @property
    def widest(self) -> Row | None:
        """The share with the widest interval."""
        return max(self.shares, key=lambda row: row.width) if self.shares else None

    def more(self, width: float) -> int | None:
        """How many more gold labels bring all intervals to this width; None if that is not known."""
        try:
            return more_for_all(self.shares, width, self.texts) if self.shares else None
        except NUMERIC:  # labels by hand go on
            return None


class Precision:
    """What is known after each label of a person, and whether labelling stops: all intervals at most `until` wide.

    An interval that is looked at after every label until it happens to be narrow holds less often than it says. So the
    looks are few: at `FIRST_LOOK` labels, then each time at as many as the look before said would do, and at the number
    that is asked for at most. A width that was reached is an event of the journal, since a later session may look at
    the same labels with other probabilities.

    References
    ----------
    Stein, "A two-sample test for a linear hypothesis whose power is independent of the variance", Annals of
    Mathematical Statistics 16, 1945: the number of observations from those of a first stage. That looks repeat is our
    choice; see benchmarks/until_width.py.
    """

    def __init__(
        self,
        table: GoldTable,
        posterior: Posterior | None = None,
        until: float | None = None,
        person: str | None = None,
    ) -> None:
        self.until, self.wanted, self.now = until, until or WIDTH, Known(len(table.texts))
        self.events: list[Event] = []  # "reached", of anybody, as the journal keeps them
        self._table, self._posterior, self._person = table, posterior, person
        self._shares = OngoingShares(table.codes, table.classes)
        self._next_look = FIRST_LOOK  # at so many labels
        self._more: int | None = None  # labels that bring the intervals to the width that is wanted
        self._ready, self._looked = False, False  # the labels that were there already are narrow enough
        self._stops = True

    def known(self, gold: Mapping[int, int], skipped: Collection[int]) -> Known:
        """What these labels tell; nothing if too few of them judge."""
        table, texts = self._table, len(self._table.texts)
        if len(gold) - len(table.history.only_trains(gold)) < FEWEST:
            return Known(texts)
        weights = table.history.weights(table.strata, gold, skipped)
        probabilities = None if self._posterior is None else self._posterior.latest
        accuracy = table.accuracy(gold, weights, probabilities)
        try:
            return Known(texts, accuracy, self._shares.rows(gold, weights, probabilities))
        except NUMERIC:  # labels by hand go on
            return Known(texts, accuracy)

    def update(self, gold: Mapping[int, int], skipped: Collection[int], most: int, row: int | None) -> Event | None:
        """Look at the labels, the last of which is of this `row`, if it is time.

        If it is the one with which the width is reached, an event is returned that the journal has to keep.
        """
        self.now, done, first = self.known(gold, skipped), len(gold), not self._looked
        self._more = self.now.more(self.wanted)
        widest, self._looked = self.now.widest, True
        if self.until is None or widest is None or self.reached(done) or done < min(self._next_look, most):
            return None
        if widest.width > self.until:
            self._next_look = done + max(APART, self._more or 0)
            return None
        if first or row is None:
            self._ready = True
            return None
        by = {} if self._person is None else {"by": self._person}
        event = {"do": "reached", "row": row, "until": self.until, "gold": done, "width": widest.width, **by}
        self.events.append(event)
        return event

    def remember(self, event: Event) -> None:
        """Take up what an earlier session reached; ValueError or the like if the event is damaged."""
        float(event["until"]), int(event["gold"]), float(event["width"])
        self.events.append(event)

    def undone(self, name: str | None, done: int) -> None:
        """A person has so many labels again."""
        self.events = [event for event in self.events if event.get("by") != name or event["gold"] <= done]
        self._ready &= name != self._person

    def reached(self, done: int) -> bool:
        """Whether the intervals of this person are narrow enough."""
        if self.until is None:
            return False
        mine = [event for event in self.events if event.get("by") == self._person and event["until"] <= self.until]
        return self._ready or any(event["gold"] <= done for event in mine)

    def lift(self) -> None:
        """Labelling goes on beyond the width."""
        self._stops = False

    def target(self, done: int, most: int) -> int:
        """How many labels are wanted; no more than there are once the width is reached."""
        return min(most, done) if self._stops and self.reached(done) else most

    def planned(self, done: int, most: int) -> int:
        """How many labels there will be in all, as far as is known by now."""
        target = self.target(done, most)
        if self.until is None or not self._stops or target <= done:
            return target
        return min(target, max(self._next_look, done + (self._more or 1)))

    def state(self, done: int, most: int) -> dict[str, Any]:
        """What the page shows, for JSON."""
        accuracy, widest, planned = self.now.accuracy, self.now.widest, self.planned(done, most)
        half = None if accuracy is None else (accuracy.interval[1] - accuracy.interval[0]) / 2
        return {
            "target": self.target(done, most),
            "planned": planned,
            "half_width": half,
            "half_width_at_target": None if half is None or done >= planned else half * (done / planned) ** 0.5,
            "width": widest and widest.width,
            "width_wanted": self.wanted,
            "more": self._more if self.until is None else planned - done,
            "until_width": self.until,
            "reached": self.reached(done),
        }

    def result(self, gold: Mapping[int, int], skipped: Collection[int], done: int) -> dict[str, Any]:
        """What came out, for JSON; where no width was wanted, with the labels that one of 5 points needs."""
        known, reached = self.known(gold, skipped), self.reached(done)
        more = known.more(self.wanted)
        if self.until is not None and more is not None:
            more = 0 if reached else max(more, self._next_look - done)
        accuracy, widest, shares = known.accuracy, known.widest, known.shares or []
        return {
            "llm_accuracy": accuracy and accuracy.value,
            "llm_accuracy_interval": accuracy and list(accuracy.interval),
            "shares": {str(row.class_name): [row.value, row.low, row.high] for row in shares},
            "width": widest and widest.width,
            "widest_class": widest and widest.class_name,
            "more_labels": more,
            "more_labels_for": self.wanted,
            "labels": done,
            "until_width": self.until,
            "reached": reached,
        }
