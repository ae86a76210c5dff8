"""-1 as "no label", as scikit-learn's `semi_supervised` has it, where it is no class."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from silr.io.cells import number_of
from silr.io.label_values import LabelColumn

MINUS_ONE = "-1"


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
