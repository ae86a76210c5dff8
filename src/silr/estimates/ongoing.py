"""Shares of the classes while gold labels are still coming in: the same numbers, without a look at all texts each time.

What is expected of all texts is summed up once: by the LLM's label, or once for each set of probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from silr.estimates.result import Row
from silr.estimates.share_rows import share_rows
from silr.stats.label_table import expected_of_labels
from silr.stats.prediction_powered import best_power, parts_of

Codes = NDArray[np.int64]


class OngoingShares:
    """Shares in a corpus of n texts with LLM labels (n,), -1 where there is none, and K classes."""

    def __init__(self, labels: Codes, class_names: Sequence[str]) -> None:
        self._names = list(class_names)
        self._code = np.where(labels < 0, len(self._names), labels)
        self._sizes = np.bincount(self._code, minlength=len(self._names) + 1)
        self._probabilities: NDArray[np.floating] | None = None  # those that `_sums` are of
        self._sums: NDArray[np.float64] = np.empty(0)

    def rows(
        self,
        gold: Mapping[int, int],
        weights: Mapping[int, float],
        probabilities: NDArray[np.floating] | None = None,
    ) -> list[Row] | None:
        """The share of each class; None without a gold label that judges.

        Parameters
        ----------
        gold : Mapping
            Class numbers by row.
        weights : Mapping
            For how many texts each gold label speaks, by row; 0: it is known and judges nothing.
        probabilities : array of shape (n, K), default None
            Of a model that did not know the gold label of a text with gold. None: how often each label was right among
            the other gold labels.
        """
        judging = np.array([row for row in gold if weights.get(row, 0) > 0], dtype=np.int64)
        if not len(judging):
            return None
        known = np.array([row for row in gold if not weights.get(row, 0) > 0], dtype=np.int64)
        K, n = len(self._names), len(self._code)
        truth = np.array([gold[row] for row in judging.tolist()], dtype=np.int64)
        weight = np.array([weights[row] for row in judging.tolist()])
        if probabilities is None:
            of_label, p = expected_of_labels(self._code[judging], truth, weight, K)
            sums = self._sizes @ of_label + (p - of_label[self._code[judging]]).sum(axis=0)
            p_known = of_label[self._code[known]]
        else:
            sums, p = self._summed(probabilities), probabilities[judging].astype(np.float64)
            p_known = probabilities[known].astype(np.float64)
        by_hand = np.bincount([gold[row] for row in known.tolist()], minlength=K)
        parts = parts_of(np.eye(K), truth, p, weight)
        sums = sums - p_known.sum(axis=0) + by_hand
        return share_rows(self._names, parts, best_power(parts), sums, n, by_hand, in_all=True)

    def _summed(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        if probabilities is not self._probabilities:
            self._sums = np.asarray(probabilities.sum(axis=0, dtype=np.float64))
            self._probabilities = probabilities
        return self._sums
