"""`silr label --until-width`: the option, and what is said of the intervals of the class shares at the end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from silr.io.words import short

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable

NUMBER = 100  # gold labels, where neither a number nor a width is wanted
UNTIL_HELP = "Stop as soon as the 95 % interval of every class share is at most so wide, such as 0.05 (5 points)."
NUMBER_HELP = "Gold labels in all, those there included (default: 100; with --until-width as many as it takes)."
UntilWidth = Annotated[float | None, Option("--until-width", metavar="X", help=UNTIL_HELP)]
Number = Annotated[int | None, Option("--number", "-n", min=0, help=NUMBER_HELP)]


def check_until(width: float | None) -> float | None:
    """The width that is wanted; InputError if no interval of a share can have it."""
    from silr.estimates.enough import checked_width

    return None if width is None else checked_width(width, "--until-width")


def most_labels(number: int | None, until: float | None, table: GoldTable) -> int:
    """How many labels are asked for at most."""
    return (NUMBER if until is None else len(table.texts)) if number is None else number


def width_lines(result: Mapping[str, Any]) -> list[str]:
    """How wide the intervals are by now, and how many labels bring them to the width that is wanted."""
    from silr.estimates.enough import more_words, points

    if result["width"] is None:
        return []
    low, high = result["shares"][result["widest_class"]][1:]
    widest = f"{points(result['width'])} points wide ({short(result['widest_class'])}, {low:.1%} to {high:.1%})"
    line, wanted, until = f"shares of the classes: the widest interval is {widest}", result["more_labels_for"], None
    if result["until_width"] is not None:
        until = f"the wanted width, {points(wanted)} points, is {'' if result['reached'] else 'not '}reached"
        line += f"; {until} with {result['labels']:,} gold labels"
    if result["reached"] or not result["more_labels"]:
        return [line]
    words = more_words(result["more_labels"], wanted)
    if not Path(result["output"]).is_file():  # pieces, which are given beside it, or nothing is written yet
        return [line, f"{words}: the same command with --until-width {wanted:g}"]
    return [line, f"{words}: silr label {shlex.quote(result['output'])} --until-width {wanted:g}"]
