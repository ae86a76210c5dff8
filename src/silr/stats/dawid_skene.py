"""Gold labels from votes that count by how reliable their persons are, after Dawid and Skene."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from silr.extras import needs

ITERATIONS = 100
TOLERANCE = 1e-4  # gain of the log-likelihood of a text below which EM ends; a smaller one changes hardly a label
TIE = 1e-6  # difference of two probabilities that says nothing


def dawid_skene(codes: NDArray[np.integer], n_classes: int) -> NDArray[np.int16]:
    """The most probable class of each text by the votes (n, R), shape (n,); -1 without a vote, and where two tie.

    Each person has a matrix of confusion, which EM estimates together with the classes. It is that of `crowd-kit`.

    Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics 28,
    1979.

    Raises
    ------
    InputError
        The package `crowd-kit` is not installed.
    """
    with needs("votes", "Dawid-Skene", "or take --gold-from majority"):
        from crowdkit.aggregation import DawidSkene

    import pandas as pd

    rows, persons = np.nonzero(codes >= 0)
    labels = np.full(len(codes), -1, dtype=np.int16)
    if len(rows):
        votes = pd.DataFrame({"task": rows, "worker": persons, "label": codes[rows, persons].astype(int)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, about pandas of the future
            probabilities = DawidSkene(n_iter=ITERATIONS, tol=TOLERANCE).fit_predict_proba(votes)
        probabilities = probabilities.reindex(columns=range(n_classes), fill_value=0.0)
        p = np.sort(probabilities.to_numpy(), axis=1)
        best = probabilities.to_numpy().argmax(axis=1)
        labels[probabilities.index.to_numpy()] = np.where(p[:, -1] - p[:, -2] > TIE, best, -1)
    return labels
