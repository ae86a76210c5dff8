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
