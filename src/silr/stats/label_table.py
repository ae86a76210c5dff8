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
    code = np.where(labels < 0, n_classes, labels)
    of_label, p_gold = expected_of_labels(code[rows], gold[rows], weights[rows], n_classes)
    p = of_label[code]
    p[rows] = p_gold
    return np.asarray(p)


def expected_of_labels(
    code: NDArray[np.integer], gold: NDArray[np.integer], weights: Numbers, n_classes: int
) -> tuple[Numbers, Numbers]:
    """The same by label, shape (K + 1, K), and of the m gold texts themselves, shape (m, K).

    From the m gold texts alone: their labels, K where one has none, their classes, and their weights.
    """
    K = n_classes
    scaled = weights * (len(gold) / weights.sum())
    counts = np.zeros((K + 1, K))
    np.add.at(counts, (code, gold), scaled)
    own = np.eye(K)[gold] * scaled[:, None]
    without = _shares(np.maximum(counts[code] - own, 0), np.maximum(counts.sum(axis=0) - own, 0))
    return _shares(counts, counts.sum(axis=0)), without


def _shares(counts: Numbers, total: Numbers) -> Numbers:
    pooled = (total + 1 / total.shape[-1]) / (total.sum(axis=-1, keepdims=True) + 1)
    return np.asarray((counts + pooled) / (counts.sum(axis=-1, keepdims=True) + 1))
