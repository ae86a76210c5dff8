"""What an LLM's answer in words says: the class that it names, and the probability of each class at that place."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from silr.annotators.missing import Missing

_THOUGHTS = re.compile(
    r"\A.*</(?:think|thinking|reasoning)>|<(?:think|thinking|reasoning)>.*\Z", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Token:
    """A token of an answer: its text, and log-probabilities of the likeliest tokens at its place, itself included."""

    text: str
    likeliest: tuple[tuple[str, float], ...]


def without_thoughts(answer: str) -> str:
    """Blank out what a reasoning model thinks in tags, so that every other character keeps its place.

    The answer is what follows the last thought. A thought whose opening tag was part of the prompt has no beginning,
    and one that was cut off has no end.
    """
    return _THOUGHTS.sub(lambda thought: " " * len(thought[0]), answer)


def safe_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the words to be answered: the class names, or letters A, B, C, ... where their beginnings are alike.

    A server gives the probabilities of one token, and nobody outside knows where its tokens end. If all names begin
    with different characters, any token that begins one of them belongs to it alone.
    """
    first = [name.strip()[:1].casefold() for name in classes]
    if len(set(first)) == len(first) and all(each.isalnum() for each in first):
        return tuple(classes)
    return tuple(_letter(number) for number in range(len(classes)))


def named_class(answer: str, words: Sequence[str]) -> tuple[int, int] | None:
    """Find the one class that an answer names.

    Parameters
    ----------
    answer : str
        Without thoughts.
    words : sequence of str, of length K
        Words of one letter are recognised in upper case only: an "a" in a sentence is no answer.

    Returns
    -------
    (int, int) or None
        The class and the position of its word; None if no class or several are named.
    """
    found: dict[int, int] = {}
    rest = answer
    for number in sorted(range(len(words)), key=lambda number: -len(words[number])):  # "not positive" before "positive"
        flags = re.IGNORECASE if len(words[number]) > 1 else re.NOFLAG
        pattern = re.compile(rf"(?<!\w){re.escape(words[number])}(?!\w)", flags)
        if match := pattern.search(rest):
            found[number] = match.start()
            rest = pattern.sub(lambda word: " " * len(word[0]), rest)
    return next(iter(found.items())) if len(found) == 1 else None


def class_log_probabilities(tokens: Sequence[Token], position: int, words: Sequence[str]) -> NDArray[np.float64] | None:
    """Log-probabilities of the classes, shape (K,), at the token that holds the character `position` of the answer.

    A listed token counts for the class whose word it begins, if there is one such class only. A class that is not
    listed gets the probability of the least likely listed token, which is the most that it can have.

    Returns
    -------
    array of shape (K,), normalised, or None
        None if the tokens do not make up the answer, or no class is listed.
    """
    lower = [word.casefold() for word in words]
    start = 0
    for token in tokens:
        start += len(token.text)
        if start > position:
            break
    else:
        return None
    mass = np.zeros(len(words))
    for text, log_probability in token.likeliest:
        begin = text.strip().casefold()
        owners = [k for k, word in enumerate(lower) if begin and (word.startswith(begin) or begin == word)]
        if len(owners) == 1:
            mass[owners[0]] += math.exp(min(log_probability, 0.0))
    if not mass.any():
        return None
    least = math.exp(min(min(value for _, value in token.likeliest), 0.0))
    mass = np.maximum(mass, max(least, 1e-12))
    return np.asarray(np.log(mass / mass.sum()))


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"{_letter(number // 26 - 1)}{_letter(number % 26)}"


@dataclass(frozen=True)
class Reading:
    """What an answer says: a class, or the reason why it names none."""

    label: int | None
    missing: Missing | None
    position: int | None
    word: str | None


def read_answer(answer: str, words: Sequence[str], classes: Sequence[str]) -> Reading:
    """Read a whole answer, thoughts included."""
    rest = without_thoughts(answer)
    for names in (words, classes):
        if named := named_class(rest, names):
            return Reading(named[0], None, named[1], names[named[0]])
    if answer.strip() and not rest.strip():
        return Reading(None, Missing.CUT_OFF, None, None)
    several = sum(name.casefold() in rest.casefold() for name in classes) > 1
    return Reading(None, Missing.SEVERAL if several else Missing.NO_CLASS, None, None)
