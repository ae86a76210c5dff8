"""Work in several threads, whose results come in groups. Ctrl-C and SIGTERM end it soon, and what came is kept."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

PATIENCE = 1.25  # seconds that an interrupted session waits for the answers under way; it ends within two
_GATHER, _FEW = 0.02, 4  # seconds in which the results of a group come, where the last one had more than a few
_POLL = 0.5  # seconds after which signals are looked for, where one wakes no thread
PLAIN_HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_WAITING = "Interrupted: waiting a second for the answers under way ..."

Item = TypeVar("Item")
Value = TypeVar("Value")


class Result(NamedTuple, Generic[Value]):
    """What became of the item with a number: a value, or an error."""

    number: int
    value: Value | None
    error: Exception | None


class Workers(Generic[Item, Value]):
    """Threads that take items one by one and work on them.

    They die with the process, so one that waits for a server holds up nothing.

    Parameters
    ----------
    work : callable
        From an item to a value.
    items : iterable of (int, item)
    n : int
        How many threads.
    stop : callable
        Called when the work is interrupted: work under way is to end soon.
    """

    def __init__(
        self, work: Callable[[Item], Value], items: Iterable[tuple[int, Item]], n: int, stop: Callable[[], None]
    ) -> None:
        self._work, self._items, self._stop = work, iter(items), stop
        self._lock, self._ended, self._is_busy = threading.Lock(), threading.Event(), False
        self._results = SimpleQueue[Result[Value] | None]()  # None: a thread has ended, or there was a signal
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n)]

    def end(self) -> None:
        """Take no more items; what is under way is finished."""
        self._ended.set()

    def groups(self) -> Generator[list[Result[Value]], None, None]:
        """Yield the results as they come.

        A KeyboardInterrupt comes after those of the work that was under way when Ctrl-C or SIGTERM came, or after a
        second or so. Where the consumer gives up, what is under way is waited for.
        """
        with _signals(self._wake) as interrupted:
            for thread in self._threads:
                thread.start()
            try:
                yield from self._groups(interrupted)
            except GeneratorExit:
                self.end()
                self._stop()
                for _ in self._groups(interrupted):
                    pass
                raise
        if interrupted.is_set():
            raise KeyboardInterrupt

    def _groups(self, interrupted: threading.Event) -> Iterator[list[Result[Value]]]:
        deadline: float | None = None
        while any(thread.is_alive() for thread in self._threads) or not self._results.empty():
            if interrupted.is_set() and deadline is None:
                deadline = time.monotonic() + PATIENCE
                self.end()
                self._stop()
                print(_WAITING, file=sys.stderr, flush=True)
            if deadline is not None and time.monotonic() > deadline:
                return
            if group := self._group(_POLL if deadline is None else min(_POLL, deadline - time.monotonic())):
                yield group

    def _group(self, seconds: float) -> list[Result[Value]]:
        """Wait for a result or a signal, for so many seconds at most; then gather what comes with it."""
        group = list[Result[Value]]()
        try:
            first = self._results.get(timeout=max(seconds, 0.0))
            if self._is_busy:
                time.sleep(_GATHER)
            while True:
                if first is not None:
                    group.append(first)
                first = self._results.get_nowait()
        except Empty:
            self._is_busy = len(group) > _FEW
            return group

    def _run(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                taken = next(self._items, None)
            if taken is None:
                break
            number, item = taken
            try:
                result = Result(number, self._work(item), None)
            except Exception as error:
                result = Result(number, None, error)
            self._results.put(result)
        self._wake()

    def _wake(self) -> None:
        self._results.put(None)


@contextmanager
def _signals(wake: Callable[[], None]) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets, in the place of an error anywhere; a second one raises."""
    came = threading.Event()

    def note(number: int, frame: Any) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()
        wake()

    replaced = list[tuple[signal.Signals, Any]]()
    if threading.current_thread() is threading.main_thread():
        for number, plain in PLAIN_HANDLERS.items():
            if signal.getsignal(number) is plain:  # a handler of the caller's own stays
                replaced.append((number, signal.signal(number, note)))
    try:
        yield came
    finally:
        for number, handler in replaced:
            signal.signal(number, handler)
