"""Gold labels as the default method takes them: rows, codes and weights, and folds of them to be left out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


@dataclass(frozen=True)
class GoldLabels:
    """Gold labels of m texts."""

    rows: NDArray[np.int64]  # shape (m,), where the texts stand in the corpus
    codes: NDArray[np.int64]  # shape (m,), classes, 0..K-1
    weights: NDArray[np.float64]  # shape (m,), 1 / probability of being drawn, with a mean of 1
    n_classes: int

    @classmethod
    def of(cls, codes: NDArray[np.integer], weights: NDArray[np.number] | None, n_classes: int) -> GoldLabels:
        """Take the rows of a column that have a label (not -1); without weights all weigh the same."""
        rows = np.flatnonzero(codes >= 0)
        weight = np.ones(len(rows)) if weights is None else np.nan_to_num(np.asarray(weights, np.float64)[rows])
        return cls(rows, codes[rows].astype(np.int64), weight / weight.mean(), n_classes)

    def folds(self, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions to learn from and positions left out: five times, each class spread evenly where it can be."""
        spread = np.bincount(self.codes).max() >= FOLDS
        from sklearn.model_selection import KFold, StratifiedKFold

        kind = StratifiedKFold if spread else KFold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rare classes
            return list(kind(FOLDS, shuffle=True, random_state=seed).split(self.codes, self.codes))
