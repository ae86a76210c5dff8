"""Estimates on the terminal."""

from __future__ import annotations

from silr.estimates.result import Estimates
from silr.estimates.tables import MOST_CLASSES, Table, tables_of
from silr.estimates.words import headline, words_of_more

WIDTH, WIDEST = 80, 120  # where the terminal does not say, and of any
MOST_LINES = 60  # of a table
SHORTEST = 6  # characters that are left of a name
BETWEEN = 2  # blanks between columns


def print_estimates(result: Estimates, more_for: float | None = None) -> None:
    """Print a summary in words, the tables, the assumptions, and how many more labels an interval so wide needs."""
    width = terminal_width()
    print(f"{result.name}: {result.texts:,} texts, {result.gold:,} gold labels that judge\n")
    for line in headline(result):
        say(line, width)
    for table in tables_of(result, compact=True):
        print()
        for line in table_lines(table, width):
            print(line)
        for note in table.notes:
            say(note, width)
    print()
    for line in about(result):
        say(line, width)
    if more := words_of_more(result, more_for):
        print()
        say(more[0], width)
        print(*(f"    {command}" for command in more[1:]), sep="\n")


def terminal_width() -> int:
    """Columns of the terminal; `WIDTH` where the output goes elsewhere."""
    from rich.console import Console

    console = Console()
    return min(console.width, WIDEST) if console.is_terminal else WIDTH


def about(result: Estimates) -> list[str]:
    """What the numbers rest on, a sentence each."""
    lines = ["\u201cCounted\u201d is the share by counting " + result.counted + "."]
    if any(row.worth for row in result.shares):
        lines.append(
            "\u201cWorth\u201d: so many texts, drawn at random and labelled by hand, would tell as much alone."
        )
    if len(result.classes) > MOST_CLASSES:
        lines.append(f"Precision, recall and F1 of {len(result.classes)} classes: --json or --csv.")
    lines += [f"{line[0].upper()}{line[1:]}." for line in result.remarks]
    lines.append(f"Predictions: {result.predictor}.")
    return lines + [f"Assumed: {each}." for each in result.assumptions]


def table_lines(table: Table, width: int = WIDTH) -> list[str]:
    """A table in lines of at most `width` columns: long names are cut in their middle, numbers never."""
    from rich.cells import cell_len

    rows = [table.headings, *table.rows[:MOST_LINES]]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    room = width - sum(widths[table.words :]) - BETWEEN * (len(widths) - 1)
    widths[: table.words] = shrunk(widths[: table.words], room)
    lines = [table.title, "-" * (sum(widths) + BETWEEN * (len(widths) - 1))]
    for row in rows:
        names = [cut(cell, size) for cell, size in zip(row, widths[: table.words], strict=False)]
        cells = [name + " " * (size - cell_len(name)) for name, size in zip(names, widths, strict=False)]
        cells += [cell.rjust(size) for cell, size in zip(row[table.words :], widths[table.words :], strict=True)]
        lines.append((" " * BETWEEN).join(cells).rstrip())
    lines.insert(3, lines[1])
    if len(table.rows) > MOST_LINES:
        lines.append(f"... and {len(table.rows) - MOST_LINES:,} further rows: --json or --csv")
    return lines


def shrunk(widths: list[int], room: int) -> list[int]:
    """Widths of columns of names, the widest made smaller until they fit the room."""
    widths = list(widths)
    while sum(widths) > room and max(widths, default=0) > SHORTEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def cut(name: str, width: int) -> str:
    """A name in at most `width` columns of the terminal, without its middle if it is longer."""
    from rich.cells import cell_len

    name = " ".join(name.split())
    if cell_len(name) <= width:
        return name
    head = _beginning(name, width // 2)
    tail = _beginning(name[::-1], width - 1 - cell_len(head))[::-1]
    return f"{head}\u2026{tail}"


def _beginning(name: str, width: int) -> str:
    """As many characters as have room."""
    from rich.cells import cell_len

    size, room = 0, width
    for character in name:
        room -= cell_len(character)
        if room < 0:
            break
        size += 1
    return name[:size]


def say(line: str, width: int) -> None:
    """A sentence, broken at blanks."""
    from rich.console import Console
    from rich.text import Text

    for part in Text(line).wrap(Console(width=width), width):
        print(part.plain.rstrip())
