"""Several kinds of features side by side: what one does not see another may."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.errors import InputError
from silr.features.tfidf import TfidfFeatures
from silr.io.files import Json, write_json

if TYPE_CHECKING:
    from silr.features.base import Matrix

WIDTHS = "widths.json"


class JoinedFeatures:
    """Features of the same texts, one kind after another; at most one is TF-IDF, and none tokens."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.widths: list[int] = []

    @property
    def record(self) -> Json:
        """What identifies the parts."""
        return {"kind": "joined", "parts": [part.record for part in self.parts]}

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Features of the corpus, float32 of shape (n, d)."""
        return self.join([part.fit_transform(texts) for part in self.parts])

    def join(self, matrices: Sequence[Matrix]) -> Matrix:
        """The parts' features of the same texts side by side, which tell the widths of the parts."""
        widths = (_widths(part, matrix.shape[1]) for part, matrix in zip(self.parts, matrices, strict=True))
        self.widths = [width for of_part in widths for width in of_part]
        return np.hstack(matrices).astype(np.float32, copy=False)

    def transform(self, texts: Sequence[str], ready: Matrix | None = None) -> Matrix:
        """Features of new texts; `ready` are those of the part that came from a file, if they are at hand."""
        parts = [
            ready if ready is not None and part.record["kind"] == "file" else part.transform(texts)
            for part in self.parts
        ]
        return np.hstack(parts).astype(np.float32, copy=False)

    def save(self, folder: Path) -> None:
        """Write what the parts need, and their widths, into an existing folder."""
        for part in self.parts:
            part.save(folder)
        write_json(folder / WIDTHS, self.widths)

    def read_widths(self, folder: Path) -> None:
        """Read the parts' widths; InputError if they are missing or damaged."""
        try:
            self.widths = [int(width) for width in json.loads((folder / WIDTHS).read_bytes())]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"cannot read {folder / WIDTHS}: {error}".splitlines()[0]) from error


def groups_of(features: Any, width: int, widths: Sequence[int] | None = None) -> list[list[slice]]:
    """The columns of each kind of features, of `width` columns in all; TF-IDF is of words and of characters.

    `widths` are those of kinds that were given as matrices.
    """
    if features is None and widths is not None:
        return [[columns] for columns in slices(widths)]
    if not isinstance(features, JoinedFeatures):
        return [slices(_widths(features, width))]
    columns, groups = slices(features.widths), []
    for part in features.parts:
        count = len(part.widths) if isinstance(part, TfidfFeatures) else 1
        groups.append(columns[:count])
        columns = columns[count:]
    return groups


def _widths(features: Any, width: int) -> list[int]:
    return features.widths if isinstance(features, TfidfFeatures) else [width]


def slices(widths: Sequence[int]) -> list[slice]:
    """The columns of kinds of features that stand side by side."""
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
