"""Ratings written in another way than in digits: "four", "★★★★☆", "4️⃣", "2 of 5 stars"."""

from __future__ import annotations

import re

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_AMOUNT = rf"(?:0|[1-9]\d?|{'|'.join(_WORDS)})"
_RATING = re.compile(
    rf"({_AMOUNT})\u20e3?(?:\s?(?:/|(?:out\s)?of)\s?({_AMOUNT}))?(?:[\s-](?:stars?|points?)|\s?[★⭐🌟])?", re.IGNORECASE
)
_STARS = re.compile("([★⭐🌟✭✮]{1,10})([☆✩✰]{0,10})")


def rating(text: str, most: float) -> float | None:
    """Return the number that a whole answer stands for, folded and without marks around it; None if it is none.

    `most` is the highest class: "2 of 10" and "★★☆" are none of classes up to 5.
    """
    if stars := _STARS.fullmatch(text):
        full, empty = map(len, stars.groups())
        return full if full + empty == most or (not empty and full <= most) else None
    match = _RATING.fullmatch(text)
    return None if match is None or (match[2] and _value(match[2]) != most) else float(_value(match[1]))


def _value(amount: str) -> int:
    return int(amount) if amount.isdecimal() else _WORDS.index(amount.lower())
