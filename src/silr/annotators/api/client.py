"""One chat request to an OpenAI-compatible server: retried, counted, within a budget, and paid for once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from silr.annotators.api import exchange
from silr.annotators.api.answer_form import AnswerForm
from silr.annotators.api.cache import AnswerCache, key_hash
from silr.annotators.api.connection import connect
from silr.annotators.api.exchange import ChatExchange, PassingError, RefusedError, TextTooLongError
from silr.annotators.api.length_limit import seems_cut
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.replies import Reply
from silr.annotators.api.request import Messages, Question, RequestOptions
from silr.annotators.api.server_client import MOST_BREAKS, Say, ServerClient, breaks
from silr.annotators.cost import Price
from silr.annotators.missing import Missing
from silr.errors import InputError

_FEW_THREADS = 16  # that put each answer on the disk before they go on; more would wait for each other


class ChatClient(ServerClient):
    """Asks a chat model over HTTP; see `ServerClient`.

    Parameters
    ----------
    model : str
        The server's name for it.
    cache : AnswerCache
    base_url : str, default None
        Such as ``http://127.0.0.1:8000/v1``; None: the openai client's default, or ``OPENAI_BASE_URL``.
    api_version : str, default None
        Of Azure, such as ``2024-10-21``.
    options : RequestOptions
        What is wanted of every request.
    max_requests, max_tokens_total, max_dollars, price : default None
        Budget of this session; see `Budget`. Dollars need a price. Requests under way when it is spent are finished.
    rpm, tpm : int, default None
        Requests and tokens a minute at most; see `Caps`.
    timeout : float, default 120
        Seconds to wait for an answer.
    retries : int, default 8
        Attempts after the first, with growing waits, or as long as the server asks for, up to ten minutes.
    say : callable, default None
        Called once with each line that the user should read.

    Attributes
    ----------
    server : str
        The address without credentials.
    trusted : bool
        Whether this model has given a label before.
    notes, cost : list of str, Cost
        What was said, and what was asked in this session.

    Raises
    ------
    InputError
        The openai package is missing, the address is no web address, or the key cannot be one.
    """

    _exchange: ChatExchange

    def __init__(
        self,
        model: str,
        cache: AnswerCache,
        *,
        base_url: str | None = None,
        api_version: str | None = None,
        options: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        max_dollars: float | None = None,
        price: Price | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        timeout: float = 120.0,
        retries: int = 8,
        say: Say | None = None,
    ) -> None:
        connection = connect(base_url, api_version=api_version, headers=options.headers, timeout=timeout)
        budget: dict[str, Any] = {"max_requests": max_requests, "max_tokens_total": max_tokens_total}
        budget |= {"max_dollars": max_dollars, "price": price, "rpm": rpm, "tpm": tpm}
        super().__init__(ChatExchange(connection, model), options, timeout=timeout, retries=retries, say=say, **budget)
        self._cache = cache
        self._parameters = Parameters(asked=frozenset(options.asked()))
        self._left_out = set[str]()  # of answers that are in the cache
        self._tries = False  # whether requests without some parameters are tried just now
        self._taken_forms, self._form_is_new = set[str](), False  # forms of answers that were sent, see `AnswerForms`

    def takes(self, form: AnswerForm) -> bool:
        """Whether the server has not refused a form of the answers."""
        return self._parameters.take(form)

    def knows(self, question: Question) -> bool:
        """Whether the answer is in the cache."""
        return self._cache.get(self._key(question)) is not None

    @contextmanager
    def group_answers(self, concurrency: int) -> Iterator[Callable[[], None]]:
        """Within this block answers are on the disk after a call of what it yields: if many come, many at a time."""
        with self._cache.grouped() if concurrency > _FEW_THREADS else nullcontext():
            yield self._cache.sync

    def look_up(self, questions: Iterable[Question]) -> None:
        """Read the answers to questions that are soon asked, if they are known."""
        self._cache.look_up(self._key(question) for question in questions)

    asks: bool = True  # whether it sends anything

    def ask(self, question: Question, answers: Callable[[Reply], Question] | None = None) -> Reply:
        """Send a question and return the answer, from the cache if it is known.

        A new answer is kept as that of the question that `answers` names. A BudgetSpentError says that nothing was
        sent, a NoAnswerError that no answer to this text is usable, an InputError that the server refuses all requests.
        """
        key = key_hash(self._key(question))
        if (known := self._cache.get(key)) is not None:
            reply = Reply.from_json(known)
            self._budget.known(reply.prompt_tokens, reply.completion_tokens, reply.batched)
            self._left_out.update(reply.left_out)
            return reply
        with self._turn():
            reply = self._ask(question)
            self._cache.put(key if answers is None else self._key(answers(reply)), reply.to_json())
            self._count(reply)
        return reply

    def _key(self, question: Question) -> dict[str, object]:
        return question.key(self.server, self.model, self.options) | self.describe()

    def _count(self, reply: Reply) -> None:
        """Count an answer; one that ended while the model still thought is none."""
        if reply.missing is Missing.CUT_OFF and not reply.text.strip():
            self._count_in_vain(exchange.explain_cut_off(self.options.max_answer_tokens))
        else:
            self._note_answer()

    # --- one question, until it is answered or refused ----------------------------------------------------------------

    def _ask(self, question: Question) -> Reply:
        """Ask again, with other parameters where the server may not take these, until there is an answer."""
        before = parameters = self._parameters
        trials: Iterator[Parameters] | None = None
        first: Refusal | None = None  # what the server says of the parameters, as it seems
        adapted: Parameters | None
        self._form_is_new = question.form is not None and question.form.name not in self._taken_forms
        while True:
            options, asked = parameters.of(question, self.options), time.time()
            try:
                reply = self._with_retries(self._attempt, question.messages, options)
                break
            except PassingError as error:
                if trials is None and self._may_dislike_parameters(error):
                    trials, first, self._tried = parameters.trials(options), error.refusal, True
                adapted = None if trials is None else next(trials, None)
                if adapted is None:
                    self._tries = False
                    self._give_up(error)
                self._tries = True
            except RefusedError as error:
                adapted = parameters.adapted(error.refusal, options) if trials is None else None
                unclear = error.refusal.kind is Kind.UNCLEAR and not (self._tried or self._answered)
                if adapted is None and trials is None and not self._answered:
                    self._check_asked(error.refusal, parameters.refused(error.refusal, options))
                if adapted is None and trials is None and error.refusal.kind is Kind.UNCLEAR:
                    adapted = parameters.without_form(options)
                    if adapted is not None:
                        self._count_refusal(error.refusal)
                if adapted is None and trials is None and unclear:
                    trials, self._tried = parameters.trials(options), True
                if trials is not None:
                    adapted = next(trials, None)
                    self._in_vain += adapted is not None
                first, self._tries = first or error.refusal, trials is not None and adapted is not None
                if adapted is None:
                    return Reply("", missing=self._refused(first, exchange.characters(question.messages)))
            parameters = adapted
        self._tries = False
        parameters = parameters.after(question.form, before, self._taken_forms)
        if parameters != before:
            words = self._words(first.words) if first else "it sent nothing of use"
            with self._lock:
                self._parameters = parameters
            for name in parameters.left_out(before):
                if name != "logprobs":  # said with the first label that has no scores
                    self.say(f"the server does not take {name}, which is left out ({words})")
        return replace(reply, asked=asked, left_out=tuple(parameters.left_out(Parameters())))

    def sent(self, question: Question) -> dict[str, object]:
        """What is sent beside the messages of a question, by what the server takes and took."""
        return self._parameters.without(*self._left_out).of(question, self.options)

    def _check_asked(self, refusal: Refusal, names: list[str]) -> None:
        """End the job where the server refuses what the user wants."""
        if names:
            wanted = ", ".join(self.options.asked()[name] for name in names)
            why = f"({refusal.status}): {self._words(refusal.words)}"
            self._stop(f"the server does not take {wanted} {why}; leave it out or change it")

    def _may_be_about_parameters(self, error: PassingError) -> bool:
        return self._tries or self._may_dislike_parameters(error)

    def _may_dislike_parameters(self, error: PassingError) -> bool:
        """Whether a server that breaks, and never answered, or not in this form, may break over a parameter."""
        if not self._form_is_new:
            return super()._may_be_about_parameters(error)
        return (breaks(error) or error.unusable) and self._in_vain >= MOST_BREAKS

    def _attempt(self, messages: Messages, options: dict[str, object]) -> Reply:
        self._check_end()
        try:
            with self._budget.request(exchange.characters(messages)) as paid:
                reply = self._exchange.send(messages, options, paid, self._parameters, patient=self._answered)
        except InputError as error:
            self._end = error
            raise
        if seems_cut((message["content"] for message in messages), reply.prompt_tokens):
            self.say(exchange.explain_cut_prompt(reply.prompt_tokens, exchange.characters(messages)))
            raise TextTooLongError(f"the server read {reply.prompt_tokens:,} tokens only", None)
        return reply
