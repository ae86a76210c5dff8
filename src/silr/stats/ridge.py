"""Ridge regression on a matrix of features that is too large to copy: it is read in chunks, as it lies on the disk.

Standardisation is algebra: with means ``m`` and scales ``s`` the standardised features are ``(X - m) diag(s)``, so that
the scale goes into the weights and the mean into the intercepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from silr.stats.contrasts import Float32, Floats, Numbers, from_targets, standardised
from silr.stats.standardise import CHUNK_ROWS, Standardiser

PENALTY = 3000.0  # for standardised features, of soft labels

Targets = Callable[[Float32, slice], Floats]
"""Takes some rows of features, as they are, and which of all they are; gives their targets, shape (b, t)."""


@dataclass(frozen=True)
class Linear:
    """A linear function of standardised features, to be applied to features as they are."""

    weight: Float32  # shape (d, t)
    intercept: Float32  # shape (t,)

    def __call__(self, features: Float32, count: int | None = None) -> Float32:
        """Its values, shape (b, t), or the first `count` of them."""
        return np.asarray(features @ self.weight[:, :count] + self.intercept[:count])


class StandardisedMatrix:
    """The features of a corpus, each with mean 0 and standard deviation 1.

    X may be a memory map. It is read once for the moments and the Gram matrix `gram`, shape (d, d), the product of the
    standardised matrix with itself, n times the covariance.
    """

    def __init__(self, X: NDArray[np.number]) -> None:
        self._features, self.shape = X, X.shape
        self.standardiser, self.gram = self._moments()
        varies = self.gram.diagonal() > 0.5 * len(X)  # of a constant feature nothing is left but rounding
        self._scale = np.where(varies, self.standardiser.scale.astype(np.float64), 0.0)
        self._mean = self.standardiser.mean.astype(np.float64)

    def rows(self, rows: NDArray[np.int64]) -> Numbers:
        """Some rows, shape (m, d)."""
        return self.standardiser(self._features[rows]).astype(np.float64)

    def cross(self, targets: Floats) -> Numbers:
        """``X^T targets``, shape (d, t)."""
        shift = targets.mean(axis=0, dtype=np.float64)  # the standardised columns sum to 0, so nothing changes
        total = np.zeros((self.shape[1], targets.shape[1]))
        for chunk, rows in self.chunks():
            total += chunk.T @ (targets[rows] - shift).astype(np.float32)
        return np.asarray(total * self._scale[:, None])

    def scores(self, weights: Numbers, intercepts: Numbers) -> Float32:
        """``X weights^T + intercepts``, shape (n, t), for weights of shape (t, d)."""
        scores = np.empty((self.shape[0], len(weights)), np.float32)
        linear = self.linear(weights, intercepts)
        for chunk, rows in self.chunks():
            scores[rows] = linear(chunk)
        return scores

    def linear(self, weights: Numbers, intercepts: Numbers) -> Linear:
        """The function of a row that `scores` computes of all."""
        turned, shift = self._folded(weights)
        return Linear(turned, (intercepts + shift).astype(np.float32))

    def cross_of(self, targets: Targets, size: int) -> tuple[Numbers, Numbers]:
        """Means, shape (t,), and ``X^T targets``, shape (d, t), of targets that are made of `size` rows at a time."""
        shift: Numbers | None = None
        for chunk, rows in self.chunks(size):
            values = targets(chunk, rows)
            if shift is None:  # near the mean, so that nothing cancels
                shift = values.mean(axis=0, dtype=np.float64)
                total, sums = np.zeros((self.shape[1], len(shift))), np.zeros(len(shift))
            away = (values - shift).astype(np.float32)
            total += chunk.T @ away
            sums += away.sum(axis=0, dtype=np.float64)
        assert shift is not None
        total -= self._mean[:, None] * sums
        return shift + sums / self.shape[0], np.asarray(total * self._scale[:, None])

    def squared_norms(self, weights: Numbers) -> Numbers:
        """Squared length of each row of ``X weights^T``, shape (n,)."""
        squares = np.empty(self.shape[0])
        turned, shift = self._folded(weights)
        offset = shift.astype(np.float32)
        for chunk, rows in self.chunks():
            squares[rows] = ((chunk @ turned + offset) ** 2).sum(axis=1)
        return squares

    def _folded(self, weights: Numbers) -> tuple[Float32, Numbers]:
        """Weights of the raw features, shape (d, t), and what the means add to the scores, shape (t,)."""
        turned = weights.T * self._scale[:, None]
        return turned.astype(np.float32), -self._mean @ turned

    def _moments(self) -> tuple[Standardiser, Numbers]:
        n, d = self.shape
        shift = self._features[:CHUNK_ROWS].mean(axis=0, dtype=np.float64).astype(np.float32)  # so that nothing cancels
        total, gram = np.zeros(d), np.zeros((d, d))
        for chunk, _ in self.chunks():
            centred = chunk - shift
            total += centred.sum(axis=0)
            gram += centred.T @ centred  # NumPy knows that this is symmetric
        away = total / n
        gram -= n * np.outer(away, away)
        standardiser = Standardiser.from_moments(shift + away, gram.diagonal() / n)
        scale = standardiser.scale.astype(np.float64)
        return standardiser, gram * scale[:, None] * scale

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[tuple[Float32, slice]]:
        """Some rows of features after others, as they are, and which they are."""
        for start in range(0, self.shape[0], size):
            rows = slice(start, min(start + size, self.shape[0]))
            yield self._features[rows].astype(np.float32, copy=False), rows


@dataclass(frozen=True)
class Student:
    """A ridge regression of soft labels."""

    contrasts: Float32  # shape (n, T), of each text by the regression without it, standardised
    weight: Numbers  # shape (T, d), the map from standardised features to contrasts on the same scale, for new texts
    intercept: Numbers

    @classmethod
    def of(cls, leave_one_out: Floats, weight: Numbers, intercept: Numbers) -> Student:
        """From fitted targets, shape (n, T), and the map to such."""
        scaled, mean, scale = standardised(from_targets(leave_one_out))
        weight, intercept = from_targets(weight.T).T, from_targets(intercept[None])[0]
        return cls(scaled.astype(np.float32), weight / scale, (intercept - mean) / scale)


class Ridge:
    """Ridge regressions, one after another, on the same columns: their matrix is factorised once.

    The penalty is on the squared weights, beside the sum of squared errors. Features that are in none of the `columns`
    get weights of 0.
    """

    def __init__(self, X: StandardisedMatrix, penalty: float, columns: slice = slice(None)) -> None:
        self._X, self._columns = X, columns
        gram = X.gram[columns, columns].copy()
        gram[np.diag_indices(len(gram))] += penalty
        self._factor = cho_factor(gram, lower=True, overwrite_a=True)

    def fit(self, targets: Floats) -> tuple[Numbers, Numbers]:
        """Weights and intercepts, shapes (t, d) and (t,), for targets of shape (n, t)."""
        return self.solve(self._X.cross(targets)), targets.mean(axis=0, dtype=np.float64)

    def solve(self, cross: Numbers) -> Numbers:
        """Weights, shape (t, d), for ``X^T targets`` of shape (d, t)."""
        weights = np.zeros(cross.T.shape)
        weights[:, self._columns] = cho_solve(self._factor, cross[self._columns]).T
        return weights

    @cached_property
    def leverages(self) -> Float32:
        """What each text's own target adds to its prediction, shape (n,): the diagonal of the hat matrix."""
        factor = np.tril(self._factor[0])
        weights = np.zeros((len(factor), self._X.shape[1]))
        weights[:, self._columns] = solve_triangular(factor, np.eye(len(factor)), lower=True)
        return np.asarray(self._X.squared_norms(weights) + 1 / self._X.shape[0], np.float32)

    def leave_one_out(self, targets: Floats, weights: Numbers, known: NDArray[np.bool_] | None = None) -> Float32:
        """Predictions of each text by the regression without it, shape (n, t).

        From targets (n, t) and weights (t, d) of the regression with all texts. Texts that are not `known`, shape (n,),
        whose targets are the mean of the others, were never in it.

        ``(p_i - h_i y_i) / (1 - h_i)`` with the prediction p, the target y and the leverage h: exact, up to the means
        and scales of the features, which stay (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning",
        2009, equation 7.64).
        """
        leverage = self.leverages if known is None else self.leverages * known
        predictions = self._X.scores(weights, targets.mean(axis=0, dtype=np.float64))
        for column, target in zip(predictions.T, targets.T, strict=True):
            column -= leverage * target
            column /= 1 - leverage
        return predictions

    def student(self, targets: Floats, known: NDArray[np.bool_] | None = None) -> Student:
        """The regression of targets as a student; `known` as in `leave_one_out`."""
        weights, intercepts = self.fit(targets)
        return Student.of(self.leave_one_out(targets, weights, known), weights, intercepts)
