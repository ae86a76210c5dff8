"""Labels of any type as class codes, and whether there are gold labels enough."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from silr.errors import InputError

FEWEST_GOLD, FEW_GOLD = 10, 30


def encode_columns(
    y: Any, gold: Any, truth: Any
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Classes of y and gold in order, and codes of y, gold and truth with -1 for missing."""
    labels = np.asarray(y, dtype=object)
    if labels.ndim != 1:
        raise InputError(f"the LLM's labels must be one column, got shape {labels.shape}")
    columns = [labels]
    for name, values in (("gold", gold), ("truth", truth)):
        column = np.full(len(labels), None, dtype=object) if values is None else np.asarray(values, dtype=object)
        if column.shape != labels.shape:
            raise InputError(f"{name} has shape {column.shape}, the LLM's labels {labels.shape}")
        columns.append(column)
    present = [~pd.isna(column) for column in columns]
    if not present[0].any():
        raise InputError(f"all {len(labels):,} of the LLM's labels are missing")
    found = np.unique(np.array(labels[present[0]].tolist()))
    if len(found) < 2:
        raise InputError(f"the LLM's labels have one class only, {found[0].item()!r}: there is nothing to tell apart")
    classes = np.unique(np.array(labels[present[0]].tolist() + columns[1][present[1]].tolist()))
    codes = []
    for column, known in zip(columns, present, strict=True):
        code = np.full(len(column), -1, dtype=np.int64)
        values = np.array(column[known].tolist(), dtype=classes.dtype) if known.any() else classes[:0]
        position = np.searchsorted(classes, values).clip(max=len(classes) - 1)
        strange = classes[position] != values
        if strange.any():
            raise InputError(f"a true label is {values[strange][0].item()!r}, outside the classes {classes.tolist()}")
        code[known] = position
        codes.append(code)
    return classes, codes[0], codes[1], codes[2]


def check_gold(codes: NDArray[np.int64], names: list[str]) -> None:
    """Refuse fewer than 10 gold labels or a single class, warn below 30."""
    known = codes[codes >= 0]
    if len(known) < FEWEST_GOLD:
        raise InputError(
            f"{len(known)} gold labels are too few to estimate class shares; label at least {FEWEST_GOLD} texts "
            "by hand (50 to 100 are enough), as many from each LLM label"
        )
    if len(np.unique(known)) < 2:
        raise InputError(
            f"all {len(known)} gold labels are {names[known[0]]!r}: label more texts, until at least two classes occur"
        )
    if len(known) < FEW_GOLD:
        warnings.warn(
            f"only {len(known)} gold labels: expect wide intervals and results that vary by several points; 50 to 100 "
            "are enough",
            stacklevel=3,
        )
