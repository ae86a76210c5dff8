"""What an annotator is to the rest of silr: something that plans batches of texts and scores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Scored = tuple[int, NDArray[np.float32], NDArray[np.float16]]
"""Number of a batch, and scores (n, K) and features (n, n_features) of its texts."""

ScoreBatch = Callable[[Sequence[str]], tuple[NDArray[np.float32], NDArray[np.float16]]]
"""From the texts of a batch to their scores (n, K) and features (n, n_features)."""


@dataclass(frozen=True)
class Plan:
    """In which batches the texts are read; the same texts always give the same plan.

    Attributes
    ----------
    batches : list of int64 arrays
        Positions of texts; together each position once.
    tokens : list of int, one a batch
        How much work each batch is.
    cut : bool array, one a text
        Whether the text is longer than the annotator can read; its end is left out.
    """

    batches: list[NDArray[np.int64]]
    tokens: list[int]
    cut: NDArray[np.bool_]


@dataclass(frozen=True)
class Annotation:
    """Scores of n texts, row for row.

    Attributes
    ----------
    scores : float32 array of shape (n, K)
        Log-probabilities of the classes; each row's exponentials sum to one. NaN where a text got no label.
    features : float16 array of shape (n, n_features)
        Hidden states at the answering position; no columns where the annotator has none.
    n_cut : int
        Texts whose end was left out because they are too long, repeated ones counted too.
    """

    scores: NDArray[np.float32]
    features: NDArray[np.float16]
    n_cut: int


class Annotator(Protocol):
    """Gives each text one log-probability a class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the scores' columns."""

    @property
    def n_features(self) -> int:
        """Width of the hidden states, 0 if there are none."""

    def plan(self, texts: Sequence[str]) -> Plan:
        """Split the texts into batches."""

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Score the texts of batches of a plan, in any order; a batch that gets no label is left out."""

    def describe(self) -> dict[str, Any]:
        """Return all that is needed to build the same annotator again, ready for JSON."""


def distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts in order of appearance, and for each of the n texts its position among them."""
    position: dict[str, int] = {}
    where = np.fromiter((position.setdefault(text, len(position)) for text in texts), np.int64, len(texts))
    return list(position), where


def annotate_texts(annotator: Annotator, texts: Sequence[str]) -> Annotation:
    """Annotate texts in memory; equal texts are read once.

    Parameters
    ----------
    annotator : Annotator
    texts : sequence of str, of length n

    Returns
    -------
    Annotation
    """
    unique, where = distinct(texts)
    plan = annotator.plan(unique)
    scores = np.full((len(unique), len(annotator.classes)), np.nan, np.float32)
    features = np.full((len(unique), annotator.n_features), np.nan, np.float16)
    batches = [[unique[row] for row in rows] for rows in plan.batches]
    for number, batch_scores, batch_features in annotator.score_batches(batches):
        scores[plan.batches[number]], features[plan.batches[number]] = batch_scores, batch_features
    return Annotation(scores[where], features[where], int(plan.cut[where].sum()))
