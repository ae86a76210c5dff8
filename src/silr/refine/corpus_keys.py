"""Keys by which texts of the corpus are known again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from silr.stats.annotator_evidence import Annotator

Keys = NDArray[np.uint64]

ROWS_AT_ONCE = 4096
MULTIPLIER, TURN = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
ZERO = np.float32(0.0)  # added, it makes 0.0 of -0.0


def text_keys(texts: Sequence[str]) -> Keys:
    """One key a text, shape (n,)."""
    return _hashed(text.encode("utf-8", "surrogatepass") for text in texts)


def row_keys(X: NDArray[np.number]) -> Keys:
    """One key a row of a matrix, shape (n,), from its numbers as float32."""
    parts = [X[start : start + ROWS_AT_ONCE] for start in range(0, len(X), ROWS_AT_ONCE)]
    return np.concatenate([_hashed(row.tobytes() for row in np.asarray(part, np.float32) + ZERO) for part in parts])


def with_annotators(keys: Keys, annotators: Sequence[Annotator]) -> Keys:
    """Keys of texts and of what LLMs say of them."""
    for annotator in annotators:
        keys = _mixed_with(keys, annotator.labels.astype(np.uint64))
        if annotator.scores is not None:
            keys = _mixed_with(keys, row_keys(annotator.scores))
    return keys


def _hashed(values: Iterable[bytes]) -> Keys:
    return np.frombuffer(b"".join(blake2b(value, digest_size=8).digest() for value in values), np.uint64)


def _mixed_with(keys: Keys, others: Keys) -> Keys:
    mixed = keys * MULTIPLIER + others
    return mixed ^ (mixed >> TURN)
