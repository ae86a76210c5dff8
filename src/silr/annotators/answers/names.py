"""The names that an answer may give: class names, class words and letters, and the spellings that mean the same."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count, pairwise

from silr.annotators.answers.language import INTENSIFIER
from silr.annotators.answers.reading import Reading
from silr.annotators.answers.text import Text, fold, lower, markup_remover

# Words that stand in any sentence: as a class they count only where an answer is expected.
_COMMON = frozenset(
    (
        *("no", "not", "non", "a", "an", "i", "it", "in", "on", "of", "to", "is", "as", "be", "so", "or", "if", "by"),
        *("at", "for", "and", "the", "he", "we", "me", "us", "am", "off", "any", "all", "ok", "si", "sí", "не"),
    )
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_SEPARATORS = re.compile(r"[\s_-]+")
_LEADING = re.compile(r"[\s_-]*(?=\w)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PREFIX = re.compile(r"(non|anti|pro|pre|semi|un)(?=[a-z]{3})")
_EDGES = " \t\r\n\"'“”*_`()[]{}<>.,:;!$\\/~|。、"
_UNTICKED = re.compile(r"[!~]|[\[({][\s_]{0,3}[\])}]")  # before a name: "!toxic", "~~toxic~~", "[ ] toxic"
_NO_SPACES = (  # scripts without spaces: Thai and Lao, Burmese, Khmer, kana, Chinese characters
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_HANGUL = "\uac00-\ud7a3"
_UNSPACED = re.compile(f"[{_NO_SPACES}]")
_GAP = r"[\s_-]{1,6}"


@dataclass(frozen=True)
class Level:
    """How much is folded: the most that keeps the classes apart."""

    compatible: bool = True
    case: bool = True
    separators: bool = True

    def fold(self, name: str) -> str:
        """Return the folded name, with its capitals."""
        return fold(name, self.compatible).cased

    def key(self, cased: str) -> str:
        """Return what a folded spelling is looked up by."""
        key = lower(cased) if self.case else cased
        if self.separators and not _NUMBER.fullmatch(key):
            key = _SEPARATORS.sub(" ", key).strip() or key.strip()
            key = re.sub(r" ?& ?", " and ", key) if "&" in key else key
            key = re.sub(r" ?/ ?", "/", key) if "/" in key else key
        return key.strip()


_LEVELS = [Level(True, case, separators) for case in (True, False) for separators in (True, False)]
_LEVELS.append(Level(False, False, False))


@dataclass(frozen=True)
class Name:
    """A class's name as it may stand in an answer: the class, and the word or class name as the user spells it."""

    label: int
    spelling: str

    def at(self, place: int) -> Reading:
        """Return the reading of the name at a place of an answer."""
        return Reading(self.label, None, place, self.spelling)


