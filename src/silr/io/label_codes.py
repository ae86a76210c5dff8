"""Labels of any type as class codes, and whether there are gold labels enough."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError
from silr.io.cells import label_key, number_of, sort_classes
from silr.io.class_names import ClassNames, class_names, of_python
from silr.io.label_values import LabelColumn, class_values, read_column

FEWEST_GOLD, FEW_GOLD = 10, 30
FEW_OF_A_CLASS = 3
LLM, GOLD, TRUTH = "y", "gold", "truth"  # as messages call them
MINUS_ONE = "-1"  # "no label", as scikit-learn's `semi_supervised` has it, where it is no class


def llm_columns(y: Any) -> dict[str, Any]:
    """The labels of each LLM, by name, from one column, shape (n,), or several.

    Several are a mapping of names to columns, a data frame or an Arrow table, or an array of shape (n, L).

    Raises InputError if y is neither, or has no column at all.
    """
    if hasattr(y, "columns"):
        y = {str(name): y[name] for name in (y.column_names if hasattr(y, "column_names") else y.columns)}
    if isinstance(y, Mapping):
        if not y:
            raise InputError("there are no LLM labels: the mapping is empty")
        return {str(name): column for name, column in y.items()}
    if hasattr(y, "to_pylist") or hasattr(y, "to_list"):  # a column of pyarrow, polars or pandas
        return {"": y}
    array = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    if array.ndim == 2 and array.shape[1]:
        return {f"LLM {number}": column for number, column in enumerate(array.T, start=1)}
    if array.ndim != 1:
        raise InputError(f"the LLM's labels must be one column, or one for each LLM, got shape {array.shape}")
    return {"": y}


def llm_score_arrays(
    llm_scores: Any, names: Sequence[str], classes: Sequence[object] = ()
) -> list[NDArray[np.float64] | None]:
    """The scores of each LLM, or None: from an array for the only one, a mapping by name, or a sequence of them.

    The columns of a data frame that are named like the classes are put in their order.

    Raises InputError if a name is unknown, there are not as many as LLMs, or a row has some scores and not others, or
    an infinite one.
    """
    if llm_scores is None:
        return [None] * len(names)
    if isinstance(llm_scores, Mapping):
        if strange := [str(name) for name in llm_scores if str(name) not in names]:
            raise InputError(f"llm_scores has {strange[0]!r}, but the LLMs are {', '.join(names)}")
        by_llm = [llm_scores.get(name) for name in names]
    elif len(names) == 1:
        by_llm = [llm_scores]
    else:
        by_llm = list(llm_scores)
        if len(by_llm) != len(names):
            raise InputError(
                f"there are {len(names)} LLMs, but llm_scores for {len(by_llm)}: give None for those without"
            )
    return [
        None if scores is None else _scores(scores, f"llm_scores[{name!r}]" if name else "llm_scores", classes)
        for scores, name in zip(by_llm, names, strict=True)
    ]


def _scores(scores: Any, name: str, classes: Sequence[object]) -> NDArray[np.float64]:
    """One LLM's scores; a row of NaN has none."""
    if hasattr(scores, "columns"):
        scores = _in_order(scores, name, classes)
    array: NDArray[np.float64] = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        return array  # refused with its shape by `check_shapes`
    gone = np.isnan(array)
    if (some := gone.any(axis=1) & ~gone.all(axis=1)).any():
        raise InputError(
            f"{name}[{int(some.argmax())}] has scores for some classes and NaN for others ({int(some.sum()):,} such "
            "rows): give all, or NaN for all where there are none"
        )
    if (infinite := np.isinf(array).any(axis=1)).any():
        raise InputError(
            f"{name}[{int(infinite.argmax())}] is infinite ({int(infinite.sum()):,} such rows), as the logarithm of 0 "
            "is: np.log(np.clip(probabilities, 1e-6, 1)) is not"
        )
    return array


def _in_order(scores: Any, name: str, classes: Sequence[object]) -> Any:
    columns = [str(name) for name in getattr(scores, "column_names", scores.columns)]
    if hasattr(scores, "column_names"):
        scores = scores.to_pandas()
    wanted = [label_key(str(name)) for name in classes]
    keys = [label_key(name.removeprefix("llm_score_")) for name in columns]
    if set(keys) != set(wanted) or len(keys) != len(wanted):
        if any(key in wanted for key in keys):
            raise InputError(
                f"{name} has the columns {', '.join(columns)}; the classes are {', '.join(map(str, classes))}"
            )
        return scores.to_numpy()
    return scores.to_numpy()[:, [keys.index(key) for key in wanted]]


