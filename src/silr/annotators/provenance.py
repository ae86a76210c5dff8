"""Where answers come from: which snapshots of a model gave them, when, and what a server did not take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple

_MOST_NAMED = 5


class Snapshot(NamedTuple):
    """What a server says of the model that answered; empty where it says nothing."""

    model: str = ""  # such as gpt-5-mini-2025-08-07 for gpt-5-mini
    fingerprint: str = ""  # of the system behind it
    provider: str = ""  # of a router

    def __str__(self) -> str:
        more = ", ".join(filter(None, [self.fingerprint, self.provider]))
        return (self.model or "unknown") + (f" ({more})" if more else "")


UNKNOWN = Snapshot()


@dataclass
class Provenance:
    """Of one text's answers, or of many.

    Attributes
    ----------
    answers : Counter of Snapshot
        How many answers each snapshot gave.
    first, last : float
        When the first and the last answer were asked for, seconds since 1970. Infinite and 0 if that is not known.
    left_out : set of str
        Parameters that the server did not take.
    """

    answers: Counter[Snapshot] = field(default_factory=Counter)
    first: float = inf
    last: float = 0.0
    left_out: set[str] = field(default_factory=set)

    def add(self, snapshot: Snapshot, asked: float, left_out: Iterable[str]) -> None:
        """Count an answer; `asked` is 0 if that is not known."""
        self.answers[snapshot] += 1
        self.first, self.last = min(self.first, asked or inf), max(self.last, asked)
        self.left_out.update(left_out)

    def merge(self, other: Provenance) -> None:
        """Take in those of another."""
        self.answers.update(other.answers)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.left_out |= other.left_out

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        answers = [[*snapshot, count] for snapshot, count in self.answers.items()]
        dates = [self.first, self.last] if self.last else None
        return {"answers": answers, "asked": dates, "left_out": sorted(self.left_out)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Provenance:
        """Return what `to_json` gave."""
        answers = Counter({Snapshot(*names): int(count) for *names, count in value["answers"]})
        first, last = value["asked"] or (inf, 0.0)
        return cls(answers, first, last, set(value["left_out"]))

    def describe(self) -> dict[str, object]:
        """Return it for a record: the snapshots that are known, the dates, and what was left out."""
        about: dict[str, object] = {}
        if any(map(any, self.answers)):
            about["snapshots"] = [_described(*pair) for pair in self.answers.most_common()]
        if self.last:
            about["requests"] = {"first": _date(self.first), "last": _date(self.last)}
        return about | ({"left_out": sorted(self.left_out)} if self.left_out else {})

    def lines(self) -> Iterator[str]:
        """Yield who answered, in words; several snapshots are worth a line of their own."""
        known = [(snapshot, count) for snapshot, count in self.answers.most_common() if any(snapshot)]
        dates = f", {_date(self.first)} to {_date(self.last)}" if self.last else ""
        unknown = self.answers[UNKNOWN]
        dates += f"; who gave {unknown:,} other answers is not known" if unknown else ""
        if len(known) > 1:
            shown = ", ".join(f"{snapshot} {count:,}" for snapshot, count in known[:_MOST_NAMED])
            more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
            yield f"answers came from {len(known)} snapshots, which may judge differently: {shown}{more}{dates}"
        elif known:
            yield f"answered by {known[0][0]}{dates}"


def total(parts: Iterable[Provenance]) -> Provenance:
    """Return all in one."""
    whole = Provenance()
    for part in parts:
        whole.merge(part)
    return whole


def together(records: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """Return what records that `Provenance.describe` is part of say, as one."""
    whole = Provenance()
    for record in records:
        for snapshot in record.get("snapshots", ()):
            names = (snapshot.get(name) or "" for name in ("model", "system_fingerprint", "provider"))
            whole.answers[Snapshot(*names)] += int(snapshot["answers"])
        if asked := record.get("requests"):
            first, last = (_seconds(asked[name]) for name in ("first", "last"))
            whole.first, whole.last = min(whole.first, first), max(whole.last, last)
        whole.left_out |= set(record.get("left_out", ()))
    return whole.describe()


def _described(snapshot: Snapshot, count: int) -> dict[str, object]:
    names = {"model": snapshot.model, "system_fingerprint": snapshot.fingerprint, "provider": snapshot.provider}
    return {name: value or None for name, value in names.items() if value or name == "model"} | {"answers": count}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(date: str) -> float:
    return datetime.fromisoformat(date).timestamp()
