"""Class probabilities from a label alone: the shares of the classes among the gold labels of texts with that label."""

import numpy as np
from numpy.typing import NDArray

from silr.stats.contrasts import Numbers


def expected_by_label(
    labels: NDArray[np.integer], gold: NDArray[np.integer], weights: Numbers, rows: NDArray[np.integer], n_classes: int
) -> Numbers:
    """Class probabilities of each text, shape (n, K), from its label (n,), -1 where it has none.

    They are weighted shares among the gold texts (`rows`) with the same label, of which each text leaves out its own.
    One label's worth of the shares among all gold texts is added to each, so that a label without gold has these.
    """
    K, code = n_classes, np.where(labels < 0, n_classes, labels)
    scaled = weights[rows] * (len(rows) / weights[rows].sum())
    counts = np.zeros((K + 1, K))
    np.add.at(counts, (code[rows], gold[rows]), scaled)
    p = _shares(counts, counts.sum(axis=0))[code]
    own = np.eye(K)[gold[rows]] * scaled[:, None]
    p[rows] = _shares(np.maximum(counts[code[rows]] - own, 0), np.maximum(counts.sum(axis=0) - own, 0))
    return np.asarray(p)


def _shares(counts: Numbers, total: Numbers) -> Numbers:
    pooled = (total + 1 / total.shape[-1]) / (total.sum(axis=-1, keepdims=True) + 1)
    return np.asarray((counts + pooled) / (counts.sum(axis=-1, keepdims=True) + 1))
