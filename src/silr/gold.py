"""Which texts to label by hand, and with which weights they then speak for the corpus."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError


def draw_texts(llm_labels: ArrayLike, n: int, random_state: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw texts for labelling by hand, as many from each LLM label as there are, so that a rare one gets its share.

    Parameters
    ----------
    llm_labels : int array-like of shape (N,)
        Label codes, -1 where the LLM gave none (such texts are not drawn).
    n : int
        How many texts to draw.
    random_state : int, default 0

    Returns
    -------
    rows : int64 array of shape (n,)
        Sorted.
    weights : float64 array of shape (n,)
        ``N_h / n_h``: how many texts of the same LLM label each drawn text speaks for.

    Raises
    ------
    InputError
        There are fewer than n texts with a label.
    """
    labels = np.asarray(llm_labels)
    strata = [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
    if n < len(strata) or n > sum(map(len, strata)):
        raise InputError(f"cannot draw {n} texts out of {sum(map(len, strata)):,} with {len(strata)} LLM labels")
    rng = np.random.default_rng(random_state)
    rows, weights = [], []
    left = n
    for position, members in enumerate(sorted(strata, key=len)):  # what a small set cannot give, the larger ones do
        size = min(len(members), left // (len(strata) - position))
        left -= size
        rows.append(rng.choice(members, size, replace=False))
        weights.append(np.full(size, len(members) / size))
    drawn = np.concatenate(rows)
    order = np.argsort(drawn)
    return drawn[order], np.concatenate(weights)[order]


def post_stratified(llm_labels: NDArray[Any], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many texts of the same LLM label each drawn text speaks for, shape (N,); a missing label is one too."""
    stratum = llm_labels - llm_labels.min()
    size, count = np.bincount(stratum), np.bincount(stratum[drawn], minlength=int(stratum.max()) + 1)
    weights: NDArray[np.float64] = (size / np.maximum(count, 1))[stratum]
    return weights


def gold_weights(weight: ArrayLike, drawn: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return the weights of the gold texts, given those of all n.

    Raises
    ------
    InputError
        It is not one number a text, or one of a gold text is not positive and finite.
    """
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (n,):
        raise InputError(f"gold_weight has shape {w.shape}; one number for each text is wanted, ({n},)")
    if not np.isfinite(w[drawn]).all() or (w[drawn] <= 0).any():
        raise InputError("gold weights must be finite and positive wherever there is a gold label")
    return w[drawn]
