"""A column of labels of any type: its distinct values once, and where they stand."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import is_missing, label_key, label_name, number_of
from silr.io.class_names import ClassNames, Wording

Label = Any  # a label as its owner has it: text, number, date


@dataclass(frozen=True)
class LabelColumn:
    """A column of n labels."""

    values: list[Label]  # distinct values, as Python's types
    distinct: list[str | None]  # their names; None of those that are missing
    where: NDArray[np.int64]  # shape (n,), which of them stands in each row

    @property
    def labels(self) -> list[Label]:
        """Distinct values that are not missing."""
        return [value for value, name in zip(self.values, self.distinct, strict=True) if name is not None]

    @property
    def has_labels(self) -> bool:
        """Whether any label is not missing."""
        return any(name is not None for name in self.distinct)

    @property
    def has_gaps(self) -> bool:
        """Whether any label is missing."""
        return any(name is None for name in self.distinct)

    @property
    def is_integer(self) -> bool:
        """Whether all labels are integers, or floats that are, and there is one."""
        return self.has_labels and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
            for value in self.labels
        )

    @property
    def is_boolean(self) -> bool:
        """Whether all labels are True or False, and there is one."""
        return self.has_labels and all(isinstance(value, bool) for value in self.labels)

    def without(self, label: str) -> LabelColumn:
        """The column with a label taken for missing."""
        return replace(self, distinct=[None if name == label else name for name in self.distinct])

    def count(self, label: str) -> int:
        """In how many rows a label stands."""
        return int(np.isin(self.where, [k for k, name in enumerate(self.distinct) if name == label]).sum())

    def names(self) -> list[str | None]:
        """Names by row."""
        return np.array([*self.distinct, None], dtype=object)[self.where].tolist()  # type: ignore[no-any-return]

    def codes(self, classes: ClassNames, name: str, wording: Wording) -> NDArray[np.int16]:
        """Class codes by row, -1 where missing; InputError if a label is none of the classes."""
        code = [-1 if label is None else classes.code(label) for label in self.distinct]
        strange = [label for label, number in zip(self.distinct, code, strict=True) if label is not None and number < 0]
        if strange:
            raise classes.strange(strange, self.names(), name, wording)
        return np.array([*code, -1], dtype=np.int16)[self.where]


def read_column(labels: object, name: str) -> LabelColumn:
    """Labels, shape (n,), of a sequence, an array, or a column of pandas, polars or pyarrow; InputError for others."""
    array = as_array(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} has shape {array.shape}; one label for each text is wanted, in a list or an array")
    if array.dtype.kind in "OTMmScV":
        return _objects(array.tolist(), name)
    distinct, where = np.unique(array, return_inverse=True)
    names = [label_name(value) for value in distinct]
    short = array.dtype in (np.float16, np.float32)  # 0.1, not the 0.10000000149011612 of a float64
    values = [float(str(value)) for value in distinct] if short else distinct.tolist()
    return LabelColumn(values, names, where.reshape(-1).astype(np.int64))


def as_array(values: Any) -> NDArray[np.generic]:
    """Arrays of NumPy's types stay; of other columns NumPy would make floats, or "nan", where a value is missing."""
    if isinstance(values, np.ma.MaskedArray):
        values, gone = values.data.astype(object), np.ma.getmaskarray(values)
        values[gone] = None
    if hasattr(values, "to_pylist"):  # pyarrow, dictionaries decoded
        values = values.to_pylist()
    elif hasattr(values, "column_names"):  # a table of pyarrow
        values = values.to_pandas()
    if isinstance(values, (str, bytes)):
        return np.array(values, dtype=object)
    if isinstance(getattr(values, "dtype", None), np.dtype):
        return np.asarray(values)
    if isinstance(values, (list, tuple)):  # of lists NumPy would make a matrix, of one list an error
        column = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            column[row] = value
        return column
    return np.asarray(values, dtype=object)


def class_values(order: Sequence[str], columns: Sequence[LabelColumn]) -> NDArray[np.generic]:
    """The classes as values of the labels' type, shape (K,): strings by name, others as the first column has them."""
    first: dict[str, Label] = {}
    for column in columns:
        for value, name in zip(column.values, column.distinct, strict=True):
            if name is not None:
                first.setdefault(label_key(name), value)
    values = [first.get(label_key(name), name) for name in order]
    labels = columns[0].labels
    if any(isinstance(value, (str, bytes)) for value in labels) or not labels:
        return np.array(order)
    if all(isinstance(value, bool) for value in labels) and {label_key(name) for name in order} <= {"true", "false"}:
        return np.array([label_key(name) == "true" for name in order])
    numbers: list[Label] = [number_of(value) if isinstance(value, str) else value for value in values]
    if len({type(value) for value in numbers}) == 1 and not isinstance(numbers[0], (int, float)):
        return np.array(numbers)  # dates and the like
    if not all(isinstance(value, (int, float)) for value in numbers):
        raise InputError(f"labels of different types cannot be compared: {', '.join(map(repr, values[:5]))}")
    if all(isinstance(value, int) for value in labels) and all(float(value).is_integer() for value in numbers):
        numbers = [int(value) for value in numbers]
    return np.array(numbers)


def _objects(values: list[Label], name: str) -> LabelColumn:
    """Values of any types, told apart by type too: True is not 1."""
    place: dict[Hashable, int] = {}
    distinct: list[Label] = []
    names: list[str | None] = []
    where = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        key: Hashable = None if is_missing(value) else (type(value), value)
        try:
            number = place.get(key)
        except TypeError:  # what cannot be a key is a list or its like, which `label_name` refuses
            key, number = (row,), None
        if number is None:
            try:
                label = None if key is None else label_name(value)
            except InputError as error:
                raise InputError(f"{name}[{row}] {error}") from None
            number = place[key] = len(distinct)
            plain = value.item() if isinstance(value, np.generic) else value
            distinct.append(label if isinstance(plain, (str, bytes)) and label is not None else plain)
            names.append(label)
        where[row] = number
    return LabelColumn(distinct, names, where)
