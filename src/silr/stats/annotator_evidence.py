"""Prior-mean terms of the Gaussian process, from the labels and scores of LLMs.

The term of an LLM with scores is its log-probabilities, standardised; that of one known by its labels alone is the
label, one-hot. For a text that it did not label the term is 0: all classes are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from silr.stats.contrasts import Float32, Numbers, contrasts, deviation

Integers = NDArray[np.int16] | NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """Standardisation of one LLM's scores."""

    mean: Numbers  # of the contrasts, shape (T,)
    deviation: float  # of the difference of two classes

    @classmethod
    def of(cls, scores: Numbers) -> Scale:
        """Of the corpus's scores, shape (n, K), NaN where the LLM gave none."""
        values = contrasts(scores[np.isfinite(scores).all(axis=1)])
        if not len(values):
            return cls(np.zeros(values.shape[1]), 1.0)
        mean: Numbers = values.mean(axis=0)
        return cls(mean, deviation(values - mean))

    def __call__(self, scores: Numbers) -> Float32:
        """Standardised contrasts, shape (n, T); 0 where there are no scores."""
        known = np.isfinite(scores).all(axis=1, keepdims=True)
        values = (contrasts(np.where(known, scores, 0.0)) - self.mean) / self.deviation
        return np.where(known, values, 0.0).astype(np.float32)


@dataclass(frozen=True)
class Annotator:
    """Labels and scores of the corpus by one LLM."""

    labels: NDArray[np.int16]  # shape (n,), -1 where it gave none
    scores: Numbers | None = None  # log-probabilities (n, K), NaN where it gave none; None: it has labels alone
    name: str = ""  # where there are several

    def at(self, rows: Integers | NDArray[np.bool_] | slice) -> Annotator:
        """Its labels and scores of some texts."""
        return Annotator(self.labels[rows], None if self.scores is None else self.scores[rows], self.name)

    def scale(self) -> Scale | None:
        """Standardisation of its scores, if there are any."""
        return None if self.scores is None else Scale.of(self.scores)

    def is_constant(self) -> bool:
        """Whether its answer is the same for all texts."""
        if self.scores is not None:
            return is_constant(self.scores)
        return len(np.unique(self.labels[self.labels >= 0])) < 2

    def term(self, n_classes: int, scale: Scale | None = None) -> Float32:
        """Contrasts, shape (n, T); with a `scale`, of the scores of all, where these are some of its texts."""
        if self.scores is not None:
            return (scale or Scale.of(self.scores))(self.scores)
        return contrasts(one_hot(self.labels, n_classes)).astype(np.float32)


def is_constant(scores: Numbers) -> bool:
    """Whether scores, shape (n, K), are the same for all texts that have some."""
    known = scores[np.isfinite(scores).all(axis=1)]
    return not len(known) or bool(np.ptp(known - known[:, :1], axis=0).max() < 1e-9)


def one_hot(labels: Integers, n_classes: int) -> Numbers:
    """Labels as rows of the identity, shape (n, K); 0 for -1."""
    return np.asarray(np.vstack([np.eye(n_classes), np.zeros(n_classes)])[labels])


def votes(annotators: Sequence[Annotator], n_classes: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """Share of the LLMs that give each class, shape (n, K), and for which texts (n,) there is any label.

    A text without a label has the mean of the others.
    """
    counts = sum((one_hot(annotator.labels, n_classes) for annotator in annotators), np.zeros(1))
    total = counts.sum(axis=1)
    known = total > 0
    shares = counts / np.maximum(total, 1)[:, None]
    shares[~known] = shares[known].mean(axis=0)
    return shares, known


def majority(annotators: Sequence[Annotator], n_classes: int) -> NDArray[np.int16]:
    """The label that most LLMs give, shape (n,), -1 where none gives one; of ties the one of the LLM named first."""
    counts = np.zeros((len(annotators[0].labels), n_classes))
    for place, annotator in enumerate(annotators):
        counts += one_hot(annotator.labels, n_classes) * (1 + 1e-6 * (len(annotators) - place))
    return np.where(counts.max(axis=1) == 0, -1, counts.argmax(axis=1)).astype(np.int16)
