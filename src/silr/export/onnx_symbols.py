"""Texts in a graph: lower-case characters as numbers, exactly as Python's `str.lower` and `re` see them.

ONNX's own lower-casing takes a locale of the machine, and its regular expressions know ASCII words alone. So each
character is looked up in a table that Python has filled: the number of its lower-case form, and whether it is part of a
word. Two characters need more than a table: the dotted capital I has two lower-case characters, and the Greek capital
sigma another one at the end of a word.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from silr.export.onnx_graph import STRINGS, Graph, ints

OTHER, SPACE = 0, 1  # the first symbols: what is in no term and part of no word, and all white space
PADDING = -1
PIECE = 256  # characters; a long text is cut into pieces of so many, so that short ones are not padded to its length
SIGMA, SMALL_SIGMA, FINAL_SIGMA = "\u03a3", "\u03c3", "\u03c2"
FLAGS = 4  # a code is so many times the symbol, plus the flags of the final sigma's rule
CASED, IGNORED = 2, 1  # a letter with case; a character that the rule looks through


class Symbols(NamedTuple):
    """Characters of all texts, one text after another, in a graph."""

    values: str  # symbols, shape (N,)
    rows: str  # of each one its text, shape (N,)


@dataclass(frozen=True)
class Alphabet:
    """Lower-case characters of the terms, by numbers: those outside words come first."""

    characters: frozenset[str]

    @classmethod
    def of(cls, terms: Iterable[str]) -> Alphabet:
        """The characters of terms, but for white space."""
        return cls(frozenset(char for term in terms for char in term if not char.isspace()))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The symbol of each character."""
        words = {char for char in self.characters if _is_word(char)}
        others = sorted(self.characters - words)
        numbers = {char: number for number, char in enumerate(others, SPACE + 1)}
        return numbers | {char: number for number, char in enumerate(sorted(words), self.unknown_word + 1)}

    @cached_property
    def unknown_word(self) -> int:
        """The symbol of characters of words that are in no term; it and all higher ones are parts of words."""
        return SPACE + 1 + sum(not _is_word(char) for char in self.characters)

    @property
    def size(self) -> int:
        """The number of symbols."""
        return SPACE + 2 + len(self.characters)

    def symbol(self, char: str) -> int:
        """The symbol of a lower-case character."""
        if char.isspace():
            return SPACE
        return self.numbers.get(char, self.unknown_word if _is_word(char) else OTHER)

    @property
    def has_sigma(self) -> bool:
        """Whether the two small sigmas must be told apart."""
        return bool({SMALL_SIGMA, FINAL_SIGMA} & self.characters)

    def add_to(self, graph: Graph, texts: str) -> Symbols:
        """The nodes from texts, shape (n,), to symbols. White space ends each text."""
        characters, rows = _characters(graph, texts)
        codes, firsts, seconds = self._table()
        code = graph.flat(graph.look_up(characters, codes.keys(), codes.values(), OTHER))
        real = graph.add("GreaterOrEqual", code, ints(0))
        code, row = (graph.add("Compress", graph.flat(value), real) for value in (code, rows))
        if self.has_sigma:
            code = self._with_final_sigma(graph, code, codes[SIGMA] // FLAGS)
        pairs = [
            graph.add("Unsqueeze", graph.add("Gather", ints(*table), code), ints(1)) for table in (firsts, seconds)
        ]
        pair = graph.add("Concat", *pairs, axis=1)
        of_pair = graph.add("Expand", graph.add("Unsqueeze", row, ints(1)), graph.add("Shape", pair))
        symbol, row = graph.flat(pair), graph.flat(of_pair)
        real = graph.add("GreaterOrEqual", symbol, ints(0))
        return Symbols(*(graph.add("Compress", value, real) for value in (symbol, row)))

    def _table(self) -> tuple[dict[str, int], list[int], list[int]]:
        """Codes of characters; and of codes without flags, the first and the second symbol.

        A code below the number of symbols is that symbol. Each character that is more than that has one of its own.
        """
        codes, firsts = {"": PADDING}, list(range(self.size))
        seconds = [PADDING] * self.size
        flags = FLAGS if self.has_sigma else 1
        for number in range(sys.maxunicode + 1):
            char = chr(number)
            if "\ud800" <= char <= "\udfff":
                continue
            lower = char.lower()
            code = self.symbol(lower[0])
            if len(lower) > 1 or char == SIGMA:
                code = len(firsts)
                firsts.append(self.symbol(lower[0]))
                seconds.append(self.symbol(lower[1]) if len(lower) > 1 else PADDING)
            code = code * flags + (_sigma_flags(char) if self.has_sigma else 0)
            if code != OTHER:
                codes[char] = code
        return codes, firsts, seconds

    def _with_final_sigma(self, graph: Graph, code: str, capital: int) -> str:
        """Codes without flags, after the Unicode rule of the final sigma (section 3.13 of the standard)."""
        flags, code = graph.add("Mod", code, ints(FLAGS)), graph.add("Div", code, ints(FLAGS))
        seen = graph.where(graph.add("Equal", graph.add("Mod", flags, ints(2)), ints(0)))
        cased, of_seen = (graph.add("Gather", value, seen) for value in (flags, code))
        cased = graph.add("Equal", cased, ints(CASED))
        before = graph.part(graph.joined(np.zeros(1, bool), cased), 0, -1)
        after = graph.part(graph.joined(cased, np.zeros(1, bool)), 1)
        final = graph.add(
            "And", graph.add("And", graph.add("Equal", of_seen, ints(capital)), before), graph.add("Not", after)
        )
        of_seen = graph.add("Where", final, ints(self.symbol(FINAL_SIGMA)), of_seen)
        return graph.add("ScatterElements", code, seen, of_seen)


def _characters(graph: Graph, texts: str) -> tuple[str, str]:
    """Characters as strings, padded with "", and of each one its text; both of shape (pieces, longest)."""
    texts = graph.add("StringConcat", texts, np.array(" ", STRINGS))
    options: dict[str, Any] = {"domain": "com.microsoft", "mark": 0, "mincharnum": 1, "pad_value": ""}
    pieces = graph.add("Tokenizer", texts, tokenexp=f"(?s:.{{1,{PIECE}}})", **options)
    row = graph.add("Unsqueeze", graph.range(graph.size(texts)), ints(1))
    row = graph.flat(graph.add("Expand", row, graph.add("Shape", pieces)))
    pieces = graph.flat(pieces)
    real = graph.add("Not", graph.add("Equal", pieces, np.array("", STRINGS)))
    pieces, row = (graph.add("Compress", value, real) for value in (pieces, row))
    characters = graph.add("Tokenizer", pieces, separators=[""], **options)
    return characters, graph.add("Expand", graph.add("Unsqueeze", row, ints(1)), graph.add("Shape", characters))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"  # what \w is in `re`


def _sigma_flags(char: str) -> int:
    """What `str.lower` takes a character for when it decides on a sigma before it."""
    if ("a" + SIGMA + char).lower()[1] == SMALL_SIGMA:
        return CASED
    return IGNORED if ("a" + SIGMA + char + "a").lower()[1] == SMALL_SIGMA else 0
