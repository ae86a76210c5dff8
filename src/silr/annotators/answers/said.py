"""Confidence and reason in an answer, in fields of JSON or in lines."""

import re
from collections.abc import Iterator

from silr.annotators.answers.fields import Leaf, objects
from silr.annotators.answers.thoughts import answer_span
from silr.annotators.said import Said, one_line

_CONFIDENCE = r"confiden\w*|certainty|likelihood|probability"
_REASON = r"reason(?:ing|s)?|explanation|rationale|justification|why"
_NUMBER = r"(\d{1,6}(?:[.,]\d{1,12})?)"
_ABOUT = r"\s*(?:about|around|approximately|roughly|[~≈])?\s*"
_FRACTION = re.compile(rf"{_ABOUT}{_NUMBER}\s*%?\s*(?:/|out of|of)\s*{_NUMBER}\s*%?", re.IGNORECASE)
_PERCENT = re.compile(rf"{_ABOUT}{_NUMBER}\s*(?:%|％|per ?cent)", re.IGNORECASE)
_PLAIN = re.compile(rf"{_ABOUT}{_NUMBER}")
_AFTER = re.compile(r"\s*\([^()]*\)\s*\Z")
_LONGEST = 60  # characters; what is longer is no number


def read_said(answer: str) -> Said:
    """Read how sure an answer is and why, by the names of fields or lines; what cannot be read is left empty."""
    span = answer_span(answer)
    content = "" if span is None else answer[span[0] : span[1]]
    leaves = [leaf for _, _, inner in objects(content) for leaf in inner]
    confidence = next((parse_confidence(value) for value in _values(leaves, content, _CONFIDENCE)), None)
    reason = next((one_line(value.strip(" \t\"'*_")) for value in _values(leaves, content, _REASON)), "")
    return Said(confidence, reason)


def parse_confidence(value: str) -> float | None:
    """Return a confidence as a share; None if it is none, or may mean two things.

    "85", "85 %", "85/100", "0.85", "0,85" and "8.5 out of 10" can be read. A number with decimals up to 1 is a share,
    and any other counts up to 100. A bare "1" may be one per cent or certainty, so it says nothing. Neither do words.
    """
    text = _AFTER.sub("", value.strip(" \t\r\n\"'*_`").rstrip("."))
    if len(text) > _LONGEST:
        return None
    if match := _FRACTION.fullmatch(text):
        part, whole = _float(match[1]), _float(match[2])
        return part / whole if 0 <= part <= whole and whole > 0 else None
    if match := _PERCENT.fullmatch(text):
        return _share(_float(match[1]) / 100)
    if match := _PLAIN.fullmatch(text):
        number = _float(match[1])
        if number <= 1 and re.search("[.,]", match[1]):
            return number
        return None if number == 1 else _share(number / 100)
    return None


def _values(leaves: list[Leaf], content: str, names: str) -> Iterator[str]:
    """Yield what fields and lines of such names hold."""
    field = re.compile(rf"(?:\w+[_\s-])?(?:{names})(?:[_\s-]\w+)?", re.IGNORECASE)
    yield from (leaf.value for leaf in leaves if field.fullmatch(leaf.field))
    if not leaves:
        line = rf"^\W*(?:your |my )?(?:{names})(?:\s?\([^()\n]{{0,40}}\)|\s(?:score|level))?\W{{0,3}}[:：=]\s*(\S.*)$"
        yield from (match[1] for match in re.finditer(line, content, re.IGNORECASE | re.MULTILINE))


def _float(digits: str) -> float:
    return float(digits.replace(",", "."))


def _share(share: float) -> float | None:
    return share if 0 <= share <= 1 else None
