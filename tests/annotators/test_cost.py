"""Dollars: by tokens, over sessions, and unknown where nobody knows."""

from __future__ import annotations

import pytest

from silr.annotators.cost import COUNTS, WIDTH, Cost, Price, added_up, in_words, price_of_thousand, said

PRICE = Price(1.0, 10.0, 0.1)


def numbers(price: Price | None, **counts: int) -> list[float]:
    return Cost(**counts, price=price).numbers()  # type: ignore[arg-type]


def test_dollars_of_tokens() -> None:
    assert PRICE.dollars(1_000_000, 100_000) == pytest.approx(2.0)
    assert PRICE.dollars(1_000_000, 0, 500_000) == pytest.approx(0.55)
    assert Price(1.0, 10.0).dollars(1_000_000, 0, 500_000) == pytest.approx(1.0)  # no price of its own: as any other
    assert PRICE.times(0.5).times(0.5).dollars(1_000_000, 0) == pytest.approx(0.25)
    assert Cost(prompt_tokens=10).dollars is None
    assert Cost(prompt_tokens=10, uncounted=1, price=PRICE).dollars is None
    assert len(numbers(PRICE)) == WIDTH == len(COUNTS) + 1


def test_sessions_add_up() -> None:
    cost = Cost(requests=1, prompt_tokens=1_000_000, price=PRICE)
    unpriced = numbers(None, requests=3, prompt_tokens=2_000_000)
    whole = added_up([unpriced, cost.numbers()], cost, None, 30)
    assert whole["cost"] == {
        **{"sessions": 2, "requests": 4, "prompt_tokens": 3_000_000, "cached_prompt_tokens": 0},
        **{"completion_tokens": 0, "dollars": 3.0},  # what had no price then counts at that of now
    }
    assert price_of_thousand(whole) == pytest.approx(100.0)
    later = added_up([cost.numbers()], cost, {**whole, "kind": "api"}, 30)
    assert (later["cost"]["dollars"], later["cost"]["sessions"], later["cost"]["requests"]) == (4.0, 3, 5)
    unknown = Cost(requests=1, prompt_tokens=5)
    assert added_up([unknown.numbers()], unknown, whole, 30)["cost"]["dollars"] == "unknown"
    uncounted = Cost(requests=1, uncounted=1, price=PRICE)
    once = added_up([uncounted.numbers()], uncounted, None, 1)
    assert once["cost"]["dollars"] == "unknown" and price_of_thousand(once) is None
    assert added_up([cost.numbers()], cost, once, 1)["cost"]["dollars"] == "unknown"


def test_known_answers_cost_once() -> None:
    cost = Cost(cached=2, known_prompt_tokens=1_000_000, known_completion_tokens=100_000, price=PRICE)
    whole = added_up([cost.numbers()], cost, None, 2)
    assert (whole["cost"]["dollars"], whole["answers"]["dollars"]) == (0.0, 2.0)
    assert price_of_thousand(whole) == pytest.approx(1000.0)
    assert price_of_thousand({}) is None


def test_words() -> None:
    assert [in_words(dollars) for dollars in (0.0, 0.00045, 0.034, 0.25, 3.0, 1234.5, None, "unknown")] == [
        *("$0.00", "$0.00045", "$0.034", "$0.25", "$3.00", "$1,234.50", "unknown dollars", "unknown dollars"),
    ]
    assert (said(None), said(0.12345678)) == ("unknown", 0.123457)
    assert str(PRICE.times(0.5)).startswith("$1 in and $10 out a million tokens times 0.5")
