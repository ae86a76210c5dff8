"""Labels of any type as class codes, and whether there are gold labels enough."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError

FEWEST_GOLD, FEW_GOLD = 10, 30
FEW_OF_A_CLASS = 3


def llm_columns(y: Any) -> dict[str, Any]:
    """The labels of each LLM, by name, from one column, shape (n,), or several.

    Several are a mapping of names to columns, a data frame, or an array of shape (n, L).

    Raises
    ------
    InputError
        Neither, or no column at all.
    """
    if hasattr(y, "columns"):
        y = {str(name): y[name] for name in y.columns}
    if isinstance(y, Mapping):
        if not y:
            raise InputError("there are no LLM labels: the mapping is empty")
        return {str(name): column for name, column in y.items()}
    array = _array(y)
    if array.ndim == 2 and array.shape[1]:
        return {f"LLM {number}": column for number, column in enumerate(array.T, start=1)}
    if array.ndim != 1:
        raise InputError(f"the LLM's labels must be one column, or one for each LLM, got shape {array.shape}")
    return {"": array}


def llm_score_arrays(llm_scores: Any, names: Sequence[str]) -> list[NDArray[np.float64] | None]:
    """The scores of each LLM, or None: from an array for the only one, a mapping by name, or a sequence of them.

    Raises
    ------
    InputError
        An unknown name, or as many as there are not LLMs.
    """
    if llm_scores is None:
        return [None] * len(names)
    if isinstance(llm_scores, Mapping):
        if strange := [str(name) for name in llm_scores if str(name) not in names]:
            raise InputError(f"llm_scores has {strange[0]!r}, but the LLMs are {', '.join(names)}")
        found = [llm_scores.get(name) for name in names]
    elif len(names) == 1:
        found = [llm_scores]
    else:
        found = list(llm_scores)
        if len(found) != len(names):
            raise InputError(
                f"there are {len(names)} LLMs, but llm_scores for {len(found)}: give None for those without"
            )
    return [None if scores is None else np.asarray(scores, dtype=np.float64) for scores in found]


def encode_columns(
    columns: Sequence[Any], gold: Any, truth: Any, classes: Any = None
) -> tuple[NDArray[Any], list[NDArray[np.int16]], NDArray[np.int16], NDArray[np.int16]]:
    """Classes in order, by default those of LLMs and gold, and codes of each LLM, gold and truth, -1 for missing."""
    arrays = [_array(column) for column in columns]
    length = len(arrays[0])
    named = [("the labels of another LLM", each) for each in arrays]
    named += [
        (name, np.broadcast_to(np.nan, length) if values is None else _array(values))
        for name, values in (("gold", gold), ("truth", truth))
    ]
    for name, column in named:
        if column.shape != (length,):
            raise InputError(f"{name} has shape {column.shape}, the LLM's labels ({length},)")
    every = [column for _, column in named]
    present = [~_missing(column) for column in every]
    distinct = [set(_distinct(column[known])) for column, known in zip(every, present, strict=True)]
    found, also, true = set[Any]().union(*distinct[:-2]), distinct[-2], distinct[-1]
    if not found:
        raise InputError(f"all {length:,} of the LLM's labels are missing")
    wanted = found | also if classes is None else set(_distinct(_array(classes)))
    if len(wanted) < 2:
        raise _one_class(min(found))
    try:
        ordered = sorted(found | also | wanted)  # equal values of other types, such as 1.0, become those of the labels
    except TypeError as error:
        raise InputError(f"labels of different types cannot be compared: {error}") from error
    order = [label for label in ordered if label in wanted]
    for name, values in (("label", found), ("gold label", also), ("true label", true)):
        if strange := values - wanted:
            raise InputError(f"a {name} is '{strange.pop()}', outside the classes {', '.join(map(str, order))}")
    codes = [encode(column, order) for column in every]
    return np.array(order), codes[:-2], codes[-2], codes[-1]


def encode(column: Any, classes: Sequence[Any]) -> NDArray[np.int16]:
    """Codes of labels that are all among the classes, -1 for missing.

    Raises
    ------
    InputError
        One is not.
    """
    array = _array(column)
    known = ~_missing(array)
    code = {label: number for number, label in enumerate(classes)}
    found = np.full(len(array), -1, dtype=np.int16)
    try:
        found[known] = _look_up(array[known], code)
    except KeyError as error:
        raise InputError(f"a label is {error}, outside the classes {', '.join(map(str, classes))}") from error
    return found


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


def check_gold(codes: NDArray[np.int16], names: list[str], one_class: bool = False) -> None:
    """Refuse fewer than 10 gold labels or, unless it will do, a single class; warn below 30, or below 3 of a class."""
    known = codes[codes >= 0]
    if len(known) < FEWEST_GOLD:
        raise InputError(
            f"{len(known)} gold labels are too few to estimate class shares; label at least {FEWEST_GOLD} texts "
            "by hand (50 to 100 are enough); `silr label` draws them"
        )
    if len(np.unique(known)) < 2 and not one_class:
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
