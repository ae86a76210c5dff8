"""The blocks of columns that a local annotator's features have side by side, and what its description says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.files import Json

if TYPE_CHECKING:
    import torch

LAST, MEAN = "last", "mean"
BLOCKS = (LAST, MEAN)
IN_WORDS = {LAST: "the state at the answering position", MEAN: "the mean state over the text"}
KEY = "feature_blocks"  # in an annotator's description; version 0.1 wrote the block LAST alone and no such key


@runtime_checkable
class WithBlocks(Protocol):
    """An annotator whose features can be of fewer blocks."""

    def take_blocks(self, names: Sequence[str]) -> None:
        """Let the features be of these blocks from now on."""


def check_blocks(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of blocks; InputError if one is unknown, if one is there twice, or if there is none."""
    if isinstance(names, str) or not names or not set(names) <= set(BLOCKS) or len(set(names)) < len(names):
        raise InputError(f"{KEY} is {names!r}; it must hold {' or '.join(map(repr, BLOCKS))}, or both")
    return tuple(names)


def described(names: Sequence[str], width: int) -> Json:
    """What a description says of blocks of one width; nothing of features as version 0.1 wrote them."""
    return {} if tuple(names) == (LAST,) else {KEY: [{"name": name, "width": width} for name in names]}


def names_of(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the blocks, from an annotator's description."""
    return tuple(str(block["name"]) for block in description.get(KEY, ())) or (LAST,)


def width_of(description: Mapping[str, Any]) -> int | None:
    """The columns that the blocks have together; None if the description does not say."""
    return sum(block["width"] for block in description[KEY]) if KEY in description else None


def without_blocks(description: Mapping[str, Any]) -> Json:
    """The description of an annotator as version 0.1 had it."""
    return {name: value for name, value in description.items() if name != KEY}


def columns_of(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """The columns of the blocks that are wanted, of features that may have more; None if they are the same.

    Both are described by their annotators. An InputError says what it lacks.
    """
    if names_of(wanted) == names_of(there):
        return None
    if lacking := [name for name in names_of(wanted) if name not in names_of(there)]:
        raise InputError(f"it lacks {' and '.join(IN_WORDS.get(name, name) for name in lacking)}")
    ends = np.cumsum([0, *(block["width"] for block in there[KEY])]).tolist()
    columns = dict(zip(names_of(there), map(np.arange, *zip(*pairwise(ends), strict=True)), strict=True))
    return np.concatenate([columns[name] for name in names_of(wanted)])


def as_begun(annotator: object, meta: Json, begun: object) -> Json:
    """What identifies an annotation: an unfinished one of version 0.1 goes on with the block that it has.

    Parameters
    ----------
    annotator : Annotator
    meta : dict
        What identifies it as a new one, with the annotator's description under "annotator".
    begun : dict or None
        The same of the unfinished annotation, if there is one.
    """
    older = {**meta, "annotator": without_blocks(meta["annotator"])}
    if older == meta or begun != json.loads(json.dumps(older)) or not isinstance(annotator, WithBlocks):
        return meta
    annotator.take_blocks((LAST,))
    return older


def means(states: torch.Tensor, spans: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Mean states, float32 of shape (n, d), of `states` (n, length, d) over the positions from start to end of each.

    Row by row, so that a result depends on nothing else in its batch.
    """
    import torch

    each = zip(states, spans, strict=True)
    return torch.stack([row[start:end].mean(dim=0, dtype=torch.float32) for row, (start, end) in each])
