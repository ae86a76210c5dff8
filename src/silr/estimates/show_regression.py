"""A regression on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from silr.estimates.coefficients import Coefficient, Regression
from silr.estimates.show import say, table_lines, terminal_width
from silr.estimates.tables import Table, label_name

TARGETS = {
    "population": "The texts count as a sample of more texts like them.",
    "corpus": "Only this corpus is meant: its texts are all there are, and only the draw of the gold labels varies.",
}


def print_regression(result: Regression, assumptions: Sequence[str] = ()) -> None:
    """Print the tables, and what they assume."""
    width = terminal_width()
    for table in regression_tables(result):
        for line in table_lines(table, width):
            print(line)
        print()
    for line in [*lines(result), *(f"Assumed: {each}." for each in assumptions)]:
        say(line, width)


def regression_tables(result: Regression) -> list[Table]:
    """The coefficients, and those of other fits beside them."""
    kind = "Logistic regression (log-odds)" if result.family == "logistic" else "Linear regression"
    headings = ["term", "coefficient", "std. error", "t", "p", "95 % interval"]
    tables = [
        Table("regression", f"{kind}: {result.formula}", headings, [cells(row) for row in result.coefficients], 1)
    ]
    others = _beside(result)
    if others:
        rows = [
            [row.term, number(row.value), *(number(values[place].value) for values in others.values())]
            for place, row in enumerate(result.coefficients)
        ]
        tables.append(Table("beside", "The same coefficients otherwise", ["term", "silr", *others], rows, 1))
    return tables


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
    naive = {f"naive, {label_name(name)}": rows for name, rows in result.naive.items() if rows}
    return ({"gold alone": result.gold_alone} if result.gold_alone else {}) | naive
