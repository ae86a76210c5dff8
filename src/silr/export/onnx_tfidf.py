"""TF-IDF in a graph: from texts to the sums that the first layer of a head makes of their terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.export.onnx_graph import STRINGS, Graph, ints
from silr.export.onnx_source import Source
from silr.export.onnx_symbols import SPACE, Alphabet, Symbols
from silr.features.tfidf import Kind, TfidfFeatures

LONGEST_GRAM = 4  # characters, as `silr.features.tfidf.UNITS` has it
NONE = -1


@dataclass(frozen=True)
class Occurrences:
    """Terms of all texts in a graph, in any order."""

    rows: str  # of each one its text, shape (m,)
    columns: str  # its number in the vocabulary, shape (m,), or -1 where it is not in it


def add_tfidf(graph: Graph, features: TfidfFeatures, weights: NDArray[np.float64]) -> Source:
    """The nodes from texts to what a linear layer makes of their features; `weights`, shape (d, T).

    The projection and the layer are one matrix: no text's row of all terms is ever made.
    """
    texts = graph.input("text", STRINGS, ["n"])
    count = graph.size(texts)
    alphabet = Alphabet.of(term for kind in features.kinds.values() for term in kind.vectorizer.vocabulary_)
    symbols = alphabet.add_to(graph, texts)
    value, start = "", 0
    for unit, kind in features.kinds.items():
        width = len(kind.components)
        own = kind.components.T.astype(np.float64) @ weights[start : start + width]
        terms = TERMS[unit](graph, symbols, alphabet, kind.vectorizer.vocabulary_)
        of_unit = weighted_sums(graph, terms, count, kind, own)
        value, start = graph.add("Add", value, of_unit) if value else of_unit, start + width
    return Source(value, {"text": "np.array(texts, object)"}, {"text": "(n,), strings | the texts"})


def words(graph: Graph, symbols: Symbols, alphabet: Alphabet, vocabulary: dict[str, int]) -> Occurrences:
    """Words and pairs of words that follow each other in a text."""
    values, rows = symbols
    inside = graph.add("GreaterOrEqual", values, ints(alphabet.unknown_word))
    outside_before = graph.add("Not", graph.part(graph.joined(np.zeros(1, bool), inside), 0, -1))
    start = graph.add("And", inside, outside_before)
    row = graph.add("Compress", rows, start)
    number = graph.add("Sub", graph.add("CumSum", graph.cast(start, np.int64), np.array(0)), ints(1))
    symbol, number = (graph.add("Compress", value, inside) for value in (values, number))
    known = sorted({word for term in vocabulary for word in term.split(" ")})
    word = _known_words(graph, symbol, number, graph.size(row), [[alphabet.symbol(c) for c in word] for word in known])
    of_word = {word: number for number, word in enumerate(known)}
    single = np.array([vocabulary.get(word, NONE) for word in known])
    pairs = {term: column for term, column in vocabulary.items() if " " in term}
    keys = [of_word[first] * len(known) + of_word[second] for first, second in (term.split(" ") for term in pairs)]
    of_single = graph.add("Gather", np.append(single, NONE), word)  # -1, no known word, is the last
    first, second = graph.part(word, 0, -1), graph.part(word, 1)
    is_pair = graph.add("Equal", graph.part(row, 0, -1), graph.part(row, 1))
    for neighbour in (first, second):
        is_pair = graph.add("And", is_pair, graph.add("GreaterOrEqual", neighbour, ints(0)))
    key = graph.add("Add", graph.add("Mul", first, ints(len(known))), second)
    key = graph.add("Where", is_pair, key, ints(NONE))
    of_pair = graph.look_up(key, keys or [NONE], pairs.values() or [NONE], NONE)
    return Occurrences(graph.joined(row, graph.part(row, 1)), graph.joined(of_single, of_pair))


def _known_words(graph: Graph, symbol: str, number: str, count: str, known: list[list[int]]) -> str:
    """Of each of `count` words its number among `known`, or -1; `number` is that of the word which a symbol is in.

    A hash finds the one word that it can be, and its symbols are compared with those of that word: no two words are
    taken for each other.
    """
    lengths = np.array([len(word) for word in known])
    hashes, factors = _distinct_hashes(known, int(lengths.max()))
    length = graph.add("ScatterElements", graph.zeros(count, np.int64), number, _ones(graph, number), reduction="add")
    start = graph.add("CumSum", length, np.array(0), exclusive=1)
    place = graph.add("Sub", graph.range(graph.size(symbol)), graph.add("Gather", start, number))
    factor = graph.add("Gather", np.append(factors, 0), graph.add("Min", place, ints(len(factors))))
    share = graph.add("Mul", factor, symbol)
    hashed = graph.add("ScatterElements", graph.zeros(count, np.int64), number, share, reduction="add")
    candidate = graph.look_up(hashed, hashes.tolist(), range(len(known)), NONE)
    some = graph.add("Max", candidate, ints(0))
    starts = np.cumsum(lengths) - lengths
    of_known = graph.add("Add", graph.add("Gather", graph.add("Gather", starts, some), number), place)
    of_known = graph.add("Min", of_known, ints(int(lengths.sum()) - 1))
    flat = np.array([char for word in known for char in word])
    differs = graph.add("Not", graph.add("Equal", graph.add("Gather", flat, of_known), symbol))
    wrong = graph.add(
        "ScatterElements", graph.zeros(count, np.int64), number, graph.cast(differs, np.int64), reduction="add"
    )
    same = graph.add(
        "And", graph.add("Equal", wrong, ints(0)), graph.add("Equal", length, graph.add("Gather", lengths, some))
    )
    return graph.add("Where", same, candidate, ints(NONE))


def _ones(graph: Graph, like: str) -> str:
    return graph.add("Expand", ints(1), graph.add("Shape", like))


def _distinct_hashes(known: list[list[int]], longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hashes of known words, no two alike, and what the symbol at each place is multiplied with."""
    for seed in range(100):
        factors = np.random.default_rng(seed).integers(1, 2**30, longest)
        hashes = np.array([factors[: len(word)] @ word for word in known])
        if len(np.unique(hashes)) == len(known):
            return hashes, factors
    raise AssertionError("words are equal")


