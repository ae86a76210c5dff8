"""The classes that a stretch of an answer names, and whether it affirms them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from silr.annotators.answers.language import courtesies, has_degree, is_negated, is_of_speaker
from silr.annotators.answers.names import Name, Names
from silr.annotators.answers.text import lower, without

SENTENCE_END = re.compile(r"[.!?](?=[\s\"')\]]|\Z)|(?<=[a-z])\.(?=[A-Z])|[;\n]|[。！？!?](?=[\u3040-\u9fff])")
_REACH = 400  # characters around a name that may deny it; it keeps long answers linear
_MOST_MENTIONS = 100  # of a class; a model that has lost itself repeats it for ever
_FEW = 60  # and around a letter


class Stance(Enum):
    """What a mention says of its class."""

    AFFIRMED = auto()
    DENIED = auto()
    ASKED = auto()  # in a question, which is passed over


@dataclass(frozen=True)
class Mention:
    """A class named at a place of the text."""

    name: Name
    place: int
    stance: Stance


@dataclass(frozen=True)
class Cleaned:
    """An answer without markup, with its capitals and in small letters: a character for each of the folded text."""

    cased: str
    low: str

    @classmethod
    def of(cls, cased: str) -> Cleaned:
        """Leave out courtesies ("I'd be happy to help"), and make small letters."""
        low = lower(cased)
        if spans := courtesies(low):
            return cls(without(cased, spans), without(low, spans))
        return cls(cased, low)


class _Sentences:
    """The sentences of a stretch of text."""

    def __init__(self, text: Cleaned, start: int, end: int) -> None:
        self._low = text.low
        self._breaks = [start, *(mark.end() for mark in SENTENCE_END.finditer(text.cased, start, end)), end]

    def around(self, start: int, end: int) -> tuple[str, str]:
        """Return what stands before and after a place in its sentence, in small letters."""
        number = bisect_right(self._breaks, start) - 1
        first, last = self._breaks[number], self._breaks[min(number + 1, len(self._breaks) - 1)]
        return self._low[max(first, start - _REACH) : start], self._low[end : min(last, end + _REACH)]


def mentions(names: Names, text: Cleaned, start: int, end: int) -> Iterator[Mention]:
    """Yield the mentions in a stretch of text: names in any place, letters and the like where an answer is expected."""
    sentences = _Sentences(text, start, end)
    yield from _letters(names, text.cased, sentences, start, end)
    if names.pattern is None:
        return
    seen: Counter[int] = Counter()
    searched = text.low if names.level.case else text.cased
    ending = len(text.cased.rstrip()) if end == len(text.cased) else -1
    for match in names.pattern.finditer(searched, start, end):
        name = names.look_up(match[0])
        if name is None or seen[name.label] == _MOST_MENTIONS:
            continue
        seen[name.label] += 1
        before, after = sentences.around(*match.span())
        beyond = text.low[match.end() : min(end, match.end() + _FEW)]
        is_cut = match.end() < ending <= match.end() + names.longest
        if (
            is_of_speaker(match[0], before)
            or (names.longer[name.label] and has_degree(before, after, beyond))
            or (is_cut and names.begins_longer(text.cased[match.start() : ending], name.label))
        ):
            yield Mention(name, match.start(), Stance.DENIED)
        else:
            yield Mention(name, match.start(), _stance(before, after))


def _stance(before: str, after: str) -> Stance:
    if after.rstrip()[-1:] == "?":
        return Stance.ASKED
    return Stance.DENIED if is_negated(before, after) else Stance.AFFIRMED


_LINE_START = re.compile(r"(?:\A|\n)[\s\"'(\[]*\Z")
_OPEN = re.compile(r"[(\[]\s?\Z")
_SHUT = re.compile(r"\s?[)\]]")
_OVER = re.compile(r"[\"'’)\]]*\s*(?:\Z|[.!,;:)\]\n—。、(]|-\s|[-=]>|→|\b(?:because|since|as|is|fits)\b)")
_AFTER_START = re.compile(r"\s*(?:\Z|[\n):.;!\]—。=→])|\s+[-(]|\s*-\s|,")
_VERB = re.compile(r"\s+(?:is|fits|because|since|as|seems|would|applies|matches|best)\b")
_SHORT_VERB = re.compile(r"\s+(?:is|fits|because|applies)\b")
_CUE = re.compile(
    r"(?:\b(?:answer|option|choice|letter|category|class|label|number|rating|score|rated?|choose|select|pick|grade"
    r"|(?:call|consider) (?:it|this)|go with|(?:rating|score|grade) of"
    r"|(?:give|rate) (?:it|this|the \w{1,12})(?: as)?(?: an?)?(?: (?:rating|score) of)?)"
    r"|[:=→]|->)\s*[\"'(\[]*\s*\Z",
    re.IGNORECASE,
)
_WEAK_CUE = re.compile(
    r"(?:\b(?:is|be|so|to|as|it's|therefore|thus|hence|say|with|clearly|probably|likely|definitely"
    r"|would be)|[是为為はが])"
    r"[\s:,]*[\"'(\[]*\s*\Z",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"(?:\b(?:not|nor|than|neither|no)|n't)\s+(?:an? |the )?(?:option |class |label )?[\"'(\[]*\Z", re.I
)
_JOINED = re.compile(r"[\"')\]]*\s*(?:,|/|\bor\b|\band\b|&|\bvs\b\.?|\bto\b|-)\s*(?:option |the |maybe )?[\"'(\[]*")
_JOINING = re.compile(r"[\w)\]+#](?:/|\s(?:or|and|&|vs\.?|/)\s)\s*[\"'(\[]*\Z")
_PREFIX = re.compile(r"\s?:\s{0,3}\S")  # "A: sports" after "Q: ..."
_ENUMERATION = re.compile(r"[.)]\s+\S")
_RATIO = re.compile(r"[)\]\"'\s]{0,4}(?:/|(?:out )?of)\s?(\d+)")
_UNIT = re.compile(r"\s(?:stars?|points?)\b")
_BOUND = re.compile(
    r"(?:(?<![-=])[<>]=?|[≤≥≮≯]|\b(?:at (?:least|most)|(?:more|less|fewer|higher|lower|greater) than|up to|over|under"
    r"|above|below|beyond|min(?:imum)?|max(?:imum)?|not|except))(?: of)?\s*[\"'(\[]*\Z",
    re.IGNORECASE,
)
_BOUND_AFTER = re.compile(
    r"\s?\+|\s(?:or|and) (?:more|higher|above|less|lower|below|better|worse|fewer|up|over|under)\b"
)
_AFTER_NO = re.compile(r"\s+(?:it|this|that|there|the)\b")


def _letters(names: Names, text: str, sentences: _Sentences, start: int, end: int) -> Iterator[Mention]:
    """Letters, numbers, single characters and common words, where an answer is expected."""
    pattern = names.strict_pattern
    if pattern is None:
        return
    for match in pattern.finditer(text, start, end):
        mark = match[0]
        name = names.strict.get(mark) or names.strict.get(names.level.key(mark))
        is_number = mark.lstrip("+-")[:1].isdecimal()
        if name is None and is_number:
            name = names.number(mark)
        if name is None:
            continue
        before = text[max(start, match.start() - _FEW) : match.start()]
        after = text[match.end() : min(end, match.end() + _FEW)]
        ratio = _RATIO.match(after) if is_number else None
        is_bound = is_number and (_BOUND.search(before) or _BOUND_AFTER.match(after))
        if is_bound or _DENIAL.search(before) or (not ratio and _is_listed(names, name, mark, before, after)):
            yield Mention(name, match.start(), Stance.DENIED)
        elif _is_expected(names, name, mark, before, after, is_number, match.start() - start <= _FEW):
            earlier, later = sentences.around(match.start(), match.end() + (ratio.end() if ratio else 0))
            stance = _stance(earlier, "" if mark.lower() in ("no", "not") else later)
            if ratio and int(ratio[1]) != max(3, *names.numbers):
                stance = Stance.DENIED
            yield Mention(name, match.start(), stance)


def _is_listed(names: Names, name: Name, mark: str, before: str, after: str) -> bool:
    """Whether a letter or number is one of several: "A or B", "C, C++"."""
    if joined := _JOINED.match(after):
        following = after[joined.end() :]
        other = names.leading(following)
        is_other = other is not None and other.label != name.label
        if is_other or (names.strict_pattern and names.strict_pattern.match(following)):
            return mark not in ("A", "I") or joined[0].strip() != ","
    return _JOINING.search(before) is not None and _OVER.match(after) is not None


def _is_expected(names: Names, name: Name, mark: str, before: str, after: str, is_number: bool, is_whole: bool) -> bool:
    """Whether a letter or number stands where an answer does: first, alone, in brackets, or after "answer is"."""
    if after[:1] == "?":
        return False
    if _OPEN.search(before) and _SHUT.match(after):
        return True
    is_rated = is_number and (_RATIO.match(after) or _UNIT.match(after))
    if (first := _LINE_START.search(before)) and (is_whole or first.start()):
        if (mark == "I" and after[:1] == ",") or (mark == "A" and _PREFIX.match(after)):
            return mark == "A" and _is_own(names, name, after.lstrip(" :"))
        if is_number:
            if _ENUMERATION.match(after):
                return False
        elif mark.lower() == "no" and _AFTER_NO.match(after):
            return True
        elif mark.isascii() and mark.isupper():
            verb = _SHORT_VERB if mark in ("A", "I") else _VERB
            if verb.match(after):
                return True
        return bool(_AFTER_START.match(after) or is_rated or _is_own(names, name, after))
    if _CUE.search(before):
        return bool(_OVER.match(after) or is_rated or _is_own(names, name, after))
    return bool(_WEAK_CUE.search(before) and (re.match(r"[\"')\]]*\s*(?:\Z|[.!;)\n。])", after) or is_rated))


def _is_own(names: Names, name: Name, after: str) -> bool:
    """Whether a letter is followed by the name of its class: "B sports"."""
    own = names.leading(after.lstrip(" -"))
    return own is not None and name.label == own.label
