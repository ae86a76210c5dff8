"""The pace of requests: caps by a clock of the test's own, and one back-off for all threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from silr.annotators.api.budget import Budget
from silr.annotators.api.pace import Caps, Pace, StoppedError, Window
from silr.errors import InputError


def times_of(caps: Caps, tokens: Callable[[], tuple[float, int]], seconds: float) -> list[tuple[float, int]]:
    """When requests are sent, and their true tokens, if a request always waits; each has reckoned and true tokens."""
    now, sent = 1000.0, list[tuple[float, int]]()
    while now < 1000.0 + seconds:
        reckoned, true = tokens()
        while (wait := caps.delay(now, reckoned)) > 0:
            now += wait
        caps.correct(caps.send(now, reckoned), true)
        sent.append((now - 1000.0, true))
    return sent


def most_in_a_minute(sent: list[tuple[float, int]]) -> tuple[int, int]:
    """Most requests and most tokens in any 60 seconds."""
    windows = [[tokens for time, tokens in sent if begin <= time < begin + 59.999] for begin, _ in sent]
    return max(map(len, windows)), max(map(sum, windows))


@pytest.mark.parametrize("rpm", [1, 7, 60, 500])
def test_no_minute_has_more_requests_than_the_cap_and_each_has_as_many(rpm: int) -> None:
    sent = times_of(Caps(rpm=rpm), lambda: (10.0, 10), 300)
    assert most_in_a_minute(sent)[0] == rpm
    assert sum(time < 300 for time, _ in sent) == 5 * rpm
    gaps = [after - before for (before, _), (after, _) in pairwise(sent)]
    assert max(gaps) < 60 / rpm + 1.001  # no rush and no lull


def test_no_minute_has_more_tokens_than_the_cap() -> None:
    rng = random.Random(0)
    sizes = [rng.randint(1, 400) for _ in range(10_000)]
    numbers = iter(sizes)
    sent = times_of(Caps(rpm=200, tpm=9000), lambda: (float(size := next(numbers)), size), 600)
    requests, tokens = most_in_a_minute(sent)
    assert requests <= 200 and 8000 < tokens <= 9000
    assert sum(tokens for time, tokens in sent if time < 600) > 0.9 * 90_000


def test_tokens_count_as_the_server_says_once_it_does() -> None:
    caps = Caps(tpm=1000)
    first = caps.send(0.0, 100.0)
    caps.correct(first, 950)
    assert caps.delay(30.0, 100.0) == pytest.approx(30.0)  # as the first leaves the minute then
    assert caps.delay(60.0, 100.0) == 0.0
    assert caps.delay(60.0, 5000.0) == 0.0  # a text with more tokens than a minute may have: alone
    caps.send(60.0, 10.0)
    assert caps.delay(70.0, 5000.0) == pytest.approx(50.0)


@pytest.mark.parametrize("caps", [{"rpm": 0}, {"tpm": -5}])
def test_a_cap_is_a_number_of_its_kind(caps: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        Pace(**caps)


def test_the_window_halves_and_grows_by_one_a_round() -> None:
    window = Window()
    window.push(64, paused=False)
    assert window.limit == 32
    for _ in range(32):  # one round
        window.answer()
    assert 32.9 < window.limit < 33.1
    window.push(33, paused=True)
    limits = []
    for _ in range(6):
        for _ in range(round(window.limit)):
            window.answer()
        limits.append(round(window.limit))
    assert limits == [2, 4, 8, 16, 17, 18]  # slow start up to half, then one more a round


def test_a_wait_holds_all_threads_back_and_no_herd_follows() -> None:
    pace, sent, lock = Pace(), list[float](), threading.Lock()
    running = most = 0

    def ask(n: int) -> None:
        nonlocal running, most
        for _ in range(n):
            with pace.request(1.0):
                with lock:
                    sent.append(time.monotonic())
                    running += 1
                    most = max(most, running if time.monotonic() < began + 0.32 else 0)
                time.sleep(0.01)
                with lock:
                    running -= 1

    with pytest.raises(OSError), pace.request(1.0):
        raise OSError
    began = time.monotonic()
    assert pace.push_back(0.3)
    threads = [threading.Thread(target=ask, args=(3,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(sent) == 48 and min(sent) >= began + 0.3
    assert most <= 3 < pace.most_under_way  # one at first, and more with every answer


def test_requests_that_were_under_way_are_refused_for_the_same_reason() -> None:
    pace, barrier, news = Pace(), threading.Barrier(8), list[bool]()

    def ask() -> None:
        try:
            with pace.request(1.0):
                barrier.wait(10)
                raise OSError
        except OSError:
            news.append(pace.push_back(None))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(news) == [False] * 7 + [True]


def test_what_waits_is_not_sent_after_a_stop_and_counts_as_no_request() -> None:
    stopped = threading.Event()
    budget = Budget(pace=Pace(rpm=1, stopped=stopped))
    with budget.request(10) as paid:
        paid(3, 1)
    threading.Timer(0.05, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError), budget.request(10):
        pass
    assert time.monotonic() - began < 1 and budget.cost.requests == 1 and budget.cost.tokens == 4
