"""The time that a server asks to wait before a request is sent again."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from contextlib import suppress

LONG, TOO_LONG = 60.0, 600.0  # seconds: what is said, and what is not waited for
_DURATION = re.compile(
    r"(?:again|retry|wait|reset\w*|retrydelay)[^0-9]{0,20}((?:\d+(?:\.\d+)?\s*"
    r"(?:ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)\b[\s,and]*)+|(?:\d+(?:\.\d+)?[hms])+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}


def asked_wait(headers: Mapping[str, str], words: str) -> float | None:
    """Seconds that a response asks for, in its headers or its words ("try again in 7m12s"); None if it does not."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    if (seconds := _header(headers.get("retry-after"))) is not None:
        return seconds
    if (asked := _DURATION.search(words)) is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(asked[1]))


def _header(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date."""
    if (seconds := _number(value)) is None:
        with suppress(TypeError, ValueError):
            seconds = email.utils.parsedate_to_datetime(value or "").timestamp() - time.time()
    return None if seconds is None else max(seconds, 0.0)


def _number(value: str | None) -> float | None:
    with suppress(ValueError):
        if (number := float(value or "")) < float("inf"):
            return number
    return None
