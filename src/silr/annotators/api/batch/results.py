"""Rows that a batch brings back: an answer, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from silr.annotators.api.refusals import Kind, Refusal, is_error, read_refusal
from silr.annotators.api.replies import NoReplyError, Object, Reply, read_reply, usage
from silr.annotators.missing import Missing

_LONGEST = 2000  # characters kept of a refusal
_ALL = (Kind.UNPAID, Kind.KEY, Kind.MODEL, Kind.PATH, Kind.PROXY)
_PASSING = (Kind.PASSING, Kind.DAILY, Kind.PAGE)
_DECLINED = {Kind.REFUSED: Missing.REFUSED, Kind.FILTERED: Missing.FILTERED}


@dataclass(frozen=True)
class Failure:
    """A request of a batch without an answer, as the server says it; `given_up` after some batches."""

    status: int
    body: str
    given_up: bool = False

    @cached_property
    def refusal(self) -> Refusal:
        """The same as a response to a single request."""
        return read_refusal(self.status, {}, self.body)

    @property
    def hits_all(self) -> bool:
        """Whether it hits every request: no money, a wrong key, an unknown model."""
        return self.refusal.kind in _ALL

    @property
    def missing(self) -> Missing:
        """Why the text gets no label."""
        return Missing.TOO_LONG if self.refusal.kind is Kind.TOO_LONG else Missing.SERVER

    @property
    def is_final(self) -> bool:
        """Whether the same request is not sent again."""
        return self.given_up or not (self.refusal.kind in _PASSING or self.hits_all)


class Row(NamedTuple):
    """What came back for one request."""

    key: str
    result: Reply | Failure
    tokens: tuple[int, int]  # of prompt and answer


@dataclass
class Tokens:
    """Those of a batch's rows, as the server counts them, and how many answers it did not count."""

    prompt: int = 0
    completion: int = 0
    uncounted: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Tokens:
        """Add up those of rows."""
        total = cls()
        for row in rows:
            total.prompt += row.tokens[0]
            total.completion += row.tokens[1]
            total.uncounted += isinstance(row.result, Reply) and not any(row.tokens)
        return total

    def add(self, other: Tokens) -> None:
        """Take in others."""
        self.prompt += other.prompt
        self.completion += other.completion
        self.uncounted += other.uncounted


def read_rows(lines: Iterable[bytes], discounted: bool = True) -> Iterator[Row]:
    """Read lines of an output or error file; those that are none, or torn, are left out.

    `discounted` are those that cost the price of batches.
    """
    for line in lines:
        with suppress(ValueError):
            row = json.loads(line)
            if (
                isinstance(row, dict)
                and isinstance(row.get("custom_id"), str)
                and ("response" in row or "error" in row)
            ):
                yield _read(row, discounted)


def batched(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows in lists of some size."""
    while chunk := list(islice(rows, size)):
        yield chunk


def _read(row: Object, discounted: bool) -> Row:
    response, error = row.get("response"), row.get("error")
    response = response if isinstance(response, dict) else {}
    body = response.get("body")
    status = response.get("status_code")
    status = status if isinstance(status, int) else 0 if error or body is None else 200
    tokens = usage(body)
    if status < 400 and body is not None and not error and not is_error(body):
        try:
            created = body.get("created") if isinstance(body, dict) else None
            asked = float(created) if isinstance(created, (int, float)) else 0.0
            return Row(row["custom_id"], replace(read_reply(body), asked=asked, batched=discounted), tokens)
        except NoReplyError as failed:
            return Row(row["custom_id"], Failure(500, str(failed)), tokens)
    said = json.dumps(error if body is None or (error and not is_error(body)) else body, ensure_ascii=False)
    failure = Failure(status, said[:_LONGEST])
    if (declined := _DECLINED.get(failure.refusal.kind)) is not None:
        return Row(row["custom_id"], Reply("", missing=declined, batched=discounted), tokens)
    return Row(row["custom_id"], failure, tokens)
