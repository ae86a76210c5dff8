"""Estimates as numbers and sentences that a person reads, on the terminal, in the report and in a paper."""

from __future__ import annotations

from silr.estimates.enough import WIDTH, more_words
from silr.estimates.enough import points as interval_points
from silr.estimates.result import Estimates, Row
from silr.io.words import short

PERCENT = " %"
MOST_NAMED = 5  # classes in a sentence
UNKNOWN = "unknown"


def main_class(result: Estimates) -> str | None:
    """Of two classes the second one, whose share says the other's; None of more."""
    return result.classes[1] if len(result.classes) == 2 else None


def shown_rows(result: Estimates, rows: list[Row]) -> list[Row]:
    """Rows of shares and differences without those that another says already."""
    shown = main_class(result)
    return [row for row in rows if shown is None or row.class_name == shown]


def share(value: float | None, unit: str = PERCENT, digits: int = 1) -> str:
    """A share in percent: "44.9 %"."""
    return UNKNOWN if value is None or value != value else f"{100 * value:.{digits}f}{unit}"


def share_with_limits(row: Row, unit: str = PERCENT, digits: int = 1) -> str:
    """A share with its interval: "44.9 % (37.3 to 52.7)"."""
    if row.low != row.low:
        return share(row.value, unit)
    low, high = (share(limit, "", digits) for limit in (row.low, row.high))
    return f"{share(row.value, unit)} ({low} to {high})"


def points(value: float | None) -> str:
    """A difference of shares in percentage points: "+8.9"."""
    return "" if value is None else f"{100 * value + 0.0:+.1f}".replace("-0.0", "+0.0")


def points_with_limits(row: Row) -> str:
    """The same with its interval."""
    return f"{points(row.value)} ({points(row.low)} to {points(row.high)})"


def coefficient(row: Row) -> str:
    """Kappa or alpha with its interval: ".67 (.52 to .81)"."""
    if row.value != row.value:
        return UNKNOWN
    return f"{_short(row.value)} ({_short(row.low)} to {_short(row.high)})"


def worth(row: Row) -> str:
    """Simple random gold labels that would know as much; "" where that is unknown, or rests on other groups."""
    return "" if row.worth is None or row.worth != row.worth or row.note else f"{row.worth:,.0f}"


def headline(result: Estimates, unit: str = PERCENT) -> list[str]:
    """The shares in all texts as sentences, and what the gold labels are worth."""
    shown = shown_rows(result, [row for row in result.shares if row.group is None])
    first, *others = sorted(shown, key=lambda row: -row.value)[:MOST_NAMED]
    line = f"{share(first.value, unit, 0)} of the texts are {named(first)} (95{unit} interval {_limits(first)})"
    line += "".join(f", {share(row.value, unit, 0)} {named(row)} ({_limits(row)})" for row in others)
    left = len(shown) - len(others) - 1
    lines = [line + (f"; {left} further classes are rarer." if left else ".")]
    if first.naive is not None:
        counts = [share(first.naive, unit, 0), *(f"{share(row.naive, unit, 0)} {named(row)}" for row in others)]
        lines.append(f"Counting {result.counted} says {', '.join(counts)}.")
    if worth(first):
        lines.append(
            f"For the share of {named(first)}, {result.gold:,} gold labels are worth {worth(first)}: so many texts, "
            "drawn at random and labelled by hand, would tell as much without a model."
        )
    return lines


def words_of_more(result: Estimates, width: float | None = None) -> list[str]:
    """How many more gold labels bring the widest interval of a share to a width, and the command that asks for them.

    Without a width it is 5 points, and nothing is returned if the intervals are as narrow already.
    """
    wanted = WIDTH if width is None else width
    more = result.more_labels(wanted)
    widest = max((row for row in result.shares if row.group is None), key=lambda row: row.width)
    now = f"The widest interval of a share, that of {named(widest)}, has {interval_points(widest.width)} points"
    if more == 0:
        return [] if width is None else [f"{now}: {interval_points(wanted)} are reached."]
    if more is None:
        return [f"{now}; how many more gold labels would bring it to {interval_points(wanted)} is not known yet."]
    line = f"{now}; {more_words(more, wanted, 'it')}"
    if result.label_command is None:
        return [f"{line}."]
    return [f"{line}:", f"{result.label_command} --until-width {wanted:g}"]


def named(row: Row) -> str:
    """A class in quotes."""
    return f"\u201c{short(row.class_name)}\u201d"


def _limits(row: Row) -> str:
    return f"{share(row.low, '', 0)} to {share(row.high, '', 0)}"


def _short(value: float) -> str:
    """A number below 1 with two digits, without its zero."""
    return f"{value + 0.0:.2f}".replace("0.", ".", 1).replace("-.00", ".00")
