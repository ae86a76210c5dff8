"""Further headers of a request, as a user gives them. Their values are secrets: they are sent, and nothing else."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from silr.errors import InputError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = ("content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "accept-encoding")
_USUAL = {
    name.lower(): name for name in ("Authorization", "User-Agent", "Accept", "OpenAI-Organization", "OpenAI-Project")
}
_FROM_ENVIRONMENT = "env:"
_SHORT = 5  # characters; a shorter value is no secret, and its letters stand everywhere


def read_headers(pairs: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE``, or ``NAME: VALUE``; InputError if one is neither."""
    headers: list[tuple[str, str]] = []
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not _NAME.fullmatch(name.strip()) and ":" in name:
            name, sign, value = pair.partition(":")
        if not sign:
            raise InputError("--header has to look like NAME=VALUE or NAME=env:VARIABLE; one has no value")
        headers.append((name.strip(), value.strip(" \t")))
    twice = [name for name, count in Counter(name.lower() for name, _ in headers).items() if count > 1]
    if twice:
        raise InputError(f"--header names {twice[0]!r} twice")
    return check_headers(dict(headers))


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their names as the client writes them; InputError, without a value, if one cannot be sent."""
    if not isinstance(headers, Mapping):
        raise InputError("headers have to be a mapping from names to values")
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"--header has a name that no header has: {str(name)[:40]!r}")
        if name.lower() in _OURS:
            raise InputError(f"--header cannot set {name}, which silr decides; leave it out")
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"--header {name} has no value; it has to look like NAME=VALUE or NAME=env:VARIABLE")
        _check_value(name, value)
        checked[_USUAL.get(name.lower(), name)] = value
    if len({name.lower() for name in checked}) < len(headers):
        raise InputError("headers name one of them twice")
    return checked


def resolved(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers with the values of the environment; InputError if a variable is not set."""
    values: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if value.startswith(_FROM_ENVIRONMENT):
            variable = value.removeprefix(_FROM_ENVIRONMENT)
            value = os.environ.get(variable, "").strip()
            if not value:
                raise InputError(f"--header {name} wants the environment variable {variable!r}, which is not set")
            _check_value(name, value)
        values[name] = value.strip()
    return values


_FIELDS = {  # of responses, which could not be read without them
    *("choices", "message", "content", "finish_reason", "logprobs", "top_logprobs", "logprob", "tokens", "usage"),
    *("prompt_tokens", "completion_tokens", "reasoning", "reasoning_content", "thinking", "detail", "status"),
}


class Secrets:
    """Words that are sent and never said: the key, and the values of headers."""

    def __init__(self, values: Iterable[str | None]) -> None:
        long = {value for value in values if value and len(value) > _SHORT and value not in _FIELDS}
        long |= {word for value in long for word in value.split()[1:] if len(word) > _SHORT}  # "Bearer ..."
        long |= {json.dumps(value)[1:-1] for value in long}  # as a response writes one with quotes
        self._values = sorted(long, key=len, reverse=True)

    def hidden(self, text: str, but: str = "") -> str:
        """Return a text with ``***`` in their place; what stands in `but` is no secret."""
        for value in self._values:
            if value in text and value not in but:
                text = text.replace(value, "***")
        return text


def _check_value(name: str, value: str) -> None:
    if "\n" in value or "\r" in value:
        raise InputError(f"--header {name} has a line break in its value; a header has one line")
    if not (value.isascii() and value.isprintable()):
        raise InputError(f"--header {name} has characters in its value that no header has")
