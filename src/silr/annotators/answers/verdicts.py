"""Where an answer says outright which class it gives: fields, tags and boxes, cues, and lines of their own."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from silr.annotators.answers.fields import Leaf, answer_leaves, is_answer, is_untrue, objects, scored
from silr.annotators.answers.mentions import SENTENCE_END, Cleaned, Stance, mentions
from silr.annotators.answers.names import Names
from silr.annotators.answers.reading import Reading, agreed
from silr.annotators.answers.text import Text
from silr.annotators.missing import Missing

_TAG = re.compile(
    r"<((?:final_?|predicted_?)?(?:answer|label|class|classification|category|sentiment|prediction|result|output"
    r"|response|verdict|solution|decision|topic|stance|emotion))(?:\s[^<>]{0,100})?>(.{1,2000}?)</\1\s*>"
    r"|<\|begin_of_(?:solution|box)\|>(.{1,2000}?)<\|end_of_(?:solution|box)\|>",
    re.IGNORECASE | re.DOTALL,
)
_BOX = re.compile(r"\\f?boxed\s{0,3}\{((?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,200}\}){0,300})\}")
_UNDECIDED = re.compile(
    r"\W{0,4}(?:unclear|unknown|uncertain|undetermined|undecided|n/?a|none|cannot|can't|not|neither|mixed|ambiguous"
    r"|inconclusive|indeterminate|impossible|it depends|depends|null|unsure|i (?:don't|do not|can't|cannot))\b"
)
_HEDGE = re.compile(r"\b(?:could|might|may|can|would|at first|first glance|possibly|perhaps|maybe)\b")
_SHARE = re.compile(r"[\s:=(-]{1,6}(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})\s?(%?)")
_STOPPED = re.compile(r"[.!?:;\"')\]…。！？]\s*\Z")
_MOST_CUES = 50  # a model that has lost itself repeats them for ever
_LONGEST_SENTENCE = 1000
_NEXT_FIELD = re.compile(r",\s{0,3}[a-z_]{3,20}\s?[:=]")
_BLANK = re.compile(r"[\s\"]*")
_ITEM = re.compile(r"\s*(?:[-*•+–]|\d+[.)])\s")


@dataclass(frozen=True)
class Cued:
    """Reads an answer by what announces the class."""

    names: Names
    cleaned: Cleaned  # the answer without markup
    text: Text  # the answer with it, which knows the places in the original

    def after(self, cue: re.Pattern[str], sure: bool = False) -> list[Reading | None]:
        """Return what stands after each cue, up to the end of the sentence; None where that names no class.

        The `sure` pass over what might or could be.
        """
        readings: list[Reading | None] = []
        low, place = self.cleaned.low, 0
        while len(readings) < _MOST_CUES and (match := cue.search(low, place)) is not None:
            begin = _BLANK.match(low, match.end()).end()  # type: ignore[union-attr]
            end = self._sentence_end(begin)
            place = max(match.end(), match.start() + 1)
            if sure and _HEDGE.search(low, begin, end):
                continue
            reading = read_part(self.names, self.cleaned, begin, end)
            if reading is None and _UNDECIDED.match(low, begin):
                reading = Reading(None, Missing.NO_CLASS)
            readings.append(self._moved(reading))
        return readings

    def sure_of(self, cue: re.Pattern[str]) -> list[Reading]:
        """Return the classes that stand after a cue, but for what might or could be."""
        return [reading for reading in self.after(cue, sure=True) if reading and reading.label is not None]

    def lone_lines(self) -> list[Reading]:
        """Return what lines say that hold a class's name alone, if the first or the last line is one."""
        lines = [line for line in re.finditer(r"[^\n]+", self.cleaned.cased) if line[0].strip()]
        if len(lines) < 2:
            return []
        bare = [self.names.bare(line[0]) for line in lines]
        raw = self.text.cased
        leads = bare[0] is not None and not _ITEM.match(raw, lines[1].start())
        gap = raw[lines[-2].end() : lines[-1].start()].replace(" ", "")
        closes = bare[-1] is not None and ("\n\n" in gap or _STOPPED.search(lines[-2][0]) is not None)
        if not (leads or closes):
            return []
        readings = zip(lines, bare, strict=True)
        return [reading.moved(line.start().__add__).moved(self.text.at) for line, reading in readings if reading]

    def leads(self) -> bool:
        """Whether the first of several lines holds a class's name alone."""
        first, _, rest = self.cleaned.cased.strip().partition("\n")
        return bool(rest) and self.names.bare(first) is not None

    def whole(self) -> Reading:
        """Return the one class that the answer names and does not deny."""
        reading = read_part(self.names, self.cleaned, 0, len(self.cleaned.low))
        return self._moved(reading) or Reading(None, Missing.NO_CLASS)

    def likeliest(self) -> Reading | None:
        """Return the likeliest of the classes where all are named with shares that sum to one."""
        shares: dict[int, tuple[float, Reading]] = {}
        pattern = self.names.pattern
        searched = self.cleaned.low if self.names.level.case else self.cleaned.cased
        for match in pattern.finditer(searched) if pattern else ():
            share, name = _SHARE.match(self.cleaned.low, match.end()), self.names.look_up(match[0])
            if share is None or name is None or name.label in shares:
                return None
            shares[name.label] = float(share[1]), name.at(match.start())
        total = sum(share for share, _ in shares.values())
        if len(shares) < 2 or not (abs(total - 1) < 0.02 or abs(total - 100) < 2):
            return None
        return _highest([*shares.values()]).moved(self.text.at)

    def _sentence_end(self, begin: int) -> int:
        last = min(len(self.cleaned.low), begin + _LONGEST_SENTENCE)
        end = SENTENCE_END.search(self.cleaned.cased, begin, last)
        if field := _NEXT_FIELD.search(self.cleaned.low, begin, end.start() if end else last):
            return field.start()
        if end is None:
            return last
        return end.end() if end[0] == "?" else end.start()  # a question keeps its mark

    def _moved(self, reading: Reading | None) -> Reading | None:
        return None if reading is None else reading.moved(self.text.at)


