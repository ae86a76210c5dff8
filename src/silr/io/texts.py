"""Texts and tokens: the distinct ones, and what all begin with."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts in order of appearance, and for each of the n texts its position among them."""
    position: dict[str, int] = {}
    where = np.fromiter((position.setdefault(text, len(position)) for text in texts), np.int64, len(texts))
    return list(position), where


def common_start(rows: Iterable[Iterable[int]]) -> list[int]:
    """Return what all rows begin with alike."""
    columns = zip(*rows, strict=False)
    return [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]
