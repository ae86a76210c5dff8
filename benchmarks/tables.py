"""One draw of a case: its split into corpus and test part, and gold labels drawn from the corpus."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cases import Case
from feature_cache import sentence_embeddings, tfidf_features
from silr.io.annotator_columns import scored_classes
from silr.io.corpus import (
    encode_labels,
    features_path,
    label_column,
    read_table,
    score_columns,
    sort_classes,
    text_column,
)
from silr.label.draw import draw_texts


@dataclass(frozen=True)
class Split:
    """One seed's split of a table into corpus and test part: each pair is (corpus, test). Labels are class codes.

    Attributes
    ----------
    classes : list of str
    texts : pair of lists
    features : pair of arrays
        The dense ones: the annotator's hidden states or sentence embeddings; TF-IDF where there are none.
    scores : pair of arrays, or None
        The LLM's log-probabilities, one column a class; None where its labels alone are known.
    llm : pair of int arrays of shape (n,), or (n, L) of several LLMs
        -1 where an LLM named no class.
    truth : pair of int arrays
    seed : int
    has_dense : bool, default True
        Whether `features` are dense ones.
    embedded : pair of arrays, default None
        Sentence embeddings, for the rivals that read nothing else.
    cache : Path, default None
        Where features are kept.
    """

    classes: list[str]
    texts: tuple[list[str], list[str]]
    features: tuple[Any, Any]
    scores: Any
    llm: tuple[Any, Any]
    truth: tuple[Any, Any]
    seed: int
    has_dense: bool = True
    embedded: Any = None
    cache: Path | None = field(default=None)

    @property
    def several(self) -> bool:
        """Whether labels of several LLMs are used together."""
        return bool(self.llm[0].ndim > 1)


@dataclass(frozen=True)
class Gold:
    """Gold labels of the corpus: codes, -1 where there is none, and weights."""

    labels: Any
    weights: Any

    @property
    def rows(self) -> Any:
        return np.flatnonzero(self.labels >= 0)


def split(case: Case, seed: int, rows: int | None = None, cache: Path | None = None) -> Split:
    """Split a table, or so many rows of it, 8:2; the whole is the corpus where the case has no test part.

    Who trains splits the corpus 7:1 into training and validation.
    """
    frame = read_table(case.table)
    chosen = np.arange(len(frame)) if rows is None else np.random.default_rng(0).permutation(len(frame))[:rows]
    frame = frame.iloc[chosen]
    named = {name: label_column(frame, name) for name in ("truth", *case.columns)}
    classes = scored_classes(frame) or sort_classes({each for column in named.values() for each in column if each})
    truth, *llm = (encode_labels(column, classes, name, one_class=True)[0] for name, column in named.items())
    texts = text_column(frame)
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = len(frame) // 5 if case.has_test_part else 0
    parts = order[cut:], order[:cut]

    def pair(array: Any) -> tuple[Any, Any]:
        return array[parts[0]], array[parts[1]]

    words = tuple([texts[row] for row in part] for part in parts)
    embedded = None
    if case.group != "weak" and case.features == "minilm":
        embedded = pair(sentence_embeddings(texts, cache))
    if case.features == "states":
        matrix = np.load(features_path(case.table), mmap_mode="r")
        features = tuple(np.asarray(matrix[chosen[part]], dtype=np.float32) for part in parts)
    else:
        features = embedded if embedded is not None else tfidf_features(*words, cache)[:2]
    return Split(
        classes,
        words,
        features,
        pair(score_columns(frame, classes)) if case.has_scores else None,
        pair(np.column_stack(llm) if len(llm) > 1 else llm[0]),
        pair(truth),
        seed,
        case.features != "tfidf",
        embedded,
        cache,
    )


def draw_gold(part: Split, n_gold: int) -> tuple[Any, Any]:
    """Gold labels of the corpus, drawn as `silr label` does: codes, -1 where there is none, and weights.

    With several LLMs the strata are what most of them say.
    """
    llm = majority(part.llm[0], len(part.classes))[0] if part.several else part.llm[0]
    gold, weight = np.full(len(llm), -1, np.int16), np.full(len(llm), np.nan)
    if n_gold:
        rows, weights = draw_texts(llm, n_gold, part.seed, None if part.scores is None else part.scores[0])
        gold[rows], weight[rows] = part.truth[0][rows], weights
    return gold, weight


def majority(llm: Any, n_classes: int) -> tuple[Any, Any]:
    """Most frequent label of each text, of equally frequent ones the first LLM's among them, and shares of the votes.

    Parameters
    ----------
    llm : int array of shape (n, L)
        -1 where an LLM named no class; a text without any label has label -1 and equal shares.
    n_classes : int

    Returns
    -------
    labels : int array of shape (n,)
    shares : array of shape (n, K)
    """
    votes = sum(one_hot(column, n_classes) for column in llm.T)
    best = votes == votes.max(axis=1, keepdims=True)
    labels = np.full(len(llm), -1)
    for column in llm.T[::-1]:
        known = column >= 0
        known[known] = best[known, column[known]]
        labels[known] = column[known]
    total = votes.sum(axis=1, keepdims=True)
    return labels, np.where(total > 0, votes / np.maximum(total, 1), 1 / n_classes)


def one_hot(codes: Any, n_classes: int) -> Any:
    """Rows of the identity, (n, K); zeros where the code is -1."""
    return np.vstack([np.eye(n_classes), np.zeros(n_classes)])[codes]
