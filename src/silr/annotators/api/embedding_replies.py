"""Embeddings as servers send them: lists of numbers or base64, in any order."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotators.api.replies import NoReplyError, usage

_LARGEST = float(np.finfo(np.float16).max)


def read_vectors(value: object, n: int) -> NDArray[np.float16]:
    """Return the embeddings of n texts, shape (n, d), in the order of the texts; else a `NoReplyError`."""
    entries = _entries(value)
    if entries is None:
        raise NoReplyError(f"no embeddings but {json.dumps(value, ensure_ascii=False)[:200]}")
    if len(entries) != n:
        raise NoReplyError(f"{len(entries):,} embeddings of {n:,} texts")
    rows = [_numbers(entry) for entry in _in_order(entries)]
    if len({len(row) for row in rows}) > 1 or not len(rows[0]):
        widths = ", ".join(map(str, sorted({len(row) for row in rows})))
        raise NoReplyError(f"embeddings of no common width in one answer: {widths} numbers")
    vectors = np.stack(rows)
    if not (np.abs(vectors) <= _LARGEST).all():  # NaN is no number below it either
        raise NoReplyError("an embedding with NaN, or with numbers that float16 does not hold")
    return vectors.astype(np.float16)


def tokens_of(value: object) -> int:
    """Return the tokens that were read, as the response counts them, 0 if it does not."""
    prompt, _ = usage(value)
    counted = value.get("usage") if isinstance(value, dict) else None
    total = counted.get("total_tokens") if isinstance(counted, dict) else None
    return prompt or (total if isinstance(total, int) and total > 0 else 0)


def _entries(value: object) -> list[Any] | None:
    if isinstance(value, dict):
        value = next((value[name] for name in ("data", "embeddings") if isinstance(value.get(name), list)), None)
    return value if isinstance(value, list) else None


def _in_order(entries: list[Any]) -> list[Any]:
    """Put the entries in the order of their texts, by `index` where all have one."""
    places = [entry.get("index") if isinstance(entry, dict) else None for entry in entries]
    numbers = [place for place in places if isinstance(place, int)]
    if not numbers:
        return entries
    if sorted(numbers) != list(range(len(entries))):
        raise NoReplyError(f"embeddings whose index is wrong: {str(places)[:100]}")
    return [entries[at] for at in np.argsort(numbers)]


def _numbers(entry: object) -> NDArray[np.float32]:
    numbers = entry.get("embedding") if isinstance(entry, dict) else entry
    try:
        if isinstance(numbers, str):
            return np.frombuffer(base64.b64decode(numbers, validate=True), "<f4").astype(np.float32)
        while isinstance(numbers, list) and len(numbers) == 1 and isinstance(numbers[0], list):
            numbers = numbers[0]
        array = np.asarray(numbers, np.float32)
    except (binascii.Error, TypeError, ValueError, OverflowError):
        array = np.empty((0, 0), np.float32)
    if array.ndim != 1:
        raise NoReplyError(f"an embedding that is no list of numbers: {str(numbers)[:60]!r}")
    return array
