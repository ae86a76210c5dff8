"""Check boxes and verdicts beside each class: "[x] positive", "❌ toxic", "_ negative", "positive: no", and tables."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from silr.annotators.answers.language import has_degree
from silr.annotators.answers.mentions import Cleaned
from silr.annotators.answers.names import Names
from silr.annotators.answers.reading import Reading, agreed
from silr.annotators.answers.text import Text, lower
from silr.annotators.answers.verdicts import read_part
from silr.annotators.missing import Missing

_TICKS, _CROSSES, _BLANKS = "☑✅✔✓🗹●◉🔘", "❌✗✘✖🚫☒", "☐⬜○◯□▢◻🔲"
_BOX = re.compile(
    rf"[\[({{]\s{{0,3}}(?P<tick>[xX{_TICKS}*])\s{{0,3}}[\])}}]|[\[({{](?:\s{{0,3}}[{_CROSSES}_-]\s{{0,3}}|\s{{1,3}})[\])}}]|\[\]"
    rf"|(?P<sign>[{_TICKS}{_CROSSES}{_BLANKS}])"
)
# A form that was filled in without brackets. A cross may also mean "no", so there has to be an empty line, too.
_BARE = re.compile(r"(?<!\S)(?:(?P<tick>_{0,8}[xX]_{0,8})|_{1,10})(?!\S)")
_YES = "yes|true|y|ja|oui|sí|да|是"
_NO = "no|false|n|n/a|nein|non|нет|否"
_VERDICT = re.compile(rf"\s{{0,4}}[\"*_]{{0,3}}(?:(?P<yes>{_YES})|{_NO})[\"*_]{{0,3}}[\s.|]{{0,20}}", re.IGNORECASE)
_PAIR = re.compile(
    rf"([^:=|,;?\n]{{1,100}})(?:(?P<asked>\?)\s?[:–-]?|[:=|]|\s[-–]\s)({_VERDICT.pattern})(?:[,;]|\Z|(?<=[.|]\s))",
    re.IGNORECASE,
)
_PARTLY = re.compile(r"\b(?:only|just|all|both|more|most|even|still|so|too)\b")  # "no" to it says nothing of the rest
_ANY = re.compile(rf"[{_TICKS}{_CROSSES}{_BLANKS}]|[\[({{]\s{{0,3}}[xX*_-]?\s{{0,3}}[\])}}]")
_ANY_VERDICT = re.compile(rf"[:=|?–-]\s{{0,4}}[\"*_]{{0,3}}(?:{_YES}|{_NO})(?!\w)", re.IGNORECASE)
_ITEM = re.compile(r"[\s|>*•·+–-]*(?:\d{1,3}[.)]\s)?[\s|>*•·+–-]*")
_EDGES = " \t|:=–-*_,;>"
_MOST = 60  # items; more are no list of classes
_LONGEST = 300  # characters of an item


@dataclass(frozen=True)
class _Entry:
    """What stands beside a mark, which ticks it or not."""

    reading: Reading | None
    is_ticked: bool
    is_blank: bool = False
    is_question: bool = False  # it was asked about: "positive? no"


def from_boxes(names: Names, text: Text) -> tuple[list[Reading], list[tuple[int, int]]]:
    """Read the one class that is ticked among several, or that has a "yes"; one that is not ticked is never given.

    Returned is also where the lines with boxes are, if these were read: a "Final answer:" before them says no more.
    """
    cased, keys = text.cased, (*names.by_key, *names.strict)
    has_boxes = _ANY.search(cased) is not None and not any(map(_BOX.search, keys))
    has_verdicts = _ANY_VERDICT.search(cased) is not None and not any(map(_VERDICT.fullmatch, keys))
    pattern = _BOX if has_boxes else _BARE if _has_bare_marks(cased) else None
    if not (pattern or has_verdicts) or (pattern and not {"X", "x"}.isdisjoint(keys)):
        return [], []
    lines = list[tuple[int, int]]()
    reading = _decided(list(_entries(names, cased, pattern, has_verdicts, lines)), len(names.classes))
    return ([], []) if reading is None else ([reading.moved(text.at)], lines)


def _has_bare_marks(cased: str) -> bool:
    """Whether something is ticked, and something else is not, without brackets."""
    if "_" not in cased:
        return False
    return len({mark["tick"] is None for mark in _BARE.finditer(cased)}) == 2


def _decided(entries: list[_Entry], n_classes: int) -> Reading | None:
    ticked = [entry for entry in entries if entry.is_ticked]
    others = [entry.reading for entry in entries if not entry.is_ticked and entry.reading is not None]
    chosen = [entry.reading for entry in ticked if entry.reading is not None]
    if chosen:
        if len(chosen) < len(ticked):
            return Reading(None, Missing.NO_CLASS) if others else None  # ticks may be ornaments
        if {reading.label for reading in chosen} & {reading.label for reading in others}:
            return Reading(None, Missing.SEVERAL)
        return agreed(chosen)
    if others and (ticked or any(entry.is_blank for entry in entries)):
        return Reading(None, Missing.NO_CLASS)
    denied = {entry.reading and entry.reading.label for entry in entries if entry.is_question} - {None}
    if n_classes == 2 and len(denied) == 1 and all(entry.is_question for entry in entries):
        return Reading(1 - denied.pop(), None)  # type: ignore[operator]  # None was taken out
    return None


def _entries(
    names: Names, cased: str, pattern: re.Pattern[str] | None, has_verdicts: bool, lines: list[tuple[int, int]]
) -> Iterator[_Entry]:
    """Yield what is ticked or judged, and an entry without reading for any other line; boxes are put into `lines`."""
    count, header = 0, list[tuple[int, int]]()
    for line in re.finditer(r"[^\n]+" if pattern else r"(?:[^\n]|(?<=\?)\n)+", cased):
        if count > _MOST:
            return
        start = _ITEM.match(cased, line.start(), line.end()).end()  # type: ignore[union-attr]
        marks = list(pattern.finditer(cased, start, line.end()))[:_MOST] if pattern else []
        entries: Iterable[_Entry] = ()
        if marks:
            lines.append(line.span())
            entries = _boxed(names, cased, marks, start, line.end())
        elif has_verdicts:
            cells = _cells(cased, line.start(), line.end())
            verdicts = [_VERDICT.fullmatch(cased, *cell) for cell in cells]
            if len(cells) > 1 and len(cells) == len(header) and all(verdicts):
                heads = [_read(names, cased, *head) for head in header]
                entries = [_Entry(*pair) for pair in zip(heads, map(_is_yes, verdicts), strict=True)]
            else:
                entries = _judged(names, cased, start, line.end())
            if len(cells) > 1 and not set(line[0]) <= set("|-: \t"):
                header = cells
        before = count
        for entry in entries:
            count += 1
            yield entry
        if count == before and line[0].strip():
            yield _Entry(None, False)


def _boxed(names: Names, cased: str, marks: list[re.Match[str]], start: int, end: int) -> Iterator[_Entry]:
    """Marks stand before what they judge if the line, or what follows a colon, begins with one, else behind it."""
    before = cased[start : marks[0].start()]  # such as "Final answer:"
    part = Cleaned.of(names.remove_markup(before))
    is_heading = before.rstrip().endswith((":", "=")) and read_part(names, part, 0, len(part.low)) is None
    if not before or is_heading:
        spans = [(mark.end(), after) for mark, after in zip(marks, [*(m.start() for m in marks[1:]), end], strict=True)]
    else:
        spans = [(before, m.start()) for before, m in zip([start, *(m.end() for m in marks[:-1])], marks, strict=True)]
    has_open_box = "☐" in cased and "☑" not in cased
    for mark, span in zip(marks, spans, strict=True):
        sign = mark.groupdict().get("sign") or ""
        is_ticked = mark["tick"] is not None or (bool(sign) and sign in _TICKS) or (sign == "☒" and has_open_box)
        is_blank = not is_ticked and (not sign or sign in _BLANKS)
        yield _Entry(_read(names, cased, *span), is_ticked, is_blank)


def _judged(names: Names, cased: str, start: int, end: int) -> Iterator[_Entry]:
    """Pairs of a class and "yes" or "no", if a line is nothing else."""
    place, entries = start, []
    while place < end and (pair := _PAIR.match(cased, place, end)) is not None:
        reading = _read(names, cased, *pair.span(1))
        if reading is None:
            return
        is_question = pair["asked"] is not None
        if is_question and reading.position is not None:
            before = lower(cased[pair.start() : reading.position])
            if has_degree(before, "", "") or _PARTLY.search(before):
                return
        entries.append(_Entry(reading, _is_yes(pair), is_question=is_question))
        place = pair.end()
    if place >= end:
        yield from entries


def _read(names: Names, cased: str, begin: int, end: int) -> Reading | None:
    item = cased[begin:end].strip(_EDGES)
    begin = cased.index(item, begin)
    if not 0 < len(item) <= _LONGEST:
        return None
    part = Cleaned.of(names.remove_markup(item))
    reading = names.bare(item) or read_part(names, part, 0, len(part.low))
    return None if reading is None or reading.position is None else reading.moved(begin.__add__)


def _cells(cased: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Where the cells of a table's row are."""
    if "|" not in cased[begin:end]:
        return []
    cells = [cell.span() for cell in re.finditer(r"[^|]+", cased[begin:end]) if cell[0].strip()]
    return [(begin + first, begin + last) for first, last in cells][:_MOST]


def _is_yes(verdict: re.Match[str] | None) -> bool:
    return verdict is not None and verdict["yes"] is not None
