"""What an LLM's answer in words says: the class that it names, or why it names none.

A wrong label is worse than none. An answer gives a class if it is the class's name and nothing else; if a field of
JSON, a tag, a box or a line such as "Final answer: ..." gives it; or if it names this class alone and does not deny it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from silr.annotators.answers.boxes import from_boxes
from silr.annotators.answers.fields import objects
from silr.annotators.answers.language import CORRECTION, REFUSAL, cues, refuses
from silr.annotators.answers.mentions import Cleaned
from silr.annotators.answers.names import Names, letters, names_of
from silr.annotators.answers.reading import Reading, Token, agreed
from silr.annotators.answers.text import end_of_turn, fold, lower, without
from silr.annotators.answers.thoughts import OUTLINE, answer_span, without_thoughts
from silr.annotators.answers.verdicts import Cued, from_objects, from_tags
from silr.annotators.missing import Missing

__all__ = ["Reading", "Token", "class_log_probabilities", "read_answer", "safe_words", "without_thoughts"]

_KEPT_READINGS = 256  # most answers are the same few words
_TIE = 1.0001  # what the class that was answered has more than one of equal probability; float32 keeps it


def read_answer(answer: str, words: Sequence[str], classes: Sequence[str]) -> Reading:
    """Read the one class that an answer, as it came, names.

    `words` (K,) are what was asked for: the class names, letters, or words of the user's. The `classes` (K,) count too.
    """
    return _read_answer(answer, tuple(words), tuple(classes))


@lru_cache(_KEPT_READINGS)
def _read_answer(answer: str, words: tuple[str, ...], classes: tuple[str, ...]) -> Reading:
    names = names_of(words, classes)
    span = answer_span(answer)
    if span is None:
        return Reading(None, Missing.CUT_OFF)
    start = span[0]
    return _read(names, answer[start : end_of_turn(answer, *span)]).moved(start.__add__)


def _read(names: Names, content: str) -> Reading:
    """Read an answer without thoughts; see the head of this module for the order."""
    text = names.fold(content)
    if (bare := names.bare(text.cased)) and bare.label is not None:
        return replace(bare.moved(text.at), is_outright=not names.begins_longer(text.cased.strip(), bare.label))
    if not text.cased.strip(" \t\r\n\"'`*_{}[]()<>"):
        return Reading(None, Missing.CUT_OFF)
    fields = list(objects(content)) if "{" in content or "[" in content else []
    explicit = [*from_objects(names, fields), *from_tags(names, text)]
    answer = content
    is_torn = bool(fields) and fields[-1][1] == len(content) and content.rstrip()[-1:] not in "}]"
    if fields:
        content = without(content, [(begin, end) for begin, end, _ in fields])
        text = names.fold(content)
    boxed, box_lines = from_boxes(names, text)
    explicit += boxed
    outright = agreed(explicit)
    cleaned = Cleaned.of(names.remove_markup(without(text.cased, box_lines)))
    final, plain, concluding = cues(frozenset(names.by_key))
    cued = Cued(names, cleaned, text)
    finals = cued.after(final)
    explicit += [reading for reading in finals if reading is not None]
    if explicit or finals:
        reading = agreed(explicit) or Reading(None, Missing.NO_CLASS)
        is_over = outright is not None and outright.position is not None
        if is_over and is_torn:
            is_over = "," in answer[outright.position :]  # type: ignore[union-attr]  # the value ended before
        return replace(reading, is_outright=is_over and reading.label is not None)
    if OUTLINE.search(cleaned.low) or (is_torn and not cleaned.low.strip()):
        return Reading(None, Missing.CUT_OFF)
    announced = agreed([*(reading for reading in cued.after(plain) if reading), *cued.lone_lines()])
    if announced is not None:
        if announced.label is None:
            return announced
        if CORRECTION.search(cleaned.low) and cued.whole().missing is Missing.SEVERAL:
            return Reading(None, Missing.SEVERAL)
        reading = agreed([announced, *cued.sure_of(concluding)]) or announced
        return replace(reading, is_outright=reading.label is not None and cued.leads())
    if refuses(cleaned.low):
        return Reading(None, Missing.REFUSED)
    reading = cued.whole()
    if reading.label is None and (likeliest := cued.likeliest()) is not None:
        return likeliest
    if reading.missing is Missing.SEVERAL:
        return agreed(cued.sure_of(concluding)) or reading
    if reading.missing is Missing.NO_CLASS and REFUSAL.search(lower(text.cased[:2000])):
        return Reading(None, Missing.REFUSED)
    return reading


def safe_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the words to be answered: the class names, or letters A, B, C, ... where their beginnings are alike.

    A server gives the probabilities of one token, and nobody outside knows where its tokens end. If all names begin
    with different characters, any token that begins one of them belongs to it alone.
    """
    first = [lower(fold(name).cased.strip())[:1] for name in classes]
    if len(set(first)) == len(first) and all(map(str.isalnum, first)):
        return tuple(classes)
    return letters(classes)


