"""Students of many sets of soft labels, side by side and a chunk of texts at a time.

A set of soft labels comes from a fit to some of the gold labels. Neither the soft labels nor what the students say of
each text is kept for all texts: both are computed again, which is cheap beside what they would take of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from silr.stats.annotator_evidence import Annotator
from silr.stats.contrasts import Float32, Floats, Numbers, as_targets, deviation_of, from_targets
from silr.stats.gaussian_process import Posterior
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import Ridge, StandardisedMatrix

CHUNK = 8192  # texts at a time

Rows = slice | NDArray[np.int64]
Term = Callable[[Rows], Float32]
"""A prior-mean term of some texts, shape (b, T)."""


class SoftLabels:
    """Targets of students by several fits, shape (b, sets, T) for b texts.

    Gold texts are fixed to their gold label in those sets whose fit has `learned` it, positions among the gold labels.
    """

    def __init__(
        self,
        X: StandardisedMatrix,
        fits: Sequence[Posterior],
        terms: Mapping[str, Term],
        annotators: Sequence[Annotator],
        gold: GoldLabels,
        learned: Sequence[NDArray[np.int64]],
    ) -> None:
        self._given = X, fits, terms, annotators, gold, learned
        self.sets, self.T = len(fits), len(fits[0].shift)
        weights, shifts = [fit.weight for fit in fits], [fit.shift for fit in fits]
        self._linear = X.linear(np.vstack(weights), np.concatenate(shifts))
        known = fits[0].term_weights
        self._terms = [(terms[name], np.array([fit.term_weights[name] for fit in fits])[:, None]) for name in known]
        tables = [np.stack([fit.tables[place] for fit in fits], axis=1) for place in range(len(annotators))]
        self._tables = [np.concatenate([table, np.zeros_like(table[:1])]) for table in tables]  # the last of label -1
        self._labels = [annotator.labels for annotator in annotators]
        self._gold, self._truth = gold, as_targets(np.eye(gold.n_classes, dtype=np.float32))
        self._is_fixed = np.zeros((len(gold.rows), self.sets), bool)
        for place, positions in enumerate(learned):
            self._is_fixed[positions, place] = True

    def first(self, sets: int) -> SoftLabels:
        """Of the first fits only."""
        X, fits, terms, annotators, gold, learned = self._given
        return SoftLabels(X, fits[:sets], terms, annotators, gold, learned[:sets])

    def __call__(self, features: Float32, rows: slice) -> Float32:
        """Those of some texts, from their features as they are."""
        logits = self._linear(features).reshape(-1, self.sets, self.T).astype(np.float64)
        for term, weights in self._terms:
            logits += weights * term(rows)[:, None]
        for table, labels in zip(self._tables, self._labels, strict=True):
            logits += table[labels[rows]]
        soft = (expit(logits) if self.T == 1 else softmax(logits, axis=2)).astype(np.float32)
        for at in range(*np.searchsorted(self._gold.rows, (rows.start, rows.stop)).tolist()):
            soft[self._gold.rows[at] - rows.start, self._is_fixed[at]] = self._truth[self._gold.codes[at]]
        return np.asarray(soft)


class Students:
    """Ridge regressions of all sets of soft labels on the same columns of the features."""

    def __init__(self, X: StandardisedMatrix, ridge: Ridge, mean: Numbers, cross: Numbers, sets: int) -> None:
        self._ridge, self._intercepts, self._weights = ridge, mean, ridge.solve(cross)
        self._linear = X.linear(self._weights, mean)
        self._sets, self._T = sets, len(mean) // sets
        self._mean, self._scale = np.zeros((sets, self._T)), np.ones((sets, 1))

    def standardise(self, mean: Numbers, scale: Numbers) -> None:
        """Give the contrasts mean 0 and deviation 1; shapes (sets, T) and (sets, 1)."""
        self._mean, self._scale = mean, scale

    def contrasts(self, features: Float32, rows: slice, soft: Float32) -> Float32:
        """Of each text by the regressions without it, shape (b, sets, T), for the first of the sets that `soft` has."""
        flat = soft.reshape(len(soft), -1)
        values: Floats = self._linear(features, flat.shape[1])
        leverage = self._ridge.leverages[rows, None]
        values = ((values - leverage * flat) / (1 - leverage)).reshape(soft.shape)
        if self._T > 1:
            values -= values.mean(axis=2, keepdims=True)
        sets = soft.shape[1]
        return np.asarray((values - self._mean[:sets]) / self._scale[:sets], np.float32)

    def map_of_all(self) -> tuple[Numbers, Numbers]:
        """Weight, shape (T, d), and intercept, from standardised features to the contrasts of the first set."""
        weight, intercept = self._weights[: self._T], self._intercepts[: self._T]
        weight, intercept = from_targets(weight.T).T, from_targets(intercept[None])[0]
        return weight / self._scale[0, 0], (intercept - self._mean[0]) / self._scale[0, 0]


def fit_students(
    X: StandardisedMatrix, ridges: Mapping[str, Ridge], soft: SoftLabels, rows: NDArray[np.int64]
) -> tuple[dict[str, Students], dict[str, Float32]]:
    """Students by each ridge, and their contrasts of the texts `rows`, shape (m, sets, T), which are sorted."""
    sets, T, n = soft.sets, soft.T, X.shape[0]
    mean, cross = X.cross_of(lambda chunk, part: soft(chunk, part).reshape(len(chunk), -1), CHUNK)
    students = {name: Students(X, ridge, mean, cross, sets) for name, ridge in ridges.items()}
    at_rows = {name: np.empty((len(rows), sets, T), np.float32) for name in ridges}
    sums = {name: np.zeros((2, sets, T)) for name in ridges}
    for chunk, part in X.chunks(CHUNK):
        targets = soft(chunk, part)
        inside = slice(*np.searchsorted(rows, (part.start, part.stop)).tolist())
        for name, each in students.items():
            values = each.contrasts(chunk, part, targets)
            sums[name] += values.sum(axis=0, dtype=np.float64), np.square(values, dtype=np.float64).sum(axis=0)
            at_rows[name][inside] = values[rows[inside] - part.start]
    for name, each in students.items():
        middle, square = sums[name] / n
        scale = np.array([deviation_of(*both) for both in zip(square - middle**2, strict=True)])[:, None]
        each.standardise(middle, scale)
        at_rows[name] = ((at_rows[name] - middle) / scale).astype(np.float32)
    return students, at_rows
