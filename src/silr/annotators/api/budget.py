"""Cost and budget of requests; those under way are reckoned with before their cost is known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from silr.annotators.api.pace import Pace, StoppedError
from silr.annotators.cost import BATCH_SHARE, Cost, Paid, Price
from silr.errors import InputError

_TOKENS_A_CHARACTER = 0.25  # until the first answer says better
_UNCOUNTED_ANSWER = 20  # tokens of an answer that the server did not count


class BudgetSpentError(Exception):
    """The next request would go beyond the budget."""


class Budget:
    """Counts requests, tokens and dollars, and refuses a request once the budget is spent. Threads may share it.

    A request that is under way counts for as many tokens as the answered ones cost, by length of what was sent; while
    those may spend the budget, the next waits. So tokens go beyond the budget by about one request, however many are
    sent at a time. `closed` is set when nothing may be sent any more. Requests are sent at a `pace`.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        closed: threading.Event | None = None,
        pace: Pace | None = None,
        max_dollars: float | None = None,
        price: Price | None = None,
    ) -> None:
        if max_dollars is not None and price is None:
            raise InputError(
                "--max-dollars needs the price of the model, which is not known: give --price-in and --price-out "
                "(dollars for a million tokens), or --prices FILE"
            )
        self.cost, self._pace = Cost(price=price), pace or Pace()
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._max_dollars = max_dollars
        self.batch_share = BATCH_SHARE  # of the price of single requests: what a batch costs here
        self._closed, self._changed = closed or threading.Event(), threading.Condition(threading.RLock())
        self._under_way = self._answered = 0  # characters sent
        self._uncounted = 0.0  # dollars of answers whose tokens the server did not count, as estimated

    @contextmanager
    def request(self, characters: int) -> Iterator[Paid]:
        """Send one request within this block, and call what it yields with the tokens of prompt and completion.

        A `BudgetSpentError` or a `StoppedError` says that nothing may be sent any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._in_doubt())
            self._check()
            self.cost.requests += 1
            self._under_way += characters
            expected = self._rate() * characters

        def paid(prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> None:
            with self._changed:
                self.cost.prompt_tokens += prompt_tokens
                self.cost.completion_tokens += completion_tokens
                self.cost.cached_prompt_tokens += min(cached_prompt_tokens, prompt_tokens)
                if prompt_tokens or completion_tokens:
                    self._answered += characters
                else:
                    self._estimate(characters)
            used(prompt_tokens + completion_tokens)

        try:
            with self._pace.request(expected) as used:
                yield paid
        except StoppedError:
            with self._changed:
                self.cost.requests -= 1
            raise
        finally:
            with self._changed:
                self._under_way -= characters
                self._changed.notify_all()

    def reserve(self, characters: int, n_requests: int = 1) -> None:
        """Count requests of a batch, sent together later on; a `BudgetSpentError` says that they are too many."""
        with self._changed:
            self._check(n_requests, self._under_way + characters)
            self.take_up(characters, n_requests)

    def take_up(self, characters: int, n_requests: int) -> None:
        """Count requests that an earlier session sent and whose answers come now."""
        with self._changed:
            self.cost.requests += n_requests
            self.cost.under_way += n_requests
            self._under_way += characters

    def settle(
        self, characters: int, n_requests: int, prompt_tokens: int, completion_tokens: int, uncounted: int = 0
    ) -> None:
        """Count the answers to requests of a batch; the server did not count the tokens of some."""
        with self._changed:
            if uncounted:
                self._estimate(characters * uncounted // max(1, n_requests), uncounted, self.batch_share)
            self.cost.under_way -= n_requests
            if self.batch_share == BATCH_SHARE:
                self.cost.batched_requests += n_requests
                self.cost.batched_prompt_tokens += prompt_tokens
                self.cost.batched_completion_tokens += completion_tokens
            self.cost.prompt_tokens += prompt_tokens
            self.cost.completion_tokens += completion_tokens
            self._under_way -= characters
            self._answered += characters if prompt_tokens else 0

    def known(self, prompt_tokens: int = 0, completion_tokens: int = 0, batched: bool = False) -> None:
        """Count an answer that cost nothing now, and the tokens that it cost once."""
        with self._changed:
            if batched:
                self.cost.known_batched_prompt_tokens += prompt_tokens
                self.cost.known_batched_completion_tokens += completion_tokens
            self.cost.cached += 1
            self.cost.known_prompt_tokens += prompt_tokens
            self.cost.known_completion_tokens += completion_tokens

    def characters_a_token(self) -> float:
        """Characters sent for each token of the prompts, by the answers that came."""
        with self._changed:
            return self._answered / self.cost.prompt_tokens if self.cost.prompt_tokens else 3.0

    def _in_doubt(self) -> bool:
        """Whether what is under way may spend the budget."""
        if not self._under_way:
            return False
        return self._may_spend(self._max_tokens, self.cost.tokens, self._rate()) or self._may_spend(
            self._max_dollars, self._dollars(), self._dollar_rate()
        )

    def _rate(self) -> float:
        """Tokens a character sent, by the answers that came."""
        return self.cost.tokens / self._answered if self._answered else _TOKENS_A_CHARACTER

    def _dollar_rate(self) -> float:
        """Dollars a character sent by itself."""
        if self._answered:
            return (self._uncounted + self.cost.undiscounted_dollars) / self._answered
        return self.cost.price.dollars(_TOKENS_A_CHARACTER, 0) if self.cost.price else 0.0

    def _may_spend(self, limit: float | None, spent: float, rate: float) -> bool:
        """Whether requests under way may reach a limit; `rate` is what a character costs."""
        return limit is not None and spent < limit <= spent + rate * self._under_way

    def _dollars(self) -> float:
        """What was spent, with an estimate for what the server did not count."""
        return self._uncounted + self.cost.counted_dollars

    def _estimate(self, characters: int, n_answers: int = 1, share: float = 1.0) -> None:
        self.cost.uncounted += n_answers
        if (price := self.cost.price) is not None:
            dollars = price.dollars(_TOKENS_A_CHARACTER * characters, _UNCOUNTED_ANSWER * n_answers)
            self._uncounted += share * dollars

    def _check(self, n_requests: int = 1, characters: int = 0) -> None:
        """Raise a BudgetSpentError if it is spent, or if a batch with so many `characters` may spend it."""
        closed, cost = self._closed.is_set(), self.cost
        if self._max_requests is not None and cost.requests + n_requests > self._max_requests:
            raise BudgetSpentError(f"{self._max_requests:,} requests")
        tokens = self._rate() * characters or 1.0
        if self._max_tokens is not None and (closed or cost.tokens + tokens > self._max_tokens):
            raise BudgetSpentError(f"{self._max_tokens:,} tokens")
        dollars = self._dollars() + self.batch_share * self._dollar_rate() * characters
        if self._max_dollars is not None and (closed or dollars >= self._max_dollars):
            raise BudgetSpentError(f"${self._max_dollars:g}")
