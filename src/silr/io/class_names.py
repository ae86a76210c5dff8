"""The classes of a table or of arrays: which there are, what each label means, and what is said of one that is none.

Labels are names here, as `silr.io.cells.label_name` makes them of any value.
"""

import difflib
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import is_placeholder, label_key, may_be_placeholder, number_of, sort_classes

Labels = Sequence[str | None]
SHOWN, LONGEST = 20, 60  # classes in a message, and characters of one
BOOLEANS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Wording:
    """How messages name a cell (column, and row from 0), a missing label, and the classes, where these can be named."""

    place: Callable[[str, int], str]
    empty: str
    option: Callable[[Sequence[str]], str] | None = None


def of_table(table: object = None, *, option: bool = True) -> Wording:
    """Wording for a table's columns, with or without ``--classes``."""
    before = "" if table is None else f"{table}, "
    return Wording(
        lambda column, row: f"{before}row {row + 1:,}: {column!r}",
        "leave a cell empty where there is no label",
        (lambda names: f"--classes {option_value(names)}") if option else None,
    )


def of_python(*, option: bool = True) -> Wording:
    """Wording for arrays, with or without the parameter ``classes``."""
    return Wording(
        lambda column, row: f"{column}[{row}]",
        "None, NaN or '' says that there is no label",
        (lambda names: f"classes=[{', '.join(map(_literal, names))}]") if option else None,
    )


class ClassNames:
    """Classes in order, and the codes of labels that mean them.

    If somebody has `named` them, a label that differs from one class in case only counts as it.
    """

    def __init__(self, names: Sequence[str], *, named: bool = False) -> None:
        self.names, self.named = list(names), named
        self._codes = {label_key(name): code for code, name in reversed(list(enumerate(names)))}
        folded = Counter(key.casefold() for key in self._codes)
        self._folded = {key.casefold(): code for key, code in self._codes.items() if folded[key.casefold()] == 1}
        if set(self._codes) == set(BOOLEANS):
            self._codes |= {number: self._codes[word] for word, number in BOOLEANS.items()}
        elif set(self._codes) == set(BOOLEANS.values()):
            self._codes |= {word: self._codes[number] for word, number in BOOLEANS.items()}

    def code(self, label: str) -> int:
        """The class that a label means, -1 if it is none."""
        key = label_key(label)
        code = self._codes.get(key, -1)
        return self._folded.get(key.casefold(), -1) if code < 0 and self.named else code

    def codes(self, labels: Labels, column: str, wording: Wording) -> NDArray[np.int64]:
        """Codes of labels, shape (n,), -1 where one is missing; InputError if a label is none of the classes."""
        code = {label: self.code(label) for label in set(labels) if label is not None}
        if strange := [label for label, number in code.items() if number < 0]:
            raise self.strange(strange, labels, column, wording)
        return np.array([-1 if label is None else code[label] for label in labels], dtype=np.int64)

    def folded(self, labels: Labels) -> int:
        """How many labels count as a class from which they differ in case."""
        alike = {label for label in set(labels) if label is not None and label_key(label) not in self._codes}
        return sum(label in alike for label in labels)

    def nearest(self, label: str) -> str | None:
        """The class that was probably meant."""
        if (same := self._folded.get(label_key(label).casefold())) is not None:
            return self.names[same]
        lower = {name.casefold(): name for name in self.names}
        close = difflib.get_close_matches(label.casefold(), lower, 1, 0.75)
        return lower[close[0]] if close else None

    def strange(self, strange: Sequence[str], labels: Labels, column: str, wording: Wording) -> InputError:
        """The error for labels that are none of the classes: where the first stands, and what to do about it."""
        chosen = set(strange)
        row, label = next((row, each) for row, each in enumerate(labels) if each in chosen)
        assert label is not None
        others = sort_classes(chosen - {label})
        message = f"{wording.place(column, row)} is {_quoted(label)}, outside the classes {listed(self.names)}"
        if others:
            message += f" (so {'is' if len(others) == 1 else 'are'} {listed(others, 4)})"
        near = self.nearest(label)
        if near is not None and near.casefold() == label.casefold():
            message += f"; it differs from {near!r} in case only: write it alike"
            message += f", or {wording.option(self.names)} takes either case" if wording.option else ""
            return InputError(message)
        message += f"; did you mean {near!r}?" if near is not None else ""
        message += f"; {wording.empty}"
        if wording.option and not is_placeholder(label) and len(label) <= LONGEST:
            message += f"; if it is a class: {wording.option(sort_classes([*self.names, label]))}"
        return InputError(message)


