"""Numbers and texts as the page shows them. Shares look as the command line prints them."""

from collections.abc import Iterable
from typing import TypeAlias

from silr.io.files import Json

Summary: TypeAlias = Json  # of `silr.report.summary.summary`
LONGEST_NAME = 60
_CONTROLS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t\r"}
_CONTROLS |= {127: 0x2421, 13: "\n"}


def percent(share: float, digits: int = 1) -> str:
    """A share as "73.4%"."""
    return f"{share:.{digits}%}"


def limits(interval: Iterable[float]) -> str:
    """An interval of shares as "62% to 82%"."""
    low, high = interval
    return f"{low:.0%} to {high:.0%}"


def visible(text: str) -> str:
    """Text without what HTML cannot hold: control characters become their pictures, half surrogates a mark."""
    return text.replace("\r\n", "\n").translate(_CONTROLS).encode("utf-8", "replace").decode()


def short(name: object, longest: int = LONGEST_NAME) -> str:
    """A name in one line of bounded length."""
    line = " ".join(visible(str(name)).split()) or "(empty)"
    return line if len(line) <= longest else line[: longest - 1] + "…"


def inline(name: object, longest: int = LONGEST_NAME) -> str:
    """A short name inside a sentence; its direction of writing stays its own (Unicode's first strong isolate)."""
    line = short(name, longest)
    return line if line.isascii() else f"\u2068{line}\u2069"
