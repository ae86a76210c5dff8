"""Groups of texts: those that have the same values in some columns of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import label_key, label_name, number_of, sort_classes
from silr.io.pieced_table import Frame, PiecedTable

if TYPE_CHECKING:
    import pandas as pd

MANY = 50  # groups; more take enough gold labels in each
EXAMPLES = 4  # columns that a message names
ROWS_READ = 10_000  # of a table in pieces, for the names of columns

Groups = tuple[NDArray[np.int64], list[tuple[str, ...]]]


def group_codes(columns: Sequence[pd.Series[Any]], rows: NDArray[np.integer], fewest: int) -> Groups:
    """The group of each text, shape (n,), -1 where a column is empty, and what each group has in the columns.

    Values are read as labels are: 1, 1.0 and "1 " are one. Numbers come in their order. `rows` are the texts whose gold
    label judges.

    Raises InputError if all texts are left out, there is one group only, or there are more than `MANY` groups and fewer
    than `fewest` gold labels in the mean of them.
    """
    codes, names = _column_codes(columns[0])
    values: list[tuple[str, ...]] = [(name,) for name in names]
    groups = codes
    for column in columns[1:]:
        codes, names = _column_codes(column)
        both = np.where((groups < 0) | (codes < 0), -1, groups * len(names) + codes)
        kept, groups = np.unique(both, return_inverse=True)
        if kept[0] < 0:
            kept, groups = kept[1:], groups - 1
        values = [(*values[each // len(names)], names[each % len(names)]) for each in kept.tolist()]
    named = " and ".join(repr(str(column.name)) for column in columns)
    if not values:
        raise InputError(f"{named}: all {len(groups):,} texts are without a value, so there are no groups")
    if len(values) == 1:
        value = ", ".join(map(repr, values[0]))
        raise InputError(f"{named} has one value only, {value}; groups need at least two, so leave out --by")
    if len(values) > MANY and len(rows) < fewest * len(values):
        raise InputError(_too_many(columns, named, values, len(rows)))
    return groups, values


def group_names(by: Sequence[str], values: Sequence[tuple[str, ...]]) -> list[str]:
    """The groups as rows name them: "party=left, year=2020"."""
    return [", ".join(f"{column}={value}" for column, value in zip(by, each, strict=True)) for each in values]


def likely_columns(frame: Frame, besides: Sequence[str]) -> list[str]:
    """Columns of a table that may make groups: those with two to `MANY` values."""
    names = [name for name in map(str, frame.columns) if name not in besides]
    frame = frame.head(ROWS_READ) if isinstance(frame, PiecedTable) else frame
    return [name for name in names if 1 < len(frame[name].astype("string").unique()) <= MANY]


def _column_codes(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """Codes of a column's values, shape (n,), -1 where it is empty, and the values in order."""
    import pandas as pd

    try:
        codes, distinct = pd.factorize(column)
        names = [label_name(value) for value in distinct.tolist()]
    except (TypeError, InputError) as error:
        raise InputError(
            f"column {str(column.name)!r} does not hold one value a text, so it makes no groups"
        ) from error
    keys = [None if name is None else label_key(name) for name in names]
    order = sort_classes(key for key in keys if key is not None)
    place = {key: number for number, key in enumerate(order)}
    of_value = np.array([*(-1 if key is None else place[key] for key in keys), -1], dtype=np.int64)
    shown: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if key is not None and name is not None:
            shown.setdefault(key, name)
    return of_value[codes], [shown[key] for key in order]


def _too_many(columns: Sequence[pd.Series[Any]], named: str, values: Sequence[tuple[str, ...]], n_gold: int) -> str:
    numbers = len(columns) == 1 and all(number_of(value) is not None for (value,) in values)
    message = f"{named} makes {len(values):,} groups, for which {n_gold:,} gold labels are too few: "
    name = str(columns[0].name)
    if numbers:
        return f"{message}cut the numbers into a few ranges, such as pandas.qcut(frame[{name!r}], 4), as a new column"
    return f"{message}take a column with at most {MANY} values, or join rare values to one, as a new column"
