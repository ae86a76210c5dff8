"""One value of a table or an array as a label's name or as a text, and which names mean the same.

A label is compared by its key: 0, 0.0, "0" and " 0.0 " are one class, and so are True, "true" and "TRUE", a word in
composed and in decomposed Unicode, and bytes and their text. Nothing else is: "Negative" and "negative" differ.
"""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from silr.errors import InputError

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"  # what spreadsheets and web pages leave around a word
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?")

# What stands in a cell where somebody, or a program, meant "nothing". The words may be classes; the others are none.
WORDS = {"none", "unknown", "na", "n/a", "not applicable", "undefined", "no label"}
MARKS = {"nan", "nat", "<na>", "#n/a", "#na", "n.a.", "n.a", "null", "nil", "<none>", "unk", "todo", "tbd", "tba"}
MARKS |= {"unlabeled", "unlabelled", "not available", "#value!", "#ref!", "#name?"}


def is_missing(value: object) -> bool:
    """Whether a value is None, NaN, `pandas.NA`, NaT or NumPy's masked."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (float, np.floating, np.datetime64, np.timedelta64, Decimal)):
        return bool(value != value)  # NaN and NaT alone differ from themselves
    return False


def label_name(value: object) -> str | None:
    """A label as a string, None where it is missing or blank; 1.0 is "1". InputError for collections and binary."""
    value = _python_value(value)
    if isinstance(value, str):
        return plain(value) or None
    if is_missing(value):
        return None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return label_name(value[()])
    if kind := _collection(value):
        raise InputError(f"is a {kind}, not one label")
    if isinstance(value, (np.float16, np.float32)):
        value = float(str(value))  # 0.1, not the 0.10000000149011612 that a float64 makes of it
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, Decimal):
        return label_key(format(value, "f"))
    return plain(str(value)) or None


def text_of(value: object) -> str:
    """A value as a text, "" where it is missing. InputError for collections and binary."""
    value = _python_value(value)
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    if kind := _collection(value):
        raise InputError(f"is a {kind}, not a text{_one_text(value)}")
    return str(value)


def label_key(name: str) -> str:
    """What two names that mean the same have in common."""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if text.casefold() in ("true", "false"):
        return text.casefold()
    if _NUMBER.fullmatch(text):
        whole, _, part = text.lstrip("+").partition(".")
        part = part.rstrip("0")
        return f"{whole}.{part}" if part else ("0" if whole == "-0" else whole)
    return text


def number_of(name: str) -> float | None:
    """The number that a name is, if it is one."""
    return float(name) if _NUMBER.fullmatch(name) else None


def sort_classes(labels: Iterable[str]) -> list[str]:
    """The distinct labels in order: by value if all are numbers, so 1, 2, 10, else as strings."""
    distinct = sorted(set(labels))
    return sorted(distinct, key=float) if all(number_of(label) is not None for label in distinct) else distinct


def is_placeholder(name: str) -> bool:
    """Whether a label is a placeholder that is no class unless somebody says so: '?', '-', 'nan', 'TODO'."""
    marks = all(unicodedata.category(mark).startswith("P") for mark in name) and set(name) != {"*"}  # no rating
    return marks or name.casefold() in MARKS


def may_be_placeholder(name: str) -> bool:
    """Whether a label is a word that often stands for no label, and is a class elsewhere: 'none', 'unknown'."""
    return name.casefold() in WORDS


def plain(text: str) -> str:
    """A text composed, without what cannot be seen around it."""
    return unicodedata.normalize("NFC", text).strip().strip(INVISIBLE).strip()


def _python_value(value: object) -> object:
    """A scalar of pyarrow as Python's own, and bytes as the text that they are in UTF-8."""
    if hasattr(value, "as_py"):
        value = value.as_py()
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("is binary and not UTF-8: decode it first") from None


def _collection(value: object) -> str:
    if isinstance(value, dict):
        return "struct"
    return "list" if isinstance(value, (list, tuple, set, frozenset, np.ndarray)) else ""


def _one_text(value: object) -> str:
    """How one text is made of a collection."""
    if isinstance(value, dict):
        return ": make a column of the field that is the text"
    turn = value[0] if isinstance(value, (list, tuple)) and value else None
    field = next((name for name in ("content", "text", "value") if isinstance(turn, dict) and name in turn), None)
    parts = f"turn[{field!r}] for turn in cell" if field else "map(str, cell)"
    return f": make one text of it first, such as '\\n'.join({parts})"
