"""The questions about texts that are still to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from silr.annotators.api.batch.client import BatchClient
from silr.annotators.api.batch.lines import Request
from silr.annotators.api.budget import BudgetSpentError
from silr.annotators.api.exchange import NoAnswerError, characters
from silr.annotators.api.request import Question
from silr.errors import InputError

Score = Callable[[Sequence[str]], object]
"""Scores the texts of a batch, one here, and asks a client about them."""

_MOST_ONLINE = 10  # requests without an answer, after which no batch is sent
_ONLINE = "one text was asked about outside the batch, to learn which parameters the server takes"


def questions(score: Score, texts: Sequence[str], client: BatchClient) -> Iterator[tuple[str, Question]]:
    """Yield what has to be asked about texts next, given the answers that are known; each question once."""
    seen = set[str]()
    for text in texts:
        for key, question in _next(score, text, client).items():
            if key not in seen:
                seen.add(key)
                yield key, question


def learn_parameters(score: Score, texts: Sequence[str], client: BatchClient, is_known: Callable[[], bool]) -> None:
    """Ask about the first text by single requests: a batch fails as a whole over a parameter that a server refuses.

    `is_known` says whether enough was learned. A budget that is spent ends it; see `BatchClient.spent`.
    """
    tried = 0
    for text in texts:
        if is_known():
            return
        if _next(score, text, client):
            if tried >= _MOST_ONLINE and client.answered:
                return
            if tried >= _MOST_ONLINE:
                raise InputError("the first requests got no answer, so that no batch is sent")
            tried += 1
            try:
                with suppress(NoAnswerError), client.online():
                    score([text])
                    client.say(_ONLINE)
            except BudgetSpentError as error:
                client.spent = str(error)
                return


def requests(score: Score, texts: Sequence[str], client: BatchClient) -> Iterator[Request]:
    """Yield requests, as long as the client's budget allows."""
    for key, question in questions(score, texts, client):
        length = characters(question.messages)
        try:
            client.budget.reserve(length)
        except BudgetSpentError as error:
            client.spent = str(error)
            return
        yield Request(key, client.body(question), length)


def _next(score: Score, text: str, client: BatchClient) -> dict[str, Question]:
    """The questions about one text that are open."""
    found = dict[str, Question]()
    with client.collecting(found.setdefault), suppress(NoAnswerError):
        score([text])
    return found
