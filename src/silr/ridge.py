"""Linear algebra with a matrix of features that is too large to copy: it is standardised and read in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from silr.classifiers.standardise import CHUNK_ROWS, Standardiser, as_tensor

Numbers = NDArray[np.float64]
PENALTY = 2000.0  # for standardised features, of soft labels


class StandardisedMatrix:
    """The features of a corpus, each with mean 0 and standard deviation 1.

    Parameters
    ----------
    X : array of shape (n, d)
        May be a memory map.
    standardiser : Standardiser
        Of X.
    """

    def __init__(self, X: NDArray[Any], standardiser: Standardiser) -> None:
        self._features, self._standardise = as_tensor(X), standardiser
        self.shape = X.shape

    def rows(self, rows: NDArray[np.int64]) -> Numbers:
        """Some rows, shape (m, d)."""
        found: Numbers = self._standardise(self._features, torch.from_numpy(rows)).double().numpy()
        return found

    def gram(self) -> Numbers:
        """``X^T X``, shape (d, d)."""
        total = np.zeros((self.shape[1], self.shape[1]))
        for chunk, _ in self._chunks():
            total += (chunk.T @ chunk).numpy()
        return total

    def cross(self, targets: Numbers) -> Numbers:
        """``X^T targets``, shape (d, t)."""
        total = np.zeros((self.shape[1], targets.shape[1]))
        for chunk, rows in self._chunks():
            total += (chunk.T @ torch.from_numpy(targets[rows].astype(np.float32))).numpy()
        return total

    def scores(self, weights: Numbers, intercepts: Numbers, columns: slice = slice(None)) -> Numbers:
        """``X weights^T + intercepts``, shape (n, t); the weights may be for some of the columns."""
        found = np.empty((self.shape[0], len(weights)))
        turned = torch.from_numpy(weights.T.astype(np.float32))
        for chunk, rows in self._chunks():
            found[rows] = (chunk[:, columns] @ turned).numpy()
        found += intercepts
        return found

    def _chunks(self) -> Iterator[tuple[Tensor, slice]]:
        for start in range(0, self.shape[0], CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            yield self._standardise(self._features, rows), rows


class Ridge:
    """Ridge regressions, one after another, on the same features: their matrix is factorised once.

    Parameters
    ----------
    X : StandardisedMatrix
    penalty : float
        On the squared weights, beside the sum of squared errors.
    gram : float64 array of shape (d, d), default None
        ``X^T X``, if it is known; it is overwritten.
    """

    def __init__(self, X: StandardisedMatrix, penalty: float, gram: Numbers | None = None) -> None:
        self._X = X
        gram = X.gram() if gram is None else gram
        gram[np.diag_indices(len(gram))] += penalty
        self._factor = cho_factor(gram, overwrite_a=True)

    def fit(self, targets: Numbers) -> tuple[Numbers, Numbers]:
        """Weights and intercepts, shapes (t, d) and (t,), for targets of shape (n, t)."""
        mean = targets.mean(axis=0)  # that of the features is 0
        return cho_solve(self._factor, self._X.cross(targets - mean)).T, mean