class Names:
    """All names of the classes: the words that were asked for, and the class names."""

    def __init__(self, words: tuple[str, ...], classes: tuple[str, ...]) -> None:
        self.words, self.classes = words, classes
        self.level = level = next((level for level in _LEVELS if self._apart(level)), _LEVELS[-1])
        self.by_key: dict[str, Name] = {}  # names that count anywhere in an answer
        # letters (as capitals), numbers, single characters and common words, which count where an answer is expected
        self.strict: dict[str, Name] = {}
        doubtful: set[str] = set()
        for names, spellings in ((words, None), (classes, None), (classes, _variants)):
            known = set(self.by_key) | set(self.strict)
            for label, name in enumerate(names):
                cased = level.fold(name).strip()
                for spelling in spellings(cased) if spellings else [cased]:
                    is_letter = re.fullmatch("[A-Z]" if name in classes else "[A-Z]{1,2}", spelling)
                    key = spelling if is_letter else level.key(spelling)
                    if not key or key in known:
                        continue
                    target = self.strict if is_letter or _is_strict(key) else self.by_key
                    if (other := target.get(key)) is not None and other.label != label:
                        doubtful.add(key)
                    target.setdefault(key, Name(label, name))
        for key in doubtful:
            self.by_key.pop(key, None), self.strict.pop(key, None)
        marks = {mark for name in (*words, *classes) for mark in level.fold(name) if not mark.isalnum()}
        hyphen = "-" if "-" in self.strict else ""  # a class is a hyphen
        self.remove_markup = markup_remover("".join(marks - set(" _-")) + hyphen)

    def _apart(self, level: Level) -> bool:
        keys = ([level.key(level.fold(name)) for name in names] for names in (self.classes, self.words))
        return all(len(set(spellings)) == len(spellings) for spellings in keys)

    def fold(self, answer: str) -> Text:
        """Fold an answer as the names are."""
        return fold(answer, self.level.compatible)

    def look_up(self, cased: str) -> Name | None:
        """Return what a spelling that the patterns found stands for."""
        return self.by_key.get(self.level.key(cased))

    def leading(self, cased: str) -> Name | None:
        """Return the name that a text begins with."""
        match = self.pattern and self.pattern.match(lower(cased) if self.level.case else cased)
        return self.look_up(match[0]) if match else None

    def bare(self, cased: str) -> Reading | None:
        """Read a text that is a name, white space, quotes and full stops apart."""
        text = cased.strip()
        if len(text) > self.longest:
            return None
        name = self._whole(text)
        if name is None and (inner := text.strip(_EDGES)):
            before, _, after = text.partition(inner)
            text, name = inner, self._whole(inner)
            is_bound = text[:1].isdecimal() and set(before) & set("<>") and not set(after) & set("<>")  # "<3"
            if before and (_UNTICKED.search(before) or is_bound):
                return None
        if name is None:
            return None
        marks = _LEADING.match(text) if self.level.separators and not _is_strict(text) else None
        return name.at(cased.index(text) + (marks.end() if marks else 0))

    def _whole(self, text: str) -> Name | None:
        key = self.level.key(text)
        name = self.by_key.get(key) or self.strict.get(text) or self.strict.get(key)
        is_letter = len(key) <= 2 and (key not in ("a", "i") or text.upper() in self.classes)
        if name is None and is_letter:  # one token of "a politics text" is no A
            name = self.strict.get(text.upper())
        if name is None and _NUMBER.fullmatch(text):
            name = self.number(text)
        if name is None and self.numbers and (value := rating(text, max(self.numbers))) is not None:
            name = self.numbers.get(value)
        return name

    @cached_property
    def longest(self) -> int:
        """Length of the longest bare answer."""
        return (24 if self.numbers else 12) + 2 * max(map(len, (*self.by_key, *self.strict)), default=0)

    @cached_property
    def numbers(self) -> dict[float, Name]:
        """The classes that are numbers, by value; 1.0 is 1."""
        numbers: dict[float, Name] = {}
        for key, name in self.strict.items():
            if _NUMBER.fullmatch(key) and numbers.setdefault(float(key), name).label != name.label:
                return {}
        return numbers

    def number(self, digits: str) -> Name | None:
        """Return the class that is this number; 1.0 is 1, and 01 is another thing."""
        return None if re.match(r"[+-]?0\d", digits) else self.numbers.get(float(digits))

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Finds the names that count anywhere, the longest first of those that begin alike.

        It searches small letters where the level folds case.
        """
        by_border: dict[str, list[str]] = {}
        for key in sorted(self.by_key, key=len, reverse=True):
            by_border.setdefault(_left_border(key[0]), []).append(self._spelled(key))
        alternatives = [f"{border}(?:{'|'.join(spelled)})" for border, spelled in by_border.items()]
        return re.compile("|".join(alternatives)) if alternatives else None

    @cached_property
    def strict_pattern(self) -> re.Pattern[str] | None:
        """Finds letters and other strict names, in text with its capitals."""
        spellings = sorted((key for key in self.strict if not _NUMBER.fullmatch(key)), key=len, reverse=True)
        capitals = [key for key in spellings if key.isupper() and key.isascii()]
        words = [re.escape(key) for key in spellings if key[0].isalnum() and key not in capitals]
        alternatives = [re.escape(key) for key in spellings if not key[0].isalnum()]
        if capitals:
            alternatives.append(rf"(?<![\w'’-])(?<!\w\.)(?:{'|'.join(capitals)})(?![\w'’+#]|-\w|\.\w)")
        if words:
            alternatives.append(rf"(?<!\w)(?i:{'|'.join(words)})(?![\w'’]|-\w)")
        if self.numbers:
            alternatives.append(r"(?<![\w.,/+-])[+-]?\d+(?:\.\d+)?(?!\w|[.,]\d)")
        return re.compile("|".join(alternatives)) if alternatives else None

    @cached_property
    def longer(self) -> dict[int, tuple[str, ...]]:
        """For each class the keys of others that are a degree of it: "very negative" of "negative"."""
        longer: dict[int, tuple[str, ...]] = {}
        for key, name in self.by_key.items():
            others = [other for other, its in self.by_key.items() if its.label != name.label and other.endswith(key)]
            ends = [other for other in others if INTENSIFIER.search(other[: -len(key)])]
            longer[name.label] = (*longer.get(name.label, ()), *ends)
        return longer

    def begins_longer(self, rest: str, label: int) -> bool:
        """Whether the end of an answer may be the beginning of another class's longer name: "science f" """
        key = self.level.key(rest)
        longer = (name for other, name in self.by_key.items() if other.startswith(key) and other != key)
        return any(name.label != label for name in longer)

    def _spelled(self, key: str) -> str:
        parts = _SEPARATORS.split(key) if self.level.separators else [key]
        parts = [re.escape(part) for part in parts if part] or [re.escape(key)]
        digits = [before[-1:].isdigit() and after[:1].isdigit() for before, after in pairwise(parts)]
        gaps = [r"\s{0,4}-\s{0,4}" if between else _GAP for between in digits]
        text = parts[0] + "".join(gap + part for gap, part in zip(gaps, parts[1:], strict=True))
        text = text.replace(f"{_GAP}and{_GAP}", r"(?:[\s_-]{1,6}and[\s_-]{1,6}|[\s_-]{0,6}&[\s_-]{0,6})")
        text = text.replace("'", "'?").replace("/", r"\s{0,3}/\s{0,3}")
        return text + _right_border(key[-1])


