"""Estimates on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from silr.estimate.result import Estimates, Row


def print_estimates(result: Estimates) -> None:
    """Print the tables and the assumptions."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"{result.name}: {result.texts:,} texts, {result.gold:,} gold labels that judge", markup=False)
    _table(f"Share of each class{' by group' if result.by else ''}", result.shares)
    _table("Differences between groups", result.differences)
    _table("Quality of labels", result.quality)
    for line in [f"Predictions: {result.predictor}.", *(f"Assumed: {each}." for each in result.assumptions)]:
        console.print(line, markup=False, soft_wrap=True)


def cells(row: Row) -> list[str]:
    """What a row shows: of what, value, interval, gold labels, and what these are worth."""
    of = row.group if row.less is None else f"{row.group} less {row.less}"
    names = [row.labels, row.measure.replace("_", " "), of, row.class_name]
    number = "unknown" if row.value != row.value else number_of(row, row.value)
    interval = "" if row.low != row.low else f"{number_of(row, row.low)} to {number_of(row, row.high)}"
    worth = "" if row.worth is None or row.worth != row.worth else f"{row.worth:,.0f}"
    return [*(name or "" for name in names), number, interval, f"{row.gold:,}", worth]


def number_of(row: Row, value: float) -> str:
    """In percent or points, but for kappa and alpha."""
    if row.measure in ("kappa", "alpha"):
        return f"{value:.2f}"
    return f"{100 * value:+.1f}" if row.measure == "difference" else f"{100 * value:.1f} %"


def _table(title: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    titles = ["labels", "measure", "group", "class", "estimate", "95 %", "gold", "worth"]
    lines = [cells(row) for row in rows]
    shown = [place for place in range(len(titles)) if any(line[place] for line in lines)]
    table = Table(title=title, title_justify="left")
    for place in shown:
        table.add_column(titles[place], justify="right" if place >= 4 else "left")
    for line in lines:
        table.add_row(*(line[place] for place in shown))
    console = Console(highlight=False)
    console.print(table)
    for note in dict.fromkeys(f"{row.group}: {row.note}" if row.group else row.note for row in rows if row.note):
        console.print(note, markup=False, soft_wrap=True)