def read_part(names: Names, cleaned: Cleaned, begin: int, end: int) -> Reading | None:
    """Read the one class that a stretch of text is or names; None if it names no class."""
    if bare := names.bare(cleaned.cased[begin:end]):
        return bare.moved(begin.__add__)
    first = None
    labels: set[int] = set()
    is_denied = is_affirmed = False
    for mention in mentions(names, cleaned, begin, end):
        if mention.stance is Stance.ASKED:
            continue
        labels.add(mention.name.label)
        if mention.stance is Stance.DENIED:
            is_denied = True
        else:
            is_affirmed, first = True, first or mention
        if len(labels) > 1 and is_affirmed:
            return Reading(None, Missing.SEVERAL)
    if not labels:
        return None
    return Reading(None, Missing.NO_CLASS) if is_denied or first is None else first.name.at(first.place)


def from_tags(names: Names, text: Text) -> Iterator[Reading]:
    """Read what stands in `<answer>` and the like, and in LaTeX's boxes."""
    for pattern, sign, groups in ((_TAG, "<", (2, 3)), (_BOX, "\\", (1,))):
        for match in pattern.finditer(text.cased) if sign in text.cased else ():
            group = next(group for group in groups if match[group] is not None)
            reading = _of_value(names, match[group])
            if reading is None and (pattern is _BOX or "answer" in match[0].lower()):
                reading = Reading(None, Missing.NO_CLASS)
            if reading is not None:
                yield reading.moved(match.start(group).__add__).moved(text.at)


def from_objects(names: Names, fields: Iterable[tuple[int, int, list[Leaf]]]) -> Iterator[Reading]:
    """Read the objects of JSON in an answer: the fields for the answer, or a number for each class."""
    readings = (_of_object(names, leaves) for _, _, leaves in fields)
    return (reading for reading in readings if reading is not None)


def _of_object(names: Names, leaves: list[Leaf]) -> Reading | None:
    pairs = [(reading, score) for leaf, score in scored(leaves) if (reading := _of_leaf(names, leaf)) is not None]
    if pairs:
        return _highest([(score, reading) for reading, score in pairs])
    if is_untrue(leaves):
        return Reading(None, Missing.NO_CLASS)
    told = answer_leaves(leaves)
    is_told = any(is_answer(leaf) for leaf in told)
    if not is_told:  # a class's number in the field of another is its share
        told = [leaf for leaf in told if names.bare(leaf.field) is None]
    if readings := [reading for leaf in told if (reading := _of_leaf(names, leaf, only_bare=not is_told)) is not None]:
        return agreed(readings)
    shares = [
        (share, name.moved(leaf.field_place.__add__))
        for leaf in leaves
        if (share := leaf.share) is not None and (name := names.bare(leaf.field)) is not None
    ]
    if len(shares) == 1 and not 0.5 < shares[0][0] <= 1:
        return Reading(None, Missing.NO_CLASS)
    if len(shares) > 1 and sorted(share for share, _ in shares) == list(range(1, len(shares) + 1)):
        return Reading(None, Missing.SEVERAL)  # ranks, or marks out of ten: nobody knows
    if shares:
        return _highest(shares)
    return Reading(None, Missing.NO_CLASS) if is_told else None


def _of_leaf(names: Names, leaf: Leaf, only_bare: bool = False) -> Reading | None:
    reading = _of_value(names, leaf.value, only_bare)
    return None if reading is None else reading.moved(lambda place: leaf.place + (place if leaf.is_plain else 0))


def _of_value(names: Names, value: str, only_bare: bool = False) -> Reading | None:
    """Read a field's value; None if it names no class."""
    if value.lstrip()[:1] == "{":
        return agreed(from_objects(names, objects(value)))
    text = names.fold(value)
    reading = names.bare(text.cased)
    if reading is None and not only_bare:
        cleaned = Cleaned.of(names.remove_markup(text.cased))
        reading = read_part(names, cleaned, 0, len(cleaned.low))
    return None if reading is None else reading.moved(text.at)


def _highest(shares: list[tuple[float, Reading]]) -> Reading:
    most = max(share for share, _ in shares)
    return agreed(reading for share, reading in shares if share == most) or Reading(None, Missing.NO_CLASS)
