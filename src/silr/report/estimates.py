"""The estimates as a section of the page: a table for a paper, a forest plot by group, and the methods in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from silr.errors import InputError
from silr.estimates.agreement import agreement
from silr.estimates.commands import label_command
from silr.estimates.enough import WIDTH
from silr.estimates.estimate import estimate_evidence
from silr.estimates.evidence import of_record
from silr.estimates.methods import REFERENCES, methods
from silr.estimates.result import Estimates, Row
from silr.estimates.tables import Table, group_name, tables_of
from silr.estimates.words import headline, main_class, words_of_more
from silr.io.words import inline, short, visible
from silr.refine.record import Record
from silr.report.annotation import in_a_sentence
from silr.report.charts import Interval, forest, marker

UNIT = "%"  # as elsewhere on the page
MOST_ROWS, MOST_FORESTS = 100, 8
LONGEST = 24  # characters of a name in a table


def estimates(record: Record, by: Sequence[str] = ()) -> dict[str, object]:
    """Tables, charts and sentences; or `missing`, why there are none.

    InputError if groups are asked for, and a column cannot make any.
    """
    name = record.corpus.name if record.corpus else "this run"
    try:
        evidence = of_record(record, name)
    except InputError as error:
        if by:
            raise
        return {"missing": str(error)}
    result = estimate_evidence(evidence, by)
    paragraph = methods(result, in_a_sentence(record))
    return {
        "missing": None,
        "more": " ".join(words_of_more(replace(result, label_command=None))),
        "more_command": _more_command(record),
        "headline": [short(line, 1000) for line in headline(result, UNIT)],
        "tables": [_table(table) for table in tables_of(result, UNIT)],
        "forests": _forests(result),
        "counted": result.counted,
        "worth": any(row.worth and not row.note for row in result.shares),
        "remarks": [f"{line[0].upper()}{line[1:]}." for line in result.remarks],
        "assumptions": [f"{line[0].upper()}{line[1:]}." for line in result.assumptions],
        "people": _people(record),
        "methods": short(" ".join(paragraph), 10_000),
        "references": REFERENCES,
        "by": [short(column) for column in by],
    }


def _more_command(record: Record) -> str | None:
    """The command that asks for more gold labels, inside the run's folder."""
    if record.table is None:
        return None
    columns, folder = record.table["columns"], record.run.folder
    command = label_command(Path(record.table["table"]), **columns, inside=folder)
    return None if command is None else visible(f"{command} --until-width {WIDTH:g}")


def _people(record: Record) -> list[str]:
    """How far the people agree, if several have labelled the texts."""
    assert record.corpus is not None and record.corpus.frame is not None
    try:
        result = agreement(record.corpus.frame, classes=record.class_names)
    except InputError:  # one person, or none who is named
        return []
    return [short(line[0].upper() + line[1:], 1000) for line in str(result).splitlines()]


def _table(table: Table) -> dict[str, object]:
    """A table whose names are short; of very long ones the beginning."""
    words = table.words
    rows = [[*(short(cell, LONGEST) if cell else "" for cell in row[:words]), *row[words:]] for row in table.rows]
    return {
        "name": table.name,
        "title": short(table.title, 200),
        "headings": [short(heading, LONGEST) for heading in table.headings],
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
        "words": words,
        "notes": [short(note, 1000) for note in table.notes],
    }


def _forests(result: Estimates) -> list[dict[str, object]]:
    """A forest plot of each class, of two classes the second one's."""
    if not result.by:
        return []
    shown = main_class(result)
    whole = {row.class_name: row for row in result.shares if row.group is None}
    names = [shown] if shown else sorted(result.classes, key=lambda name: -whole[name].value)[:MOST_FORESTS]
    return [_forest(result, whole[name], number) for number, name in enumerate(names)]


def _forest(result: Estimates, whole: Row, number: int) -> dict[str, object]:
    rows = [row for row in result.shares if row.group is not None and row.class_name == whole.class_name]
    shown = [
        Interval(inline(group_name(result, row.group or ""), LONGEST), row.value, row.low, row.high, row.naive)
        for row in rows[:MOST_ROWS]
    ]
    title = f"Share of {inline(whole.class_name)} by {', '.join(inline(column) for column in result.by)}"
    description = ", ".join(f"{row.name} {row.value:.1%} ({row.low:.1%} to {row.high:.1%})" for row in shown)
    legend = [(marker(0), f"estimate, 95{UNIT} interval; dashed: all texts"), (marker(2), "counted")]
    if all(row.other is None for row in shown):
        legend = legend[:1]
    chart = forest(f"forest-{number}", title, description, shown, whole.value)
    return {"title": title, "svg": chart, "legend": legend}
