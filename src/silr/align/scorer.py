"""Rewards and judges: the probability that a text is of the wanted class."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.export.read import Score


@dataclass(frozen=True)
class Scorer:
    """A reward or a judge."""

    wanted: str  # the class
    scale: str  # of its numbers, in words
    record: Mapping[str, object]  # where it comes from, with a hash of its weights
    _score: Score

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of the wanted class for each text, shape (n,); InputError if one is not a number."""
        unique = list(dict.fromkeys(texts))  # equal texts are read once
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*longer than")  # said of the reward once, not at every step
            scores = np.asarray(self._score(unique), dtype=np.float64)
        if not np.isfinite(scores).all():
            raise InputError(f"{self.record['path']} gives scores that are no numbers (NaN); it cannot be used")
        rows = {text: row for row, text in enumerate(unique)}
        return scores[[rows[text] for text in texts]]


def class_number(wanted: str | None, classes: Sequence[str], path: Path, role: str) -> int:
    """Return the number of the wanted class; InputError if it is not named, or none of the classes."""
    names = ", ".join(classes)
    if wanted is None:
        raise InputError(f"--class: say which class of {path} is wanted ({names})")
    if wanted not in classes:
        raise InputError(f"--class {wanted}: the classes of {role} {path} are {names}")
    return list(classes).index(wanted)
