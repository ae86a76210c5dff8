"""What an annotation costs: requests, tokens, and dollars where the price is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from silr.io.files import Json

MILLION = 1_000_000
UNKNOWN = "unknown"
BATCH_SHARE = 0.5  # of the price of single requests: what a batch costs


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens, times a `factor`, such as 0.5 for batches; `source` says where it is from."""

    prompt: float
    completion: float
    cached_prompt: float | None = None  # of a prompt's beginning that the server has read lately; None: as any other
    factor: float = 1.0
    source: str = ""

    def dollars(self, prompt_tokens: float, completion_tokens: float, cached_prompt_tokens: float = 0.0) -> float:
        """What so many tokens cost; the cached ones are among those of the prompts."""
        cached = self.prompt if self.cached_prompt is None else self.cached_prompt
        fresh = max(prompt_tokens - cached_prompt_tokens, 0.0)
        total = fresh * self.prompt + cached_prompt_tokens * cached + completion_tokens * self.completion
        return self.factor * total / MILLION

    def times(self, factor: float) -> Price:
        """The same price at a discount."""
        return replace(self, factor=self.factor * factor)

    def describe(self) -> Json:
        """Return it ready for JSON."""
        values: Json = {"in": self.prompt, "out": self.completion}
        if self.cached_prompt is not None:
            values["cached_in"] = self.cached_prompt
        if self.factor != 1:
            values["factor"] = self.factor
        return {**values, "source": self.source}

    def __str__(self) -> str:
        factor = f" times {self.factor:g}" if self.factor != 1 else ""
        return f"${self.prompt:g} in and ${self.completion:g} out a million tokens{factor}, {self.source}"


