"""Estimates as LaTeX: a table of the package booktabs each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from silr.estimates.methods import methods
from silr.estimates.result import Estimates
from silr.estimates.show_regression import regression_tables
from silr.estimates.tables import Table, tables_of

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
UNIT = " %"
NUMBER = r"[-+<]?[\d,]*\.?\d+(e[-+]?\d+)?"
NUMBERS = re.compile(rf"{NUMBER}\*?( %)?( \({NUMBER} to {NUMBER}\)| to {NUMBER})?")


def latex(result: Estimates) -> str:
    """All tables for a paper, and the methods paragraph as a comment.

    It needs ``\\usepackage{booktabs}``. Names of classes and groups are escaped.
    """
    parts = ["% \\usepackage{booktabs}"]
    parts += [latex_table(table) for table in tables_of(result, UNIT)]
    if result.regression is not None:
        parts += [latex_table(table) for table in regression_tables(result.regression)]
    parts += ["\n".join(f"% {line}" for line in ["Methods:", *map(escape, methods(result))])]
    return "\n\n".join(parts)


def latex_table(table: Table) -> str:
    """One table, with its title as the caption and its notes below."""
    columns = "l" * table.words + "r" * (len(table.headings) - table.words)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(table.headings),
        r"\midrule",
        *map(_line, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text as LaTeX prints it, in one line: its special characters have no meaning."""
    return "".join(SPECIAL.get(mark, mark) for mark in " ".join(text.split()))


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    """A cell, whose numbers have a minus sign and whose percent sign keeps close."""
    if NUMBERS.fullmatch(text):
        return re.sub(r"([-+<])(?=[.\d])", r"$\1$", text).replace(UNIT, r"\,\%")
    first = escape(text)
    return f"{{}}{first}" if first.startswith(("[", "*")) else first
