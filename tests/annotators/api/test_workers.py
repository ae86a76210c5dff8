"""Threads that work: results in groups, errors, and the end."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import closing

import pytest

from silr.annotators.api import workers as module
from silr.annotators.api.workers import Workers


def square(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number * number


def test_every_item_has_one_result() -> None:
    groups = list(Workers(square, enumerate(range(100)), 8, lambda: None).groups())
    results = {result.number: result for group in groups for result in group}
    assert sum(map(len, groups)) == len(results) == 100
    assert str(results.pop(3).error) == "three"
    assert all(result.value == number**2 for number, result in results.items())


def test_no_more_items_are_taken_after_the_end() -> None:
    taken = []

    def work(number: int) -> None:
        taken.append(number)
        time.sleep(0.01)

    workers = Workers(work, enumerate(range(1000)), 2, lambda: None)
    for _ in workers.groups():
        workers.end()
    assert len(taken) < 50


def test_a_consumer_that_gives_up_waits_for_what_is_under_way() -> None:
    stopped, done = threading.Event(), []

    def work(number: int) -> None:
        time.sleep(0.1 * number)
        done.append(number)

    with closing(Workers(work, enumerate(range(1, 100)), 3, stopped.set).groups()) as groups:
        next(groups)
    assert stopped.is_set() and {1, 2, 3} <= set(done)
    assert len(done) < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_soon_and_its_results_still_come(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.4)
    monkeypatch.setitem(module.PLAIN_HANDLERS, signal.SIGINT, signal.getsignal(signal.SIGINT))
    before, under_way = signal.getsignal(number), threading.Barrier(5)
    stopped, release = threading.Event(), threading.Event()

    def work(item: int) -> int:
        under_way.wait(10)
        (stopped if item % 2 else release).wait(10)  # half of them have an answer after the signal, half never
        return item

    def interrupt() -> None:
        under_way.wait(10)
        signal.raise_signal(number)

    workers = Workers(work, enumerate(range(100)), 4, stopped.set)
    threading.Thread(target=interrupt).start()
    came, began = list[int](), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for group in workers.groups():
            came += [result.number for result in group]
    assert sorted(came) == [1, 3] and time.monotonic() - began < 1.5
    assert signal.getsignal(number) is before and "Interrupted" in capsys.readouterr().err
    release.set()
