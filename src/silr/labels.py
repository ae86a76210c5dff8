"""Labels of any type as class codes, and whether there are gold labels enough."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError

FEWEST_GOLD, FEW_GOLD = 10, 30
FEW_OF_A_CLASS = 3


def encode_columns(
    y: Any, gold: Any, truth: Any, classes: Any = None
) -> tuple[NDArray[Any], NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """Classes in order, by default those of y and gold, and codes of y, gold and truth with -1 for missing."""
    labels = _array(y)
    if labels.ndim != 1:
        raise InputError(f"the LLM's labels must be one column, got shape {labels.shape}")
    columns = [labels]
    for name, values in (("gold", gold), ("truth", truth)):
        column = np.broadcast_to(np.nan, len(labels)) if values is None else _array(values)
        if column.shape != labels.shape:
            raise InputError(f"{name} has shape {column.shape}, the LLM's labels {labels.shape}")
        columns.append(column)
    present = [~_missing(column) for column in columns]
    distinct = [_distinct(column[known]) for column, known in zip(columns, present, strict=True)]
    found, also, true = (set(values) for values in distinct)
    if not found:
        raise InputError(f"all {len(labels):,} of the LLM's labels are missing")
    wanted = found | also if classes is None else set(_distinct(_array(classes)))
    if len(wanted) < 2:
        raise _one_class(min(found))
    try:
        every = sorted(found | also | wanted)  # equal values of other types, such as 1.0, become those of the labels
    except TypeError as error:
        raise InputError(f"labels of different types cannot be compared: {error}") from error
    order = [label for label in every if label in wanted]
    for name, values in (("label", found), ("gold label", also), ("true label", true)):
        if strange := values - wanted:
            raise InputError(f"a {name} is '{strange.pop()}', outside the classes {', '.join(map(str, order))}")
    code = {label: number for number, label in enumerate(order)}
    codes = []
    for column, known in zip(columns, present, strict=True):
        codes.append(np.full(len(column), -1, dtype=np.int16))
        codes[-1][known] = _look_up(column[known], code)
    return np.array(order), codes[0], codes[1], codes[2]


def _array(values: Any) -> NDArray[Any]:
    """Arrays of NumPy's types stay; of other columns NumPy would make floats, or "nan", where a value is missing."""
    plain = isinstance(getattr(values, "dtype", None), np.dtype)
    return np.asarray(values, dtype=None if plain else object)


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a column has no value. Columns of numbers are never made into Python objects: they may be long."""
    if column.dtype.kind == "O":
        import pandas as pd

        return np.asarray(pd.isna(column))
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def _distinct(values: NDArray[Any]) -> list[Any]:
    found: list[Any] = values.tolist() if values.dtype.kind == "O" else np.unique(values).tolist()
    return found


def _look_up(values: NDArray[Any], code: dict[Any, int]) -> Any:
    if values.dtype.kind == "O":
        return [code[value] for value in values.tolist()]
    distinct = np.unique(values)
    return np.array([code[value] for value in distinct.tolist()], dtype=np.int16)[np.searchsorted(distinct, values)]


def check_shapes(scores: Any, theta: Any, n: int, names: list[str]) -> None:
    """Refuse scores or a Theta, if there are any, of other shapes than (n, K) and (K, K)."""
    K = len(names)
    if scores is not None and scores.shape != (n, K):
        more = "; `classes` names those that no label has" if scores.shape[1:] > (K,) else ""
        raise InputError(f"llm_scores has shape {scores.shape}; {n:,} rows of {K} are wanted{more}")
    if theta is not None and np.shape(theta) != (K, K):
        raise InputError(f"theta has shape {np.shape(theta)}, but the classes are {', '.join(names)}")


def check_occurring(codes: NDArray[np.int16], gold_codes: NDArray[np.int16], names: list[str]) -> None:
    """Refuse labels and gold labels that are all the same."""
    found = np.unique(np.concatenate([codes, gold_codes]))
    if len(found := found[found >= 0]) < 2:
        raise _one_class(names[found[0]])


def _one_class(name: Any) -> InputError:
    return InputError(f"the LLM's labels have one class only, '{name}': there is nothing to tell apart")


def check_gold(codes: NDArray[np.int16], names: list[str]) -> None:
    """Refuse fewer than 10 gold labels or a single class, warn below 30, or below 3 of a class."""
    known = codes[codes >= 0]
    if len(known) < FEWEST_GOLD:
        raise InputError(
            f"{len(known)} gold labels are too few to estimate class shares; label at least {FEWEST_GOLD} texts "
            "by hand (50 to 100 are enough); `silr label` draws them"
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
    counts = np.bincount(known, minlength=len(names))
    if (fewest := int(counts.min())) < FEW_OF_A_CLASS:
        name, more = names[int(counts.argmin())], int((counts < FEW_OF_A_CLASS).sum()) - 1
        others = f" ({more} more have fewer than {FEW_OF_A_CLASS})" if more else ""
        warnings.warn(
            f"class {name!r} has {fewest} gold label{'s' * (fewest != 1)}, too few to tell what belongs to it{others}: "
            f"label more texts, first those that the LLM calls {name!r}, if there are any",
            stacklevel=3,
        )
