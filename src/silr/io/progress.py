"""How far a long piece of work is, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_SECONDS = 30.0


class Advance(Protocol):
    """Tells that a part of the work is done."""

    def __call__(self, work: float, items: int, state: str, found: str = "") -> None:
        """Add `work` and `items` to what is done, and show `state` and, where there is room, what was `found`."""


@contextmanager
def progress(
    name: str, total: float, unit: str, *, done: float = 0.0, state: str = "", quiet: bool = False
) -> Iterator[Advance]:
    """Show how far the work is, how fast it goes and how long it will take.

    What is printed meanwhile appears above the bar.

    `total` is all the work, in a measure that takes the same time a piece, and `done` what an earlier session did of
    it. `unit` is what the rate counts, such as "texts"; `state` are words that change as the work goes on, such as "12
    of 40 texts".
    """
    pace = _Pace(total, unit, done, state)
    if quiet:
        yield pace.add
    elif sys.stderr.isatty():
        yield from _bar(name, pace)
    else:
        yield from _lines(name, pace)


class _Pace:
    def __init__(self, total: float, unit: str, done: float, state: str) -> None:
        self.total, self.done, self._unit, self._state, self._found = total, done, unit, state, ""
        self._items, self._first, self._began = 0, done, time.monotonic()

    def add(self, work: float, items: int, state: str, found: str = "") -> None:
        self.done += work
        self._items += items
        self._state, self._found = state, found

    def __str__(self) -> str:
        seconds, work = time.monotonic() - self._began, self.done - self._first
        words = [self._state]
        if work and seconds:
            left = max(0.0, self.total - self.done) * seconds / work
            words += [f"{self._items / seconds:,.1f} {self._unit}/s", f"{duration(left)} left"]
        return ", ".join([*words, self._found] if self._found else words)


def duration(seconds: float) -> str:
    """Such as "1 h 5 min", "2 min 10 s" or "7 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _bar(name: str, pace: _Pace) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn(name), BarColumn(20), TextColumn("{task.description}", markup=False))
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as shown:
        task = shown.add_task(str(pace), total=pace.total)
        shown.update(task, completed=pace.done)

        def advance(work: float, items: int, state: str, found: str = "") -> None:
            pace.add(work, items, state, found)
            shown.update(task, completed=pace.done, description=str(pace))

        yield advance


def _lines(name: str, pace: _Pace) -> Iterator[Advance]:
    last_shown = time.monotonic()

    def advance(work: float, items: int, state: str, found: str = "") -> None:
        nonlocal last_shown
        pace.add(work, items, state, found)
        if time.monotonic() - last_shown > LINE_SECONDS:
            last_shown = time.monotonic()
            print(f"{name}: {pace}", file=sys.stderr, flush=True)

    yield advance