def encode_columns(
    columns: Sequence[object], gold: object, truth: object, classes: object = None, names: Sequence[str] = ("",)
) -> tuple[NDArray[np.generic], list[NDArray[np.int16]], NDArray[np.int16], NDArray[np.int16]]:
    """Classes in order, by default those of the LLMs, and codes of each LLM, gold and truth, -1 for missing.

    None, NaN, `pandas.NA`, NaT and '' are missing; so is -1 among integers, unless `classes` has it or the gold labels
    have it beside others that are missing.

    Raises InputError if lengths differ, there is no label or a single class, a label is none of the classes, two
    classes differ in case only, or one looks like no label.
    """
    wording = of_python()
    names = [f"{LLM}[{name!r}]" if name else LLM for name in names]
    if len(names) != len(columns):
        names = [f"{LLM}[:, {number}]" for number in range(len(columns))]
    llm = [read_column(column, name) for column, name in zip(columns, names, strict=True)]
    length = len(llm[0].where)
    by_hand, true = (
        read_column([None] * length if values is None else values, name)
        for name, values in ((GOLD, gold), (TRUTH, truth))
    )
    for name, column in [*(("the labels of another LLM", column) for column in llm), (GOLD, by_hand), (TRUTH, true)]:
        if len(column.where) != length:
            raise InputError(f"{name} has shape ({len(column.where)},), the LLM's labels ({length},)")
    if isinstance(classes, (str, bytes)):
        raise InputError(
            f"classes is one string, {classes!r}, where a list of classes is wanted: "
            f"{[part.strip() for part in str(classes).split(',')]}"
        )
    wanted = None if classes is None else read_column(classes, "classes")
    llm, by_hand, true = without_minus_one(llm, by_hand, true, wanted)
    if not any(column.has_labels for column in llm):
        raise InputError(f"all {length:,} of the LLM's labels are missing")
    labels = {name: column.names() for name, column in zip(names, llm, strict=True)}
    if wanted is None:
        order = class_names(labels, wording, gold=by_hand.names(), say=_warn)
    else:
        order = sort_classes({label_key(name): name for name in wanted.distinct if name is not None}.values())
    check_classes(order)
    known = ClassNames(order, named=wanted is not None)
    codes = [column.codes(known, name, wording) for column, name in zip(llm, names, strict=True)]
    gold_codes, true_codes = by_hand.codes(known, GOLD, wording), true.codes(known, TRUTH, wording)
    sources = [*llm, by_hand] if wanted is None else [*llm, wanted, by_hand]
    return class_values(order, sources), codes, gold_codes, true_codes


def without_minus_one(
    llm: Sequence[LabelColumn], gold: LabelColumn, truth: LabelColumn, classes: LabelColumn | None
) -> tuple[list[LabelColumn], LabelColumn, LabelColumn]:
    """The columns with -1 taken for missing, if all labels are integers and it is not a class of theirs.

    Beside labels that are booleans, gold labels of -1 are missing too. Among integers it is a class if
    `classes` has it, or if gold has it and says "missing" in another way too.

    A warning says so where the LLM's labels have it and nobody has named the classes.
    """
    kept = list(llm)
    labelled = [column for column in kept if column.has_labels]
    if labelled and all(column.is_boolean for column in labelled) and classes is None:  # and -1 is no boolean
        return kept, gold.without(MINUS_ONE), truth.without(MINUS_ONE)
    if not labelled or not all(column.is_integer for column in labelled):
        return kept, gold, truth
    if MINUS_ONE in classes.distinct if classes is not None else (MINUS_ONE in gold.distinct and gold.has_gaps):
        return kept, gold, truth
    count = sum(column.count(MINUS_ONE) for column in kept)
    if count and classes is None:
        order = sorted({int(number_of(name) or 0) for column in kept for name in column.distinct if name is not None})
        warnings.warn(
            f"{count:,} of the LLM's labels are -1, which says that there is none (as in scikit-learn's "
            f"semi_supervised); if -1 is a class: classes={order}",
            stacklevel=4,
        )
    return [column.without(MINUS_ONE) for column in kept], gold.without(MINUS_ONE), truth.without(MINUS_ONE)


def encode(column: object, classes: Sequence[object]) -> NDArray[np.int16]:
    """Codes of labels that are all among the classes, -1 for missing; InputError if one is not."""
    order = [str(name) for name in classes]
    labels = read_column(column, "llm_labels")
    if labels.is_integer and "-1" not in order:
        labels = labels.without("-1")
    return labels.codes(ClassNames(order, named=True), "llm_labels", of_python(option=False))


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=4)


def check_shapes(scores: NDArray[np.float64] | None, theta: ArrayLike | None, n: int, names: list[str]) -> None:
    """Refuse scores or a Theta, if there are any, of other shapes than (n, K) and (K, K)."""
    K = len(names)
    if scores is not None and scores.shape != (n, K):
        more = "; `classes` names those that no label of the LLM has" if scores.shape[1:] > (K,) else ""
        raise InputError(f"llm_scores has shape {scores.shape}; {n:,} rows of {K} are wanted{more}")
    if theta is not None and np.shape(theta) != (K, K):
        raise InputError(f"theta has shape {np.shape(theta)}, but the classes are {', '.join(names)}")


def check_occurring(codes: NDArray[np.int16], gold_codes: NDArray[np.int16], names: list[str]) -> None:
    """Refuse labels and gold labels that are all the same."""
    occurring = np.unique(np.concatenate([codes, gold_codes]))
    if len(occurring := occurring[occurring >= 0]) < 2:
        raise _one_class(names[occurring[0]])


def check_classes(names: Sequence[str]) -> None:
    """Refuse a single class."""
    if len(names) < 2:
        raise _one_class(names[0])


def _one_class(name: object) -> InputError:
    return InputError(
        f"the LLM's labels have one class only, '{name}': there is nothing to tell apart; `classes` names those that "
        "it never gave, and -1 if that is one"
    )


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
