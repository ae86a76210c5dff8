"""For how many texts each gold label speaks, where no plan of `silr.label.draw` tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError


def post_stratified(llm_labels: NDArray[Any], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many texts of the same LLM label each drawn text speaks for, shape (N,); a missing label is one too."""
    stratum = llm_labels - llm_labels.min()
    size, count = np.bincount(stratum), np.bincount(stratum[drawn], minlength=int(stratum.max()) + 1)
    weights: NDArray[np.float64] = (size / np.maximum(count, 1))[stratum]
    return weights


def given_weights(weight: ArrayLike, drawn: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return the weights of the gold texts, given those of all n; 0 where one is missing (NaN).

    A gold label with weight 0 trains, and no estimate reads it: nobody knows how likely it was to be drawn.

    Raises
    ------
    InputError
        It is not one number a text, one of a gold text is negative or infinite, or all of these are 0 or missing.
    """
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (n,):
        raise InputError(f"gold_weight has shape {w.shape}; one number for each text is wanted, ({n},)")
    w = np.nan_to_num(w[drawn], nan=0.0, posinf=np.inf, neginf=-np.inf)
    if np.isinf(w).any() or (w < 0).any():
        raise InputError("gold weights must be 0 or positive and finite wherever there is a gold label")
    if len(w) and not w.any():
        raise InputError(
            "no gold label has a weight above 0, so all train and none judges: label some with `silr label`, or leave "
            "gold_weight out if they were drawn at random"
        )
    return w
