"""Cost and budget of requests; those under way are reckoned with before their cost is known."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from silr.annotators.api.pace import Pace, StoppedError

_TOKENS_A_CHARACTER = 0.25  # until the first answer says better


class BudgetSpentError(Exception):
    """The next request would go beyond the budget."""


@dataclass
class Cost:
    """What was asked of the server in this session."""

    requests: int = 0  # sent, failed ones and repeated ones included
    cached: int = 0  # answers that were known already, free of charge
    prompt_tokens: int = 0  # as the server counts them, of the answers that came
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


class Budget:
    """Counts requests and tokens, and refuses a request once the budget is spent. Threads may share it.

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
    ) -> None:
        self.cost, self._pace = Cost(), pace or Pace()
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._closed, self._changed = closed or threading.Event(), threading.Condition()
        self._under_way = self._answered = 0  # characters sent

    @contextmanager
    def request(self, characters: int) -> Iterator[Callable[[int, int], None]]:
        """Send one request within this block, and call what it yields with the tokens of prompt and completion.

        A `BudgetSpentError` or a `StoppedError` says that nothing may be sent any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._in_doubt())
            self._check()
            self.cost.requests += 1
            self._under_way += characters
            expected = self._rate() * characters

        def paid(prompt_tokens: int, completion_tokens: int) -> None:
            with self._changed:
                self.cost.prompt_tokens += prompt_tokens
                self.cost.completion_tokens += completion_tokens
                self._answered += characters
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

    def known(self) -> None:
        """Count an answer that cost nothing."""
        with self._changed:
            self.cost.cached += 1

    def characters_a_token(self) -> float:
        """Characters sent for each token of the prompts, by the answers that came."""
        with self._changed:
            return self._answered / self.cost.prompt_tokens if self.cost.prompt_tokens else 3.0

    def _in_doubt(self) -> bool:
        """Whether what is under way may spend the budget."""
        if self._max_tokens is None or not self._under_way:
            return False
        return self.cost.tokens < self._max_tokens <= self.cost.tokens + self._rate() * self._under_way

    def _rate(self) -> float:
        """Tokens a character sent, by the answers that came."""
        return self.cost.tokens / self._answered if self._answered else _TOKENS_A_CHARACTER

    def _check(self) -> None:
        if self._max_requests is not None and self.cost.requests >= self._max_requests:
            raise BudgetSpentError(f"{self._max_requests:,} requests")
        if self._max_tokens is not None and (self.cost.tokens >= self._max_tokens or self._closed.is_set()):
            raise BudgetSpentError(f"{self._max_tokens:,} tokens")
