"""How often the LLM agrees with the gold labels that a table has already, while it annotates."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.io.class_names import ClassNames
from silr.io.corpus import label_column, weight_column
from silr.stats.intervals import Right, right_share

if TYPE_CHECKING:
    import pandas as pd


class GoldCheck:
    """Compares labels with a table's columns `gold` and `gold_weight` as they come.

    `where` is the position of each row's text among the distinct texts. Gold labels that are none of the classes,
    counted in `outside`, judge the LLM's label as wrong. A weight that is negative or no number is an InputError.
    """

    def __init__(self, frame: pd.DataFrame, classes: tuple[str, ...], where: NDArray[np.int64], source: str) -> None:
        names = ClassNames(classes, named=True)
        labels = label_column(frame, "gold", source, required=False)
        gold = np.array([-1 if label is None else names.code(label) for label in labels])
        known = np.array([label is not None for label in labels])
        weight = weight_column(frame, "gold_weight", source, known)
        rows = np.flatnonzero(known if weight is None else known & (weight > 0))
        self.outside = dict(Counter(str(labels[row]) for row in rows if gold[row] < 0).most_common())
        self._gold, self._where = gold[rows], where[rows]
        self._weight = np.ones(len(rows)) if weight is None else weight[rows]
        self._labels = np.full(where.max() + 1, -1)

    def add(self, texts: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Take the scores (m, K) of distinct texts; a row of NaN is no label."""
        self._labels[texts] = np.where(np.isnan(scores[:, 0]), -1, scores.argmax(axis=1))

    def right(self) -> Right | None:
        """The share of labels that are right, by the gold labels of texts labelled so far; None if there is none."""
        labels = self._labels[self._where]
        known = labels >= 0
        return right_share(labels[known] == self._gold[known], self._weight[known])
