"""An answer's text, folded: spellings of the same characters are made alike, and markup is blanked out."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

_ALIKE = (
    dict.fromkeys(map(ord, "’‘‛ʼʹ′´＇"), "'")
    | dict.fromkeys(map(ord, "‐‑‒–−﹣－⁃"), "-")
    | dict.fromkeys(map(ord, "“”„‟«»‹›「」『』〝〞＂"), '"')
    | dict.fromkeys([0x00AD, 0x061C, *range(0x200B, 0x200D), 0x200E, 0x200F, *range(0x202A, 0x202F)], "")
    | dict.fromkeys([*range(0x2060, 0x2065), *range(0x2066, 0x206A), 0xFEFF], "")
    | dict.fromkeys([*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)], "")  # variations and skin tones of emoji
    | {ord("İ"): "I", ord("ı"): "i", ord("ß"): "ss", ord("ẞ"): "SS", ord("ς"): "σ", ord("ſ"): "s"}
)
# A character with what normalisation may join to it: accents, voicing marks of kana, parts of a Hangul syllable.
_UNIT = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#x[0-9a-fA-F]{1,6});"
    r"|.[\u0300-\u036f\u0653-\u0655\u093c\u09bc\u0a3c\u3099\u309a\uff9e\uff9f\u1160-\u11ff]*",
    re.DOTALL,
)


@dataclass(frozen=True)
class Text:
    """A folded text."""

    cased: str  # with its capitals
    origin: list[int] | None = None  # for each character its index in the original; None if they are the same

    def at(self, index: int) -> int:
        """Return the index in the original."""
        return index if self.origin is None else self.origin[index]


def fold(text: str, compatible: bool = True) -> Text:
    """Fold width, composition, apostrophes, hyphens, quotes and invisible characters; case is left.

    For class names that differ in nothing else, not even `compatible` characters are made alike: composition alone.
    """
    if text.isascii() and not (compatible and "&" in text and ";" in text):
        return Text(text)
    fold_unit = _fold_unit if compatible else partial(unicodedata.normalize, "NFC")
    parts, origin = [], []
    for unit in _UNIT.finditer(text):
        part = fold_unit(unit[0])
        parts.append(part)
        origin += [unit.start()] * len(part)
    return Text("".join(parts), origin)


def lower(text: str) -> str:
    """Small letters, one for each character."""
    small = text.lower().replace("ς", "σ")
    return small if len(small) == len(text) else "".join(character.lower()[0] for character in text)


def without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Blank out stretches of a text, given in order."""
    parts, place = [], 0
    for begin, end in spans:
        parts += [text[place:begin], " " * (end - begin)]
        place = end
    return "".join([*parts, text[place:]])


@lru_cache(maxsize=65536)
def _fold_unit(unit: str) -> str:
    if len(unit) > 2 and unit[0] == "&" and unit[-1] == ";":
        unit = html.unescape(unit)
    return unicodedata.normalize("NFKC", unit.translate(_ALIKE)).translate(_ALIKE)


_END_OF_TURN = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|end|endoftext|end_of_text|end_of_turn|return|user|END_RESPONSE\|?)\|?>"
    r"|<｜[\w▁]{1,40}｜>|</s>|<eos>|<end_of_turn>|<start_of_turn>|\[/?INST\]",
    re.IGNORECASE,
)


def end_of_turn(answer: str, start: int, end: int) -> int:
    """Return where the model's turn ends: some servers send what it makes up afterwards."""
    for mark in _END_OF_TURN.finditer(answer, start, end):
        if answer[start : mark.start()].strip():
            return mark.start()
    return end


def blanked(match: re.Match[str]) -> str:
    """Spaces in place of the match; line breaks stay."""
    return re.sub(r"[^\n]", " ", match[0])


def _bracketed(match: re.Match[str]) -> str:
    """`**B**` becomes ` (B) `."""
    before, inner, after = match[1], match[2], match[3]
    return " " * (len(before) - 1) + "(" + inner + ")" + " " * (len(after) - 1)


def markup_remover(kept: str) -> Callable[[str], str]:
    """Return a function that blanks markup out, each character in its place; `kept` are those of class names.

    Struck-out text goes altogether. A short emphasised word stands in round brackets afterwards.
    """
    bullets = re.escape("".join(sorted(set("-•·–+") - set(kept))))
    rules: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
        (re.compile(r"~~[^~\n]{1,400}~~|<(del|strike)>[^<\n]{1,400}</\1>|~{3,}[a-zA-Z]{0,12}"), blanked),
        (re.compile(r"\\(?:lnot|neg)\b"), lambda match: "¬".rjust(len(match[0]))),
        (re.compile(r"```[a-zA-Z]{0,12}"), blanked),
        (re.compile(r"\\[a-zA-Z]{2,20}\s{0,3}(?=\{)|\\[nrt](?![a-zA-Z])|\\[()\[\]]"), blanked),
        (
            re.compile(
                r"([*_`]{1,3})([A-Z]{1,2}|[+-]?\d{1,4}(?:\.\d{1,3})?|[^\s\w*_`()]|[^\W_])([*_`]{1,3})(?![^\W_])"
            ),
            _bracketed,
        ),
        (re.compile(r"(?<![^\W_])_+|_+(?![^\W_])"), blanked),
        (re.compile(rf"(?m)^[ \t]{{0,8}}(?:[{bullets}][ \t]+|>(?![ \t=]*\d)[ \t]*|#{{1,6}})+"), blanked),
    ]
    if "<" not in kept:
        tags = r"<!--[^<>]{0,2000}-->|</?[a-zA-Z][^<>\n]{0,100}>|<\|[^<>|\n]{1,40}\|>"
        rules.insert(1, (re.compile(tags), blanked))
    alone = re.escape("".join(sorted(set('*`|{}$"\\') - set(kept))))
    rules.append((re.compile(f"[{alone}]"), " "))
    if "`" not in kept:
        rules.insert(0, (re.compile(r"(?<=[a-zA-Z])`(?=[a-zA-Z])"), "'"))
    if set(kept) & set("*`"):
        del rules[[rule[1] for rule in rules].index(_bracketed)]
    marks = re.compile(r"[*_`#|{}$\"~\\<>•·–+-]")

    def remove(text: str) -> str:
        if marks.search(text):
            for pattern, by in rules:
                text = pattern.sub(by, text)
        return text

    return remove
