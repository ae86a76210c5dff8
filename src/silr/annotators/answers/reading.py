"""The result of reading an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from silr.annotators.missing import Missing


@dataclass(frozen=True)
class Reading:
    """The class that an answer gives, or why it gives none."""

    label: int | None
    missing: Missing | None
    position: int | None = None  # where the word that names the class begins in the answer
    word: str | None = None  # the one of the given words and class names that it is, as it was given
    # it would say the same if the answer went on: a bare name, a field, a tag, a ticked box, or a name's own first line
    is_outright: bool = False

    def moved(self, place: Callable[[int], int]) -> Reading:
        """Return the reading with its position in another text."""
        return self if self.position is None else replace(self, position=place(self.position))


def agreed(readings: Iterable[Reading]) -> Reading | None:
    """Return what all readings say: the first, if none contradicts it; None of no readings."""
    readings = list(readings)
    labels = {reading.label for reading in readings if reading.label is not None}
    if len(labels) > 1 or any(reading.missing is Missing.SEVERAL for reading in readings):
        return Reading(None, Missing.SEVERAL)
    return min(readings, key=lambda reading: reading.label is not None, default=None)


class Token(NamedTuple):
    """A token of an answer, and log-probabilities of the likeliest tokens at its place, itself included."""

    text: str
    likeliest: tuple[tuple[str, float], ...]