def characters(graph: Graph, symbols: Symbols, alphabet: Alphabet, vocabulary: dict[str, int]) -> Occurrences:
    """Sequences of 2 to 4 characters within words and the white space around them.

    White space is one symbol between two words, also of two texts: sequences that go beyond it are in no vocabulary. A
    sequence belongs to the text of its last symbol, and the white space after a text to that text.
    """
    base = alphabet.size + 1
    if base**LONGEST_GRAM >= 2**63:
        raise InputError(f"the run's texts have {alphabet.size:,} different characters, too many for an ONNX graph")
    values, rows = symbols
    space = graph.add("Equal", values, ints(SPACE))
    again = graph.add("And", space, graph.part(graph.joined(np.ones(1, bool), space), 0, -1))
    keep = graph.add("Not", again)
    values = graph.joined(ints(SPACE), graph.add("Compress", values, keep))
    rows = graph.joined(ints(0), graph.add("Compress", rows, keep))
    digit = graph.add("Add", values, ints(1))  # none is 0: sequences of other lengths have other keys
    key, keys, of_keys = digit, [], []
    for length in range(2, LONGEST_GRAM + 1):
        key = graph.add("Mul", graph.part(key, 0, -1), ints(base))
        key = graph.add("Add", key, graph.part(digit, length - 1))
        keys.append(key)
        of_keys.append(graph.part(rows, length - 1))
    column = graph.look_up(
        graph.joined(*keys), [_key(term, alphabet, base) for term in vocabulary], vocabulary.values(), NONE
    )
    return Occurrences(graph.joined(*of_keys), column)


def _key(term: str, alphabet: Alphabet, base: int) -> int:
    key = 0
    for char in term:
        key = key * base + alphabet.symbol(char) + 1
    return key


def weighted_sums(graph: Graph, terms: Occurrences, count: str, kind: Kind, weights: NDArray[np.float64]) -> str:
    """What a linear layer makes of the TF-IDF of texts, shape (count, T); `weights`, shape (terms, T)."""
    known = graph.add("GreaterOrEqual", terms.columns, ints(0))
    row, column = (graph.add("Compress", value, known) for value in (terms.rows, terms.columns))
    width = ints(len(weights))
    key = graph.add("Add", graph.add("Mul", row, width), column)
    key = _sorted(graph, key)
    new = graph.add("Not", graph.add("Equal", graph.part(key, 1), graph.part(key, 0, -1)))
    first = graph.joined(ints(0), graph.add("Add", graph.where(new), ints(1)))
    first = graph.add("Compress", first, graph.add("Less", first, graph.size(key)))  # none where there is no term
    times = graph.add("Sub", graph.part(graph.joined(first, graph.size(key)), 1), first)
    key = graph.add("Gather", key, first)
    row, column = graph.add("Div", key, width), graph.add("Mod", key, width)
    frequency = graph.add("Add", graph.add("Log", graph.cast(times, np.float64)), np.ones(1))
    value = graph.add("Mul", frequency, graph.add("Gather", kind.vectorizer.idf_.astype(np.float64), column))
    square = graph.add("Mul", value, value)
    squares = graph.add("ScatterElements", graph.zeros(count, np.float64), row, square, reduction="add")
    norm = graph.add("Sqrt", graph.add("Where", graph.add("Equal", squares, np.zeros(1)), np.ones(1), squares))
    value = graph.add("Unsqueeze", graph.add("Div", value, graph.add("Gather", norm, row)), ints(1))
    share = graph.add("Mul", value, graph.add("Gather", weights, column))
    shape = graph.joined(count, ints(weights.shape[1]))
    return graph.add(
        "ScatterND", graph.zeros(shape, np.float64), graph.add("Unsqueeze", row, ints(1)), share, reduction="add"
    )


def _sorted(graph: Graph, values: str) -> str:
    from onnx import helper

    output = f"sorted_{len(graph.nodes)}"
    node = helper.make_node("TopK", [values, graph.size(values)], [output, f"{output}_order"], largest=0, name=output)
    graph.nodes.append(node)
    return output


TERMS = {"words": words, "characters": characters}  # by `silr.features.tfidf.UNITS`
