"""How far an annotation is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINE_SECONDS = 30.0

Advance = Callable[[int, int], None]


@contextmanager
def annotation_progress(
    n_texts: int, n_tokens: int, done_texts: int = 0, done_tokens: int = 0, quiet: bool = False
) -> Iterator[Advance]:
    """Show the texts done, texts a second, and the time left, which is estimated from the tokens left to read.

    Parameters
    ----------
    n_texts, n_tokens : int
        All there is to do.
    done_texts, done_tokens : int, default 0
        What an earlier session did.
    quiet : bool, default False
        Show nothing.

    Yields
    ------
    callable
        To be called with the texts and tokens that were just done.
    """
    pace = _Pace(n_texts, n_tokens, done_texts, done_tokens)
    if quiet:
        yield pace.add
    elif sys.stderr.isatty():
        yield from _bar(pace)
    else:
        yield from _lines(pace)


class _Pace:
    def __init__(self, n_texts: int, n_tokens: int, done_texts: int, done_tokens: int) -> None:
        self.n_texts, self.n_tokens, self.texts, self.tokens = n_texts, n_tokens, done_texts, done_tokens
        self._first_texts, self._first_tokens, self._began = done_texts, done_tokens, time.monotonic()

    def add(self, texts: int, tokens: int) -> None:
        self.texts += texts
        self.tokens += tokens

    def __str__(self) -> str:
        seconds, read = time.monotonic() - self._began, self.tokens - self._first_tokens
        text = f"{self.texts:,} of {self.n_texts:,} texts"
        if not read or not seconds:
            return text
        left = (self.n_tokens - self.tokens) * seconds / read
        return f"{text}, {(self.texts - self._first_texts) / seconds:.1f} texts/s, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _bar(pace: _Pace) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("Annotating"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(str(pace), total=pace.n_tokens, completed=pace.tokens)

        def advance(texts: int, tokens: int) -> None:
            pace.add(texts, tokens)
            progress.update(task, completed=pace.tokens, description=str(pace))

        yield advance


def _lines(pace: _Pace) -> Iterator[Advance]:
    said = time.monotonic()

    def advance(texts: int, tokens: int) -> None:
        nonlocal said
        pace.add(texts, tokens)
        if time.monotonic() - said > _LINE_SECONDS or pace.texts == pace.n_texts:
            said = time.monotonic()
            print(f"Annotating: {pace}", file=sys.stderr, flush=True)

    yield advance
