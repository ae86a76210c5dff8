"""A client that sends no question: it knows an answer, or notes the question for the next batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from silr.annotators.api.batch.results import Failure, Tokens
from silr.annotators.api.budget import Budget
from silr.annotators.api.cache import AnswerCache, key_hash
from silr.annotators.api.client import ChatClient
from silr.annotators.api.exchange import NoAnswerError, TextTooLongError, characters
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.pending import PendingError
from silr.annotators.api.prices import share_of_files
from silr.annotators.api.refusals import Refusal
from silr.annotators.api.replies import Reply
from silr.annotators.api.request import Question
from silr.annotators.missing import Missing

if TYPE_CHECKING:
    import openai

MOST_ATTEMPTS = 3  # batches that a question is sent in
OFFLINE = "batch-file:"  # stands for the server where files are written for it

Collect = Callable[[str, Question], object]


class BatchClient(ChatClient):
    """Answers from the cache; an unknown question is a `PendingError`, and noted while questions are collected.

    Attributes
    ----------
    failures : dict of str to Failure
        Questions, by `key_hash`, to which a batch brought no answer.
    fetched, asked : set of str
        Those whose answers came in this session, and those that were asked for, with an answer or without.
    spent : str or None
        The budget that ended the collection.
    """

    def __init__(self, model: str, cache: AnswerCache, **options: Any) -> None:
        super().__init__(model, cache, **options)
        self.failures = dict[str, Failure]()
        self.fetched, self.asked = set[str](), set[str]()
        self.spent: str | None = None
        self._collect: Collect | None = None
        self._online = False

    @property
    def budget(self) -> Budget:
        """The budget, which batches reserve requests from."""
        return self._budget

    @property
    def connection(self) -> openai.OpenAI:
        """What sends requests."""
        return self._exchange.client

    @property
    def cache(self) -> AnswerCache:
        """Where answers go."""
        return self._cache

    @property
    def answered(self) -> bool:
        """Whether the server answered a single request, so that its parameters are known."""
        return self._answered

    @property
    def is_discounted(self) -> bool:
        """Whether its batches cost less than single requests."""
        return self._budget.batch_share < 1

    @contextmanager
    def collecting(self, collect: Collect) -> Iterator[None]:
        """Call `collect` with the hash of each question that is to be sent."""
        self._collect = collect
        try:
            yield
        finally:
            self._collect = None

    @contextmanager
    def online(self) -> Iterator[None]:
        """Send questions by themselves in this block; the client then knows which parameters the server takes."""
        self._online = True
        try:
            yield
        finally:
            self._online = False

    def ask(self, question: Question, answers: Callable[[Reply], Question] | None = None) -> Reply:
        """Return the answer if it is known; a NoAnswerError says why there is none, or none yet."""
        key = self.hash(question)
        self.asked.add(key)
        if self._online:
            reply = super().ask(question, answers)
            self.fetched.update({key, key if answers is None else self.hash(answers(reply))})
            return reply
        if (known := self._cache.get(key)) is not None:
            reply = Reply.from_json(known)
            if self._collect is None and key not in self.fetched:
                self._budget.known(reply.prompt_tokens, reply.completion_tokens, reply.batched)
            self._left_out.update(reply.left_out)
            return reply
        failure = self.failures.get(key)
        if failure is not None and (self._collect is None or failure.is_final):
            raise self._no_answer(failure, question)
        if self._collect is not None:
            self._collect(key, question)
        raise PendingError

    def hash(self, question: Question) -> str:
        """What stands for a question in the cache and in a batch."""
        return key_hash(self._key(question))

    def body(self, question: Question) -> dict[str, object]:
        """The body of a request, with the parameters that the server takes."""
        return {"messages": question.messages, "model": self.model, **self._parameters.of(question, self.options)}

    def left_out(self) -> list[str]:
        """The parameters that the server does not take."""
        return self._parameters.left_out(Parameters())

    def take_in(self, answered: Iterable[str], n_requests: int, characters: int, tokens: Tokens) -> None:
        """Count the requests of a batch, and those that it answered."""
        self._budget.settle(characters, n_requests, tokens.prompt, tokens.completion, tokens.uncounted)
        self.fetched.update(answered)

    def explain(self, refusal: Refusal) -> str:
        """Say in one line what hits every request, and what mends it."""
        return self._exchange.explain(refusal, refusal.kind, self._words(refusal.words))

    def words(self, message: str) -> str:
        """A message in one line, without the key."""
        return self._words(message)

    def _no_answer(self, failure: Failure, question: Question) -> NoAnswerError:
        words = self._words(failure.refusal.words)
        if failure.missing is Missing.TOO_LONG:
            rate = self._budget.characters_a_token()
            return TextTooLongError(words, failure.refusal.share_of(characters(question.messages), rate))
        return NoAnswerError(failure.missing, words)


class OfflineClient(BatchClient):
    """The same without a server: `base_url`, where it is given, only tells answers apart and says what batches cost."""

    asks = False

    def __init__(self, model: str, cache: AnswerCache, *, base_url: str | None = None, **options: Any) -> None:
        super().__init__(model, cache, base_url=base_url or "http://localhost/v1", **options)
        self.server = self.server if base_url else OFFLINE
        tier = self.options.service_tier
        self._budget.batch_share = share_of_files(model, base_url, self.cost.price, tier)
