"""Further entries of a request's body, as a user gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from silr.errors import InputError

_OURS = ("messages", "model", "stream", "n")  # what is asked, and how answers are read
_LIKE = """such as '{"top_p": 0.9}'"""


def read_body(text: str) -> dict[str, object]:
    """Read JSON, or with ``@FILE`` a file of it; InputError if it is no object."""
    source = "--extra-body"
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text, source = path.read_text(encoding="utf-8-sig"), f"--extra-body {path}"
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InputError(f"cannot read {path} of --extra-body: {reason}") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} has to be a JSON object, {_LIKE}: {error}") from error
    return check_body(value, source)


def check_body(value: object, source: str = "--extra-body") -> dict[str, object]:
    """Return a copy of an object that JSON can hold; InputError if it is none, or has what silr itself decides."""
    if not isinstance(value, Mapping):
        raise InputError(f"{source} has to be a JSON object, {_LIKE}, not {type(value).__name__}")
    if strange := [name for name in value if not isinstance(name, str)]:
        raise InputError(f"{source} has a name that is no text: {strange[0]!r}")
    if taken := [name for name in _OURS if name in value]:
        raise InputError(f"{source} cannot set {taken[0]!r}, which silr decides; leave it out")
    try:
        copy: dict[str, object] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source} cannot be written as JSON: {error}") from error
    return copy


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
