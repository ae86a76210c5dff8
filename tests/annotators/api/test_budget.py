"""The budget by itself: what waits, what is refused, and what is counted."""

from __future__ import annotations

import threading
import time

import pytest

from silr.annotators.api.budget import Budget, BudgetSpentError


def test_requests_and_tokens_are_counted_and_the_next_request_is_refused() -> None:
    budget = Budget(max_requests=2)
    for _ in range(2):
        with budget.request(100) as paid:
            paid(17, 3)
    with pytest.raises(BudgetSpentError, match="2 requests"), budget.request(100):
        pass
    assert (budget.cost.requests, budget.cost.prompt_tokens, budget.cost.completion_tokens) == (2, 34, 6)


def spend(max_tokens: int, tokens: int, threads: int) -> Budget:
    """Ask from many threads at a time until the budget is spent; each request costs the same."""
    budget = Budget(max_tokens=max_tokens)

    def ask() -> None:
        while True:
            try:
                with budget.request(1000) as paid:
                    time.sleep(0.002)
                    paid(tokens - 1, 1)
            except BudgetSpentError:
                return

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(10)
        assert not thread.is_alive()
    return budget


@pytest.mark.parametrize("tokens", [20, 250, 300])
def test_the_budget_is_used_up_and_hardly_exceeded_by_many_threads(tokens: int) -> None:
    assert 10_000 <= spend(10_000, tokens, threads=8).cost.tokens <= 10_000 + 2 * tokens


def test_a_first_guess_that_is_too_high_stops_nothing_early() -> None:
    assert spend(100, 3, threads=32).cost.tokens >= 100


def test_failed_requests_hold_nothing_back() -> None:
    budget = Budget(max_tokens=260)
    for _ in range(5):
        with pytest.raises(OSError), budget.request(1000):
            raise OSError
    with budget.request(1000) as paid:
        paid(10, 0)
    assert budget.cost.requests == 6


def test_what_waits_is_given_up_when_asking_ends() -> None:
    closed, under_way, said = threading.Event(), threading.Event(), []
    budget = Budget(max_tokens=100, closed=closed)

    def first() -> None:
        with budget.request(1000):
            under_way.set()
            closed.wait(10)

    def second() -> None:
        try:
            with budget.request(1000):
                said.append("sent")
        except BudgetSpentError:
            said.append("given up")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    under_way.wait(10)
    threads[1].start()
    time.sleep(0.05)
    assert not said
    closed.set()
    for thread in threads:
        thread.join(10)
    assert said == ["given up"]
