"""Answers in fields: JSON, also cut off or loosely written, with the place of each value."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_OBJECT = re.compile(r"\{\s{0,200}(?=[\"'“]|[A-Za-z_]\w{0,40}\s{0,4}:)|\[\s{0,200}(?=\{?\s{0,200}[\"'])")
_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'(?=\s*[:,}\]])|“[^”]*”)"
    r"|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,\"]+)|(?P<torn>[\"'“].*))",
    re.DOTALL,
)
_MOST_DEEP = 40
_LONGEST_VALUE = 2000
_FIELDS = (
    ("final_answer", "final", "final_label", "final_classification", "final_category", "verdict"),
    (
        *("answer", "label", "class", "classification", "category", "predicted_label", "predicted_class", "prediction"),
        *("result", "output", "response", "decision", "choice", "sentiment", "topic", "stance", "emotion", "intent"),
        *("polarity", "labels", "predicted_category", "selected_class", "class_name", "value", "rating"),
        "chosen",
        *("答案", "标签", "类别", "分类", "etiqueta", "respuesta", "antwort", "réponse", "ответ"),
    ),
    ("score", "stars", "star_rating", "grade", "points"),
)
_OTHER = re.compile(
    r"reason|expla|rational|thought|think|analy|evidence|justif|comment|note|text|input|review|quote|confiden|why"
    r"|summary|context|option|candidate|alternativ|choices|classes|examples?|keyword|description|steps?|question|score"
    r"|prob|^(?:index|idx|ids?|number|nr|no|n|line|row|step|page|year|count|length|tokens?|rank|position|version)$"
    r"|(?:_|\b)(?:id|index|count|number|tokens)$|^(?:id|num|n)_|理由|解释|说明|分析|motiv|begründ|grund|razon|explic|justific"
)
_DENYING = re.compile(
    r"reject|exclud|discard|dismiss|wrong|incorrect|ruled.?out|opposite"
    r"|(?:^|[_\s-])(?:not|isn'?t|non|no|never|least|worst|false|unlikely|negated|anti|except|without)(?:$|[_\s-])"
)
_TRUTHS = ("applies", "present", "match", "matches", "correct", "is_correct", "valid", "is_valid", "holds", "is_true")
_LEVELS = {
    **{"none": 0.0, "very low": 0.05, "low": 0.1, "medium": 0.5, "moderate": 0.5, "high": 0.9, "very high": 0.95},
    **{"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0},
}
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s?(%?)", re.IGNORECASE)


@dataclass(frozen=True)
class Leaf:
    """A value."""

    path: tuple[str, ...]  # the fields that lead to it; the numbers of list entries are among them, as "[0]"
    value: str
    place: int  # where it begins in the text
    is_plain: bool  # each character of the value has its own place in the text
    field_place: int  # where the name of its field begins, or the value where it has none

    @property
    def field(self) -> str:
        """The name of the innermost field."""
        return next((name for name in reversed(self.path) if not name.startswith("[")), "")

    @property
    def number(self) -> float | None:
        """The value as a number, percentages as shares; None if it is none."""
        match = _NUMBER.fullmatch(self.value.strip())
        return None if match is None else float(match[1]) / (100 if match[2] else 1)

    @property
    def share(self) -> float | None:
        """The number, or what a word stands for: "yes" and true are 1."""
        return _LEVELS.get(self.value.strip().lower(), self.number)


def objects(text: str) -> Iterator[tuple[int, int, list[Leaf]]]:
    """Yield the place, the end and the values of each object or list in a text."""
    place = 0
    while (beginning := _OBJECT.search(text, place)) is not None:
        leaves, place = _leaves(text, beginning.start())
        if leaves:
            yield beginning.start(), place, leaves


def is_answer(leaf: Leaf) -> bool:
    """Whether the name of the field says that it holds the answer."""
    return any(_is_named(leaf, names) for names in _FIELDS)


def answer_leaves(leaves: list[Leaf]) -> list[Leaf]:
    """Return the values of the fields that hold the answer, by the names of the fields; else all that may hold it."""
    leaves = [leaf for leaf in leaves if not any(_DENYING.search(_HUMP.sub("_", name).lower()) for name in leaf.path)]
    for names in _FIELDS:
        if answers := [leaf for leaf in leaves if _is_named(leaf, names)]:
            return answers
    return [leaf for leaf in leaves if not any(_OTHER.search(name.lower()) for name in leaf.path)]


def is_untrue(leaves: list[Leaf]) -> bool:
    """Whether an object says itself that what it names does not hold: {"label": "positive", "applies": false}."""
    told = ((0, _TRUTHS), (1, ("negated", "is_negated", "negation")))
    return any(leaf.share == share and _is_named(leaf, names) for leaf in leaves for share, names in told)


def scored(leaves: list[Leaf]) -> list[tuple[Leaf, float]]:
    """Pair labels with scores where lists hold both: [{"label": ..., "score": ...}], {"labels": [], "scores": []}."""
    labels: dict[tuple[str, ...], Leaf] = {}
    scores: dict[tuple[str, ...], float] = {}
    for leaf in leaves:
        group = tuple(name for name in leaf.path if name.startswith("["))
        if not group:
            continue
        if leaf.number is not None and re.search("score|prob|confiden|weight", leaf.field.lower()):
            scores[group] = leaf.number
        elif _is_named(leaf, _FIELDS[1]):
            labels[group] = leaf
    if len(labels) < 2 or labels.keys() != scores.keys():
        return []
    return [(leaf, scores[group]) for group, leaf in labels.items()]


def _is_named(leaf: Leaf, names: tuple[str, ...]) -> bool:
    return re.sub(r"[\s-]+", "_", leaf.field.strip().lower()) in names


def _leaves(text: str, start: int) -> tuple[list[Leaf], int]:
    """The values of the object that begins at `start`, as far as it is written, and where it ends."""
    leaves: list[Leaf] = []
    open_: list[_Bracket] = []
    key, place, key_place = "", start, start
    while (token := _TOKEN.match(text, place)) is not None:
        kind = token.lastgroup or ""
        place = token.end()
        mark = token["mark"]
        if mark is None:
            value, is_plain = _unquoted(token[kind], kind)
            path = _path(open_, key)
            if open_[-1].mark == "{" and not key:
                key, key_place = value, token.start(kind) + (kind != "word")
            elif kind == "word" and leaves and leaves[-1].path == path:  # words without quotes
                if len(leaves[-1].value) < _LONGEST_VALUE:
                    leaves[-1] = Leaf(path, f"{leaves[-1].value} {value}", leaves[-1].place, False, key_place)
            else:
                begin = token.start(kind) + (kind != "word")
                leaves.append(Leaf(path, value, begin, is_plain, key_place if key else begin))
        elif mark in "{[":
            if len(open_) == _MOST_DEEP:
                break
            open_.append(_Bracket(mark, key))
            key = ""
        elif mark in "}]":
            open_.pop()
            key = ""
            if not open_:
                break
        elif mark == ",":
            key = ""
            open_[-1].entry += 1
    return leaves, max(place, start + 1)


@dataclass
class _Bracket:
    """An open bracket, the field that it belongs to, and the number of the entry in a list."""

    mark: str
    field: str
    entry: int = 0


def _path(open_: list[_Bracket], key: str) -> tuple[str, ...]:
    names: list[str] = []
    for bracket in open_:
        names += [bracket.field, f"[{bracket.entry}]" if bracket.mark == "[" else ""]
    return tuple(filter(None, [*names, key]))


def _unquoted(token: str, kind: str) -> tuple[str, bool]:
    if kind == "word":
        return token, True
    inner = token[1:] if kind == "torn" else token[1:-1]
    if "\\" not in inner:
        return inner, True
    try:
        return str(json.loads(f'"{inner}"', strict=False)), False
    except ValueError:
        return inner, False