def _left_border(first: str) -> str:
    if _UNSPACED.match(first):
        return ""
    if first.isdigit():
        return r"(?<!\w)(?<!\d[.,/])(?<![+-])"
    if first.isalnum():
        return rf"(?<![^\W{_NO_SPACES}])"
    return f"(?<!{re.escape(first)})"


def _right_border(last: str) -> str:
    if _UNSPACED.match(last) or re.match(f"[{_HANGUL}]", last):
        return ""
    if last.isdigit():
        return r"(?!\w|[.,/]\d)"
    if last.isalnum() or unicodedata.category(last)[0] == "M":
        return rf"(?![^\W{_NO_SPACES}{_HANGUL}]|[+#])"
    return f"(?!{re.escape(last)})"


def _variants(cased: str) -> Iterable[str]:
    """Other spellings: NotToxic as "not toxic", pro-life as "prolife", nonfiction as "non-fiction", U.S. as "U.S"."""
    if len(cased) > 3:
        yield cased.rstrip(".!:;, ")
        yield _HUMP.sub(" ", cased)
        if _SEPARATORS.search(cased.strip("_-")) and re.search("[_-]", cased):
            yield _SEPARATORS.sub("", cased)
        if _PREFIX.match(cased.lower()):
            yield _PREFIX.sub(r"\1 ", cased.lower())
        if cased.lower().startswith("non "):
            yield "non" + cased[4:]
        if "'" in cased:
            yield cased.replace("'", "")


def _is_strict(key: str) -> bool:
    if key in _COMMON or _NUMBER.fullmatch(key):
        return True
    signs = [unicodedata.category(character) == "So" for character in key]
    return not any(signs) if len(key) == 1 else not (any(signs) or any(map(str.isalnum, key)))


names_of = lru_cache(maxsize=64)(Names)  # made once for each set of classes


def letters(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a letter for each class: A, B, C, ..., Z, AA, AB, ...

    A class whose name is a letter keeps it, and no other class gets it.
    """
    names = [name.strip() for name in classes]
    taken = {name.upper() for name in names}
    free = (letter for letter in map(_letter, count()) if letter not in taken)
    return tuple(name if re.fullmatch("[A-Z]", name) else next(free) for name in names)


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"{_letter(number // 26 - 1)}{_letter(number % 26)}"


# --- ratings that are not written in digits: "four", "★★★★☆", "4️⃣", "2 of 5 stars" ------------------------------------

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_AMOUNT = rf"(?:0|[1-9]\d?|{'|'.join(_WORDS)})"
_RATING = re.compile(
    rf"({_AMOUNT})\u20e3?(?:\s?(?:/|(?:out\s)?of)\s?({_AMOUNT}))?(?:[\s-](?:stars?|points?)|\s?[★⭐🌟])?", re.IGNORECASE
)
_STARS = re.compile("([★⭐🌟✭✮]{1,10})([☆✩✰]{0,10})")


def rating(text: str, most: float) -> float | None:
    """Return the number that a whole answer stands for, folded and without marks around it; None if it is none.

    `most` is the highest class: "2 of 10" and "★★☆" are none of classes up to 5.
    """
    if stars := _STARS.fullmatch(text):
        full, empty = map(len, stars.groups())
        return full if full + empty == most or (not empty and full <= most) else None
    match = _RATING.fullmatch(text)
    return None if match is None or (match[2] and _value(match[2]) != most) else float(_value(match[1]))


def _value(amount: str) -> int:
    return int(amount) if amount.isdecimal() else _WORDS.index(amount.lower())
