"""A regression on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from silr.estimate.coefficients import Coefficient, Regression

TARGETS = {
    "population": "The texts count as a sample of more texts like them.",
    "corpus": "Only this corpus is meant: its texts are all there are, and only the draw of the gold labels varies.",
}


def print_regression(result: Regression, assumptions: Sequence[str] = ()) -> None:
    """Print the table, what stands beside it, and what it assumes."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    kind = "Logistic regression (log-odds)" if result.family == "logistic" else "Linear regression"
    table = Table(title=f"{kind}: {result.formula}", title_justify="left")
    for place, title in enumerate(["term", "coefficient", "std. error", "t", "p", "95 %"]):
        table.add_column(title, justify="right" if place else "left", no_wrap=bool(place), overflow="fold")
    for row in result.coefficients:
        table.add_row(*cells(row))
    console.print(table, markup=False)
    if beside := _beside(result):
        table = Table(title="The same coefficients", title_justify="left")
        table.add_column("term", overflow="fold")
        for title in ("corrected", *beside):
            table.add_column(title, justify="right")
        for rows in zip(result.coefficients, *beside.values(), strict=True):
            table.add_row(rows[0].term, *(number(row.value) for row in rows))
        console.print(table, markup=False)
    for line in [*lines(result), *(f"Assumed: {each}." for each in assumptions)]:
        console.print(line, markup=False, soft_wrap=True)


def cells(row: Coefficient) -> list[str]:
    """Term, coefficient, standard error, t, p and interval."""
    p = "" if row.p != row.p else "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    t = "" if row.t != row.t else f"{row.t:.2f}"
    return [row.term, number(row.value), number(row.error), t, p, f"{number(row.low)} to {number(row.high)}"]


def number(value: float) -> str:
    """With three digits that count, and at least three decimals."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.3f}" if size >= 0.1 or size == 0 else f"{value:.3g}"


def lines(result: Regression) -> list[str]:
    """What the table rests on, a sentence or two each."""
    left_out = f" {result.dropped:,} texts without a value are left out." if result.dropped else ""
    said = [f"{result.texts:,} texts, {result.gold:,} gold labels that judge.{left_out}"]
    if result.has_label:
        said.append(
            f"Design-based supervised learning with power {result.power:.2f} (1: all of the predictions, 0: gold "
            "labels alone)."
        )
    said.append(f"Robust standard errors, Student's distribution. {TARGETS[result.target]}")
    if any(result.naive.values()) and result.has_label:
        said.append("Naive: the regression as if these labels were true. It is biased, and shows what was corrected.")
    return [*said, *(f"{note}." for note in result.notes)]


def _beside(result: Regression) -> dict[str, list[Coefficient]]:
    """Other fits of the same formula, by the title of their column."""
    if not result.has_label:
        return {}
    naive = {f"naive, {name}": rows for name, rows in result.naive.items() if rows}
    return ({"gold alone": result.gold_alone} if result.gold_alone else {}) | naive
