"""Cost and budget of requests; those under way are reckoned with before their cost is known."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from silr.annotators.api.pace import Pace, StoppedError
from silr.annotators.cost import Cost, Paid, Price
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
        self._closed, self._changed = closed or threading.Event(), threading.Condition()
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

    def known(self, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Count an answer that cost nothing now, and the tokens that it cost once."""
        with self._changed:
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
        price = self.cost.price
        first = 0.0 if price is None else price.dollars(_TOKENS_A_CHARACTER, 0)
        return self._may_spend(self._max_tokens, self.cost.tokens, self._rate()) or self._may_spend(
            self._max_dollars, self._dollars(), self._dollars() / self._answered if self._answered else first
        )

    def _rate(self) -> float:
        """Tokens a character sent, by the answers that came."""
        return self.cost.tokens / self._answered if self._answered else _TOKENS_A_CHARACTER

    def _may_spend(self, limit: float | None, spent: float, rate: float) -> bool:
        """Whether requests under way may reach a limit; `rate` is what a character costs."""
        return limit is not None and spent < limit <= spent + rate * self._under_way

    def _dollars(self) -> float:
        """What was spent, with an estimate for what the server did not count."""
        cost, price = self.cost, self.cost.price
        if price is None:
            return 0.0
        return self._uncounted + price.dollars(cost.prompt_tokens, cost.completion_tokens, cost.cached_prompt_tokens)

    def _estimate(self, characters: int) -> None:
        self.cost.uncounted += 1
        if self.cost.price is not None:
            self._uncounted += self.cost.price.dollars(_TOKENS_A_CHARACTER * characters, _UNCOUNTED_ANSWER)

    def _check(self) -> None:
        if self._max_requests is not None and self.cost.requests >= self._max_requests:
            raise BudgetSpentError(f"{self._max_requests:,} requests")
        if self._max_tokens is not None and (self.cost.tokens >= self._max_tokens or self._closed.is_set()):
            raise BudgetSpentError(f"{self._max_tokens:,} tokens")
        if self._max_dollars is not None and (self._dollars() >= self._max_dollars or self._closed.is_set()):
            raise BudgetSpentError(f"${self._max_dollars:g}")