def class_names(
    columns: Mapping[str, Labels],
    wording: Wording,
    *,
    gold: Labels = (),
    say: Callable[[str], None] = lambda line: None,
    known: Iterable[str] = (),
) -> list[str]:
    """The classes of label columns in order; a class that is written in several ways has the most frequent name.

    `columns` are the LLMs' labels. A word in `gold`, too, is a class if it can be one. `say` is called with warnings;
    `known` classes are known otherwise, as from score columns.

    Raises InputError if two classes differ in case only, or a class looks like a placeholder: which one it is the user
    must say.
    """
    known = list(known)
    counts = Counter(label for labels in columns.values() for label in labels if label is not None)
    names = {label_key(name): name for name in known}
    for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        names.setdefault(label_key(name), name)
    values = [number_of(key) for key in names if number_of(key) is not None]
    if all(value is not None and value.is_integer() for value in values):  # pandas writes 1 as 1.0 beside a gap
        names = {key: key if number_of(key) is not None else name for key, name in names.items()}
    order = sort_classes(names.values())
    certain = {label_key(name) for name in known}
    _check_case(columns, order, certain, counts, wording)
    _check_placeholders(columns, order, certain, gold, wording, say)
    return order


def _check_case(
    columns: Mapping[str, Labels], order: list[str], certain: set[str], counts: Counter[str], wording: Wording
) -> None:
    frequent = sorted(order, key=lambda name: -counts[name])
    first = {name.casefold(): name for name in reversed(frequent)}
    for name in frequent:
        other = first[name.casefold()]
        if other == name or {label_key(name), label_key(other)} <= certain:
            continue
        column, row = _first(columns, name)
        rest = sort_classes(first.values())
        message = f"{wording.place(column, row)} is {name!r}, elsewhere {other!r}: do they differ in case only?"
        message += " Write them alike"
        if wording.option:
            message += f", or {wording.option(rest)} takes either case, and with both names they are two classes"
        raise InputError(message)


def _check_placeholders(
    columns: Mapping[str, Labels],
    order: list[str],
    certain: set[str],
    gold: Labels,
    wording: Wording,
    say: Callable[[str], None],
) -> None:
    by_hand = {label_key(label) for label in gold if label is not None}
    integers = all((number_of(name) or 0.0).is_integer() and number_of(name) is not None for name in order)
    for name in order:
        key = label_key(name)
        minus = key == "-1" and len(order) > 2 and integers and min(int(name) for name in order) == -1
        word = minus or may_be_placeholder(name)
        signs = name == "-" and "+" in order
        if key in certain or signs or not (word or is_placeholder(name)) or (word and key in by_hand):
            continue
        column, row = _first(columns, name)
        option = wording.option(order) if wording.option else None
        message = f"{wording.place(column, row)} is {name!r}"
        if word and not by_hand:
            say(f"{message}, which is taken for a class; {wording.empty}")
            continue
        message += f", which looks like no label: {wording.empty}"
        raise InputError(message + (f"; if it is a class: {option}" if option else ""))


def _first(columns: Mapping[str, Labels], name: str) -> tuple[str, int]:
    key = label_key(name)
    for column, labels in columns.items():
        for row, label in enumerate(labels):
            if label is not None and label_key(label) == key:
                return column, row
    return next(iter(columns)), 0


def alike(*columns: Labels) -> list[list[str | None]]:
    """The columns with one name for each class, that of the column that has it first."""
    keys = {label: label_key(label) for column in columns for label in set(column) if label is not None}
    if set(keys.values()) <= {*BOOLEANS, *BOOLEANS.values()}:
        keys = {label: BOOLEANS.get(key, key) for label, key in keys.items()}
    names: dict[str, str] = {}
    for column in columns:
        for label in dict.fromkeys(column):
            if label is not None:
                names.setdefault(keys[label], label)
    return [[None if label is None else names[keys[label]] for label in column] for column in columns]


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Names in quotes, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(_quoted(name) for name in names[:most]) + more


def _quoted(name: str) -> str:
    return repr(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…")


def option_value(names: Sequence[str]) -> str:
    """Classes as one value of ``--classes``, ready for a shell."""
    return shlex.quote(in_commas(names))


def in_commas(names: Sequence[str]) -> str:
    """Classes as one value of ``--classes``."""
    quoted = ['"' + name.replace('"', '""') + '"' if {",", '"'} & set(name) else name for name in names]
    return ",".join(quoted)


def _literal(name: str) -> str:
    """A class as Python writes it; the type of numbers is not known here, and does not matter."""
    return name if number_of(name) is not None else repr(name)
