"""One label a text from the votes of several persons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vote_counts(codes: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """How many persons gave each class to each text, shape (n, K), from codes (n, R), -1 where there is no vote."""
    return np.stack([(codes == k).sum(axis=1) for k in range(n_classes)], axis=1)


def majority_vote(codes: NDArray[np.integer], n_classes: int) -> NDArray[np.int16]:
    """The class with the most votes, shape (n,); -1 without a vote, and where the most frequent classes tie."""
    counts = vote_counts(codes, n_classes)
    most = counts.max(axis=1, keepdims=True, initial=0)
    clear = (most[:, 0] > 0) & ((counts == most).sum(axis=1) == 1)
    return np.where(clear, counts.argmax(axis=1), -1).astype(np.int16)


def disputed(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether a text's votes (n, R) differ, shape (n,)."""
    high = codes.max(axis=1, initial=-1)
    low = np.where(codes < 0, high[:, None], codes).min(axis=1, initial=np.iinfo(np.int16).max)
    return np.asarray((high >= 0) & (low != high))
