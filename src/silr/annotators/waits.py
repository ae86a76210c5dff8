"""How long to wait before a request is sent again: what the server asks for, or growing and random."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Mapping

LONG, TOO_LONG = 60.0, 600.0  # seconds: what is said, and what is not waited for
_FIRST = 0.5
_DURATION = re.compile(
    r"(?:again|retry|wait|reset\w*|retrydelay)[^0-9]{0,20}((?:\d+(?:\.\d+)?\s*"
    r"(?:ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)\b[\s,and]*)+|(?:\d+(?:\.\d+)?[hms])+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}


def asked_wait(headers: Mapping[str, str], words: str) -> float | None:
    """Seconds that a response asks for, in its headers or its words ("try again in 7m12s"); None if it does not."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = _header(headers.get("retry-after"))
    if asked is not None:
        return asked
    found = _DURATION.search(words)
    if found is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(found[1]))


def growing_wait(attempt: int, longest: float) -> float:
    """Seconds after so many attempts, at random up to twice as many each time."""
    return random.uniform(0.0, min(longest, _FIRST * 2.0**attempt))


def _header(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date."""
    if not value:
        return None
    seconds = _number(value)
    if seconds is not None:
        return max(seconds, 0.0)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


def _number(value: str | None) -> float | None:
    try:
        found = float(value or "")
    except ValueError:
        return None
    return found if found < float("inf") else None
