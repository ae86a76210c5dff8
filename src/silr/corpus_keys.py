"""Keys by which texts of the corpus are known again."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotator_evidence import Annotator

Keys = NDArray[np.uint64]

COLUMNS = 64  # of a matrix, spread evenly, that tell its rows apart
ROWS_AT_ONCE = 65536
TURN = np.uint64(29)


def text_keys(texts: Sequence[str]) -> Keys:
    """One key a text, shape (n,)."""
    digests = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, np.uint64)


def row_keys(X: NDArray[Any]) -> Keys:
    """One key a row of a matrix, shape (n,), from the bits of some of its columns."""
    columns = np.linspace(0, X.shape[1] - 1, min(COLUMNS, X.shape[1])).round().astype(int)
    found = np.empty(len(X), np.uint64)
    for start in range(0, len(X), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        found[rows] = _mixed(np.asarray(X[rows][:, columns], np.float32))
    return found


def with_annotators(keys: Keys, annotators: Sequence[Annotator]) -> Keys:
    """Keys of texts and of what LLMs say of them."""
    for annotator in annotators:
        keys = _mixed_with(keys, annotator.labels.astype(np.uint64))
        if annotator.scores is not None:
            keys = _mixed_with(keys, _mixed(annotator.scores.astype(np.float32)))
    return keys


def _mixed(values: NDArray[np.float32]) -> Keys:
    """One key a row of numbers."""
    bits = (np.ascontiguousarray(values) + np.float32(0.0)).view(np.uint32).astype(np.uint64)  # -0.0 is 0.0
    factors = np.random.default_rng(0).integers(2**63, size=values.shape[1], dtype=np.uint64) | np.uint64(1)
    return _scrambled((bits * factors).sum(axis=1, dtype=np.uint64))


def _mixed_with(keys: Keys, others: Keys) -> Keys:
    return _scrambled(keys * np.uint64(0x9E3779B97F4A7C15) + others)


def _scrambled(keys: Keys) -> Keys:
    return keys ^ (keys >> TURN)