class Paid(Protocol):
    """Called with the tokens of an answer that came; with none where the server did not count them."""

    def __call__(self, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> None: ...


@dataclass
class Cost:
    """What was asked of the server in this session."""

    requests: int = 0  # sent, failed ones and repeated ones included
    cached: int = 0  # answers that were known already, free of charge
    prompt_tokens: int = 0  # as the server counts them, of the answers that came
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0  # those of the prompts that the server charges less for
    known_prompt_tokens: int = 0  # of answers that were known already, as they were counted when they were paid for
    known_completion_tokens: int = 0
    known_batched_prompt_tokens: int = 0  # the part of these that was paid for in batches
    known_batched_completion_tokens: int = 0
    batched_requests: int = 0  # the part of all this that was sent in batches
    batched_prompt_tokens: int = 0
    batched_completion_tokens: int = 0
    uncounted: int = 0  # answers whose tokens the server did not count
    under_way: int = field(default=0, compare=False)  # requests of batches; the session that ends them counts them
    price: Price | None = field(default=None, compare=False)

    @property
    def tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def undiscounted_dollars(self) -> float:
        """What the tokens that the server counted would cost in single requests; 0 without a price."""
        if self.price is None:
            return 0.0
        return self.price.dollars(self.prompt_tokens, self.completion_tokens, self.cached_prompt_tokens)

    @property
    def counted_dollars(self) -> float:
        """What the tokens cost that the server counted, batches at half the price; 0 without a price."""
        if self.price is None:
            return 0.0
        batched = self.price.dollars(self.batched_prompt_tokens, self.batched_completion_tokens)
        return self.undiscounted_dollars - (1 - BATCH_SHARE) * batched

    @property
    def dollars(self) -> float | None:
        """What was spent; None if that is unknown."""
        return None if self.price is None or self.uncounted else self.counted_dollars

    @property
    def answers_dollars(self) -> float | None:
        """What all answers cost when they were asked, those that were known included, at today's price."""
        if self.price is None or self.uncounted or (self.cached and not self.known_prompt_tokens):
            return None
        known = self.price.dollars(self.known_prompt_tokens, self.known_completion_tokens)
        batched = self.price.dollars(self.known_batched_prompt_tokens, self.known_batched_completion_tokens)
        return known - (1 - BATCH_SHARE) * batched + self.counted_dollars

    def numbers(self) -> list[float]:
        """The counts, and the dollars (NaN if unknown), for `added_up`."""
        dollars, ended = self.dollars, replace(self, requests=self.requests - self.under_way)
        return [*(float(getattr(ended, name)) for name in COUNTS), math.nan if dollars is None else dollars]


COUNTS = tuple(each.name for each in fields(Cost) if each.name not in ("price", "under_way"))
WIDTH = len(COUNTS) + 1
_BATCHED = ("batched_prompt_tokens", "batched_completion_tokens")


def said(dollars: float | None) -> float | str:
    """Dollars for JSON: a number, or the word "unknown"."""
    return UNKNOWN if dollars is None else round(dollars, 6)


def in_words(dollars: float | str | None) -> str:
    """Dollars for people, with two digits that count at least."""
    if dollars is None or isinstance(dollars, str):
        return f"{UNKNOWN} dollars"
    digits = 2 if dollars == 0 or dollars >= 0.1 else 1 - math.floor(math.log10(dollars))
    return f"${dollars:,.{min(digits, 6)}f}"


def added_up(
    sessions: list[list[float]],
    cost: Cost,
    before: Mapping[str, object] | None,
    texts: int,
    recorded: list[list[float]] | None = None,
) -> Json:
    """What an annotation's record says of its costs, over all `sessions` of it (rows as of `Cost.numbers`).

    Those that are `recorded` brought its answers, new ones or from the cache. None: all did.
    `before` is the record of an earlier annotation by the same LLM, whose costs are added: what it left out was asked
    for since. A session whose price was not known then counts at that of now. `texts` were asked about.
    """
    whole, used = _total(sessions, cost.price), _total(sessions if recorded is None else recorded, cost.price)
    dollars: float | None = 0.0
    for row in sessions:
        paid = _of(row, cost.price).dollars if math.isnan(row[-1]) else row[-1]
        dollars = None if dollars is None or paid is None else dollars + paid
    names = ("requests", "prompt_tokens", "cached_prompt_tokens", "completion_tokens", *_BATCHED)
    counted = {name: getattr(whole, name) for name in names}
    number, earlier = len(sessions), before.get("cost") if before else None
    if isinstance(earlier, dict):
        number += int(earlier.get("sessions", 1))
        counted = {name: value + int(earlier.get(name, 0)) for name, value in counted.items()}
    counted = {name: value for name, value in counted.items() if value or name not in _BATCHED}
    if isinstance(earlier, dict):
        dollars = None if (once := _once(earlier, cost.price)) is None or dollars is None else dollars + once
        whole.uncounted += int(earlier.get("uncounted", 0))
    if whole.uncounted:
        counted["uncounted"] = whole.uncounted
    answers: Json = {"texts": texts, "from_cache": used.cached, "dollars": said(used.answers_dollars)}
    answers["prompt_tokens"] = used.prompt_tokens + used.known_prompt_tokens
    answers["completion_tokens"] = used.completion_tokens + used.known_completion_tokens
    return {"cost": {"sessions": number, **counted, "dollars": said(dollars)}, "answers": answers}


def _total(sessions: list[list[float]], price: Price | None) -> Cost:
    """The costs of sessions together, at a price."""
    return _of([sum(row[place] for row in sessions) for place in range(len(COUNTS))], price)


def _of(numbers: Sequence[float], price: Price | None) -> Cost:
    """The costs of counts, as of `Cost.numbers`, at a price."""
    cost = Cost(price=price)
    for name, number in zip(COUNTS, numbers, strict=False):  # the dollars come last
        setattr(cost, name, int(number))
    return cost


def _once(earlier: Mapping[str, object], price: Price | None) -> float | None:
    """Dollars of an earlier annotation; if they were not known then, at the price of now."""
    once, names = earlier.get("dollars"), ("prompt_tokens", "completion_tokens", "cached_prompt_tokens")
    if isinstance(once, (int, float)):
        return float(once)
    tokens = [count for name in names if isinstance(count := earlier.get(name, 0), (int, float))]
    if price is None or earlier.get("uncounted") or len(tokens) < len(names):
        return None
    batched = [count for name in _BATCHED if isinstance(count := earlier.get(name, 0), (int, float))]
    return price.dollars(*tokens) - (1 - BATCH_SHARE) * price.dollars(*batched)


def price_of_thousand(record: Mapping[str, object]) -> float | None:
    """Dollars for a thousand texts, by the record of an annotation; None if that is unknown."""
    answers = record.get("answers")
    if (
        not isinstance(answers, dict)
        or not answers.get("texts")
        or not isinstance(answers.get("dollars"), (int, float))
    ):
        return None
    return 1000 * float(answers["dollars"]) / int(answers["texts"])
