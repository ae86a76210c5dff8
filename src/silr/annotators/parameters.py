"""Which parameters of a request a server takes: those that it refuses are left out, renamed or lowered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from silr.annotators.refusals import Kind, Refusal

TOP_LOGPROBS, FEWER_LOGPROBS = 20, 5  # likeliest tokens at a place; some servers give no more than 5


_NEVER = (Kind.TOO_LONG, Kind.PROXY, Kind.PAGE, Kind.UNPAID, Kind.KEY, Kind.DAILY)


@dataclass(frozen=True)
class Parameters:
    """What is sent beside the messages.

    Attributes
    ----------
    dropped : frozenset of str
        Left out.
    top : int
        Likeliest tokens at a place.
    limit : str
        What the server calls the length of an answer.
    """

    dropped: frozenset[str] = frozenset()
    top: int = TOP_LOGPROBS
    limit: str = "max_tokens"

    def options(self, temperature: float, logprobs: bool, max_answer_tokens: int | None) -> dict[str, Any]:
        """Return them as a request has them."""
        wanted: dict[str, Any] = {"temperature": temperature}
        if logprobs:
            wanted |= {"logprobs": True, "top_logprobs": self.top}
        if max_answer_tokens is not None:
            wanted[self.limit] = max_answer_tokens
        return {name: value for name, value in wanted.items() if name not in self.dropped}

    def without(self, *names: str) -> Parameters:
        """Return them without some; log-probabilities go all or none."""
        more = {"logprobs", "top_logprobs"} if {"logprobs", "top_logprobs"} & set(names) else set()
        return replace(self, dropped=self.dropped | set(names) | more)

    def adapted(self, refusal: Refusal, options: dict[str, Any]) -> Parameters | None:
        """Return parameters that the refusal does not name; None if it names none of those that were sent."""
        if refusal.page or refusal.kind in _NEVER:
            return None
        said = refusal.everything
        named = [name for name in options if re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", said)]
        renamed = "max_tokens" in options and (re.search("max_completion_tokens", said) or "max_tokens" in named)
        if renamed:
            return replace(self, limit="max_completion_tokens")
        if "top_logprobs" in named and options["top_logprobs"] > FEWER_LOGPROBS:
            return replace(self, top=_fewer(said, options["top_logprobs"]))
        return self.without(*named) if named else None

    def trials(self, options: dict[str, Any]) -> Iterator[Parameters]:
        """Yield what to try where a refusal does not say what is wrong: without this, without that, without any."""
        names = [name for name in ("logprobs", "temperature") if name in options]
        for name in names:
            yield self.without(name)
        if len(names) > 1:
            yield self.without(*names)
        if self.limit in options:
            yield self.without(*names, self.limit)

    def left_out(self, since: Parameters) -> list[str]:
        """Return the names of what has been left out since."""
        new = self.dropped - since.dropped
        return sorted(new - {"top_logprobs"} if "logprobs" in new else new)


def _fewer(said: str, top: int) -> int:
    """Return how many likeliest tokens a refusal allows, else what most servers do."""
    found = [int(number) for number in re.findall(r"(?<![\w.])\d{1,2}(?![\w.]*\w)", said)]
    return max((number for number in found if FEWER_LOGPROBS < number < top), default=FEWER_LOGPROBS)
