"""Values of a YAML file: every scalar as it is written, and clear words for what does not belong there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from silr.errors import InputError


def load_yaml(data: bytes) -> Any:
    """Read YAML, or JSON; InputError in one line if it is neither, or if a key is there twice.

    Every scalar stays as it is written: a class that is called ``no``, ``1`` or ``2024-01-01`` is no false, number or
    date. Nothing but texts, lists and mappings is ever made.
    """
    import yaml

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: {error}; save it as UTF-8") from None
    if text.lstrip()[:1] == "{":  # JSON's escapes and tabs are not all YAML's
        try:
            return json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str)
        except json.JSONDecodeError:
            pass

    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        """BaseLoader makes texts of all scalars; it runs nothing, as `safe_load` does not."""

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        pairs = [(loader.construct_object(key, True), loader.construct_object(item, True)) for key, item in node.value]
        return _once(pairs)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" in line {mark.line + 1}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise InputError(
            f"not YAML{line}: {' '.join(str(problem).split())}; text with a colon or a quotation mark goes into quotes"
        ) from None


def checked_keys(values: Any, keys: Sequence[str], where: str) -> None:
    """Raise InputError unless the values are a mapping with these keys only."""
    if not isinstance(values, Mapping):
        shown = "empty" if values in (None, "") else f"{str(values)[:40]!r}"
        raise InputError(f"{where} is {shown}; it must have `{keys[-1] if 'classes' in keys else keys[0]}:`")
    for key in values:
        if key not in keys:
            near = difflib.get_close_matches(str(key).casefold(), keys, 1, 0.5)
            hint = f"; did you mean `{near[0]}`?" if near else f"; it takes {', '.join(f'`{name}`' for name in keys)}"
            raise InputError(f"{where} has an unknown key `{key}`{hint}")


def one_text(value: Any, where: str) -> str:
    """A text, "" where there is none; InputError if it is a list or a mapping."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, Mapping)):
        raise InputError(f"{where} must be one text, not {str(value)[:40]!r}; text with a colon goes into quotes")
    return str(value).strip()


def several_texts(value: Any, where: str) -> list[str]:
    """A list of texts without empty ones; a single text will do."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in (one_text(each, where) for each in values) if text]


def flag(value: Any, where: str) -> bool:
    """A yes or no, no where there is none."""
    word = one_text(value, where).casefold()
    if word in ("", "false", "no", "off"):
        return False
    if word in ("true", "yes", "on"):
        return True
    raise InputError(f"{where} must be true or false, not {str(value)[:40]!r}")


def _once(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise InputError(f"a key is no text: {str(key)[:40]!r}")
        if key in values:
            raise InputError(f"the key `{key}` is there twice in one place")
        values[key] = value
    return values
