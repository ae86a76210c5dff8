"""Estimates as compact tables of words: the terminal, the report and LaTeX show the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from silr.estimates.result import Estimates, Row
from silr.estimates.shares import MOST_GROUPS_COMPARED
from silr.estimates.words import (
    PERCENT,
    coefficient,
    main_class,
    points,
    points_with_limits,
    share,
    share_with_limits,
    shown_rows,
    worth,
)
from silr.io.corpus import LABEL

MOST_CLASSES = 12  # of which precision, recall and F1 are shown
NOTED = "*"
ALL_TEXTS = "all texts"
LABEL_NAMES = {"refined_label": "refined", LABEL: "LLM"}


@dataclass(frozen=True)
class Table:
    """A table of words. Its first `words` columns are names, the others numbers."""

    name: str  # of files and anchors
    title: str
    headings: list[str]
    rows: list[list[str]]
    words: int
    notes: list[str] = field(default_factory=list)


def tables_of(result: Estimates, unit: str = PERCENT, *, compact: bool = False) -> list[Table]:
    """Shares, differences, quality of each column of labels, and that by class; those that are empty are left out.

    `unit` is what stands behind a share. A `compact` table of quality has it in its headings alone, and no decimals in
    its intervals.
    """
    tables = [_shares(result, unit), _differences(result, unit)]
    tables += [make(result, unit, compact) for make in (_quality, _by_class)]
    return [table for table in tables if table.rows]


def _shares(result: Estimates, unit: str) -> Table:
    rows = shown_rows(result, result.shares)
    shown = main_class(result)
    grouped, classes = bool(result.by), shown is None
    headings = [_group_heading(result)] * grouped + ["class"] * classes
    headings += [f"share (95{unit})", "counted", "gold", "worth"]
    lines, last = [], ""
    for row in rows:
        group = ALL_TEXTS if row.group is None else group_name(result, row.group)
        names = ["" if group == last and classes else group] * grouped + [row.class_name or ""] * classes
        lines.append([*names, share_with_limits(row, unit), share(row.naive, unit), _gold(row), worth(row)])
        last = group
    of = f"Share of \u201c{shown}\u201d" if shown else "Share of each class"
    by = f" by {_group_heading(result)}" if grouped else " in all texts"
    return Table("shares", of + by, headings, lines, grouped + classes, notes_of(result, rows))


def _differences(result: Estimates, unit: str) -> Table:
    rows = shown_rows(result, result.differences)
    shown = main_class(result)
    headings = [_group_heading(result), "less", *(["class"] * (shown is None)), f"points (95{unit})", "counted", "gold"]
    lines = []
    for row in rows:
        names = [group_name(result, row.group or ""), group_name(result, row.less or "")]
        names += [row.class_name or ""] * (shown is None)
        lines.append([*names, points_with_limits(row), points(row.naive), _gold(row)])
    of = f"of the share of \u201c{shown}\u201d" if shown else "of shares"
    groups = {row.group for row in result.shares if row.group is not None}
    notes = [f"Of more than {MOST_GROUPS_COMPARED} groups, each is compared with the first."]
    notes = notes if len(groups) > MOST_GROUPS_COMPARED else []
    title = f"Differences {of}, in percentage points"
    return Table("differences", title, headings, lines, 2 + (shown is None), notes)


def _quality(result: Estimates, unit: str, compact: bool) -> Table:
    measures = ("accuracy", "macro_f1", "kappa", "alpha")
    shown, digits = ("", 0) if compact else (unit, 1)
    by_column: dict[str, dict[str, Row]] = {}
    for row in result.quality:
        if row.class_name is None:
            by_column.setdefault(row.labels or "", {})[row.measure] = row
    lines = []
    for column, rows in by_column.items():
        shares = [share_with_limits(rows[name], shown, digits) for name in measures[:2]]
        lines.append([label_name(column), *shares, *(coefficient(rows[name]) for name in measures[2:])])
    title = f"Quality of labels by {result.gold:,} gold labels, with 95{unit} intervals"
    more = unit if compact else ""
    headings = ["labels", f"accuracy{more}", f"macro-F1{more}", "kappa", "alpha"]
    return Table("quality", title, headings, lines, 1)


def _by_class(result: Estimates, unit: str, compact: bool) -> Table:
    measures = ("precision", "recall", "f1")
    shown, digits = ("", 0) if compact else (unit, 1)
    lines: list[list[str]] = []
    by_class: dict[tuple[str, str], dict[str, Row]] = {}
    for row in result.quality:
        if row.class_name is not None:
            by_class.setdefault((row.labels or "", row.class_name), {})[row.measure] = row
    few = len(result.classes) <= MOST_CLASSES
    last = ""
    for (column, class_name), rows in by_class.items() if few else ():
        name = label_name(column) if column != last else ""
        lines.append([name, class_name, *(share_with_limits(rows[each], shown, digits) for each in measures)])
        last = column
    headings = [f"{name}{unit if compact else ''}" for name in ("precision", "recall", "F1")]
    title = f"Quality by class, with 95{unit} intervals"
    return Table("classes", title, ["labels", "class", *headings], lines, 2)


def group_name(result: Estimates, group: str) -> str:
    """A group without the names of its columns, which stand in the heading: "left, 2020"."""
    if not result.by or group == ALL_TEXTS:
        return group
    name = group.removeprefix(f"{result.by[0]}=")
    for column in result.by[1:]:
        name = name.replace(f", {column}=", ", ", 1)
    return name


def label_name(column: str) -> str:
    """A column of labels, in a word or two."""
    return LABEL_NAMES.get(column, column.removeprefix(f"{LABEL}_") or column)


def notes_of(result: Estimates, rows: Sequence[Row]) -> list[str]:
    """What to know of single rows before they are used; equal ones once."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            lines.setdefault(row.note, []).append(group_name(result, row.group or ALL_TEXTS))
    between = ", " if len(result.by) < 2 else "; "
    return [f"{NOTED} {between.join(dict.fromkeys(groups))}: {note}." for note, groups in lines.items()]


def _gold(row: Row) -> str:
    """Gold labels that judge, with a mark where there is a note."""
    return f"{row.gold:,}{NOTED if row.note else ''}"


def _group_heading(result: Estimates) -> str:
    return ", ".join(result.by)
