"""The result of reading an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from silr.annotators.answer_names import Name
from silr.annotators.missing import Missing


@dataclass(frozen=True)
class Reading:
    """What an answer says.

    Attributes
    ----------
    label : int or None
        The class, None if there is none.
    missing : Missing or None
        Why there is none.
    position : int or None
        Where the word that names the class begins in the answer.
    word : str or None
        The one of the given words and class names that it is, as it was given.
    is_outright : bool
        Whether it would say the same if the answer went on: a bare name, a field, a tag, a ticked box, or a first line
        that holds a name alone.
    """

    label: int | None
    missing: Missing | None
    position: int | None = None
    word: str | None = None
    is_outright: bool = False


def named(name: Name, position: int) -> Reading:
    """Return the reading of a class's name."""
    return Reading(name.label, None, position, name.given)


def agreed(readings: Iterable[Reading]) -> Reading | None:
    """Return what all readings say: the first, if none contradicts it; None of no readings."""
    readings = list(readings)
    labels = {reading.label for reading in readings if reading.label is not None}
    if len(labels) > 1 or any(reading.missing is Missing.SEVERAL for reading in readings):
        return Reading(None, Missing.SEVERAL)
    without = [reading for reading in readings if reading.label is None]
    return next(iter(without or readings), None)