def class_log_probabilities(
    tokens: Sequence[Token], position: int, words: Sequence[str], exact: bool = False, answered: int | None = None
) -> NDArray[np.float64] | None:
    """Log-probabilities of the classes, shape (K,), at the token that holds the character `position` of the answer.

    A listed token counts for the class whose word it begins, or is but for marks around it, if there is one such class
    only. Case does not count, unless the words are `exact`: of a model that is held to them, some servers list the
    probabilities before other tokens are ruled out, and some those after. A class that is not listed gets the most that
    it can have: the probability of the least likely listed token, or what the listed ones leave. Of a class that was
    `answered` by its likeliest token, though another has more in all ("neg" beside "negative"), the likeliest tokens
    count; a tie is its own. None: the tokens do not make up the answer, or list no class or nothing beside it.
    """
    ends = accumulate(len(token.text) for token in tokens)
    token, end = next((pair for pair in zip(tokens, ends, strict=True) if pair[1] > position), (None, 0))
    if token is None:
        return None
    before = token.text[: position - end + len(token.text)]
    listed: dict[str, float] = {}
    for text, log_probability in token.likeliest:
        if not math.isnan(log_probability):
            listed[text] = max(listed.get(text, 0.0), math.exp(min(log_probability, 0.0)))
    mass, likeliest = np.zeros(len(words)), np.zeros(len(words))
    for text, probability in listed.items():
        owners = [k for k, word in enumerate(words) if _begins(text.removeprefix(before), word, exact)]
        if len(owners) == 1:
            mass[owners[0]] += probability
            likeliest[owners[0]] = max(likeliest[owners[0]], probability)
    if answered is not None and mass.argmax() != answered and likeliest[answered] == likeliest.max():
        mass = likeliest
        mass[answered] *= _TIE
    if not mass.any() or len(listed) < 2:
        return None
    most = min(min(listed.values()), max(1.0 - sum(listed.values()), 1e-6))
    mass = np.maximum(mass, max(most, 1e-12))
    return np.asarray(np.log(mass / mass.sum()))


def _begins(token: str, word: str, exact: bool) -> bool:
    """Whether a token begins a word, or holds all of it: "pos", " Positive.", "**Pos"."""
    text, whole = fold(token).cased.strip(" \t\r\nĠ▁Ċ"), fold(word).cased
    if not (exact or re.fullmatch("[A-Z]{1,2}", whole)):  # a letter: "a" is none
        text, whole = lower(text), lower(whole)
    if text == whole:
        return True
    text = re.sub(r"\A[\W_]+", "", text) if whole[:1].isalnum() else text
    if whole.startswith(text):
        return bool(text)
    rest = text.removeprefix(whole)
    return rest != text and not (rest[0].isalnum() and rest[0].isascii() and whole[-1:].isascii())
