"""One chat request to an OpenAI-compatible server: retried, counted, within a budget, and paid for once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import NoReturn

from silr.annotators.api import exchange
from silr.annotators.api.answer_form import FREE, AnswerForm
from silr.annotators.api.budget import Budget
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.connection import connect
from silr.annotators.api.exchange import NoAnswerError, PassingError, RefusedError, TextTooLongError
from silr.annotators.api.length_limit import seems_cut
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.patience import Patience
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.replies import Reply
from silr.annotators.api.request import Messages, Question, RequestOptions
from silr.annotators.cost import Price
from silr.annotators.missing import Missing
from silr.errors import InputError

Say = Callable[[str], None]

_FEW_THREADS = 16  # that put each answer on the disk before they go on; more would wait for each other
_MOST_BREAKS = 3  # of a server that has never answered, before it is asked without some parameters


class ChatClient(Patience):
    """Asks a chat model over HTTP. Threads may share it.

    Until the server has answered once, one request is sent at a time: what hits every request ends the job after a
    few. What hits a text is a `NoAnswerError` with its reason.

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

    _exchange_kind, _key_variables = exchange.Exchange, tuple[str, ...]()  # variables of a key before the usual ones

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
        super().__init__(rpm, tpm, timeout, retries)
        connection = connect(
            base_url, api_version=api_version, headers=options.headers, timeout=timeout, keys=self._key_variables
        )
        self._secrets, self.api_version = connection.secrets, connection.api_version
        self.model, self._cache, self.options = model, cache, options
        self._exchange = self._exchange_kind(connection.client, model, connection.secrets, connection.is_azure)
        self.server = self._exchange.server
        self.notes = list[str]()
        self._print, self._alone = say or (lambda line: None), threading.Lock()
        self._budget = Budget(max_requests, max_tokens_total, self._closed, self._pace, max_dollars, price)
        self.cost = self._budget.cost
        self._parameters = Parameters(asked=frozenset(options.asked()))
        self._left_out = set[str]()  # of answers that are in the cache
        self._tried = self._tries = False  # whether requests without some parameters were tried, or are just now
        self._taken_forms, self._form_is_new = set[str](), False  # forms of answers that were sent, see `AnswerForms`

    def takes(self, form: AnswerForm) -> bool:
        """Whether the server has not refused a form of the answers."""
        return self._parameters.take(form)

    def knows(self, question: Question) -> bool:
        """Whether the answer is in the cache."""
        return self._cache.get(self._key(question)) is not None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Ask within this block; where it is left, requests that wait for another attempt give up."""
        self._closed.clear()
        self._stopped.clear()
        self._end = None
        try:
            yield
        finally:
            self._closed.set()
            self._exchange.abort()

    def stop(self) -> None:
        """Send nothing more in this block; requests that are under way go on."""
        self._closed.set()
        self._stopped.set()

    @contextmanager
    def group_answers(self, concurrency: int) -> Iterator[Callable[[], None]]:
        """Within this block answers are on the disk after a call of what it yields: if many come, many at a time."""
        with self._cache.grouped() if concurrency > _FEW_THREADS else nullcontext():
            yield self._cache.sync

    def look_up(self, questions: Iterable[Question]) -> None:
        """Read the answers to questions that are soon asked, if they are known."""
        self._cache.look_up(self._key(question) for question in questions)

    def say(self, line: str) -> None:
        """Tell the user, once."""
        with self._lock:
            if line in self.notes:
                return
            self.notes.append(line)
        self._print(line)

    def describe(self) -> dict[str, object]:
        """What else tells its answers apart, and is set."""
        return {} if self.api_version is None else {"api_version": self.api_version}

    asks: bool = True  # whether it sends anything
    settles_on: str = FREE  # the form of the answers, where nobody is asked and none is known

    def ask(self, question: Question, answers: Callable[[Reply], Question] | None = None) -> Reply:
        """Send a question and return the answer, from the cache if it is known.

        A new answer is kept as that of the question that `answers` names. A BudgetSpentError says that nothing was
        sent, a NoAnswerError that no answer to this text is usable, an InputError that the server refuses all requests.
        """
        key = self._key(question)
        if (known := self._cache.get(key)) is not None:
            reply = Reply.from_json(known)
            self._budget.known(reply.prompt_tokens, reply.completion_tokens)
            self._left_out.update(reply.left_out)
            return reply
        with self._turn():
            reply = self._ask(question)
            self._cache.put(key if answers is None else self._key(answers(reply)), reply.to_json())
            self._count(reply)
        return reply

    def _key(self, question: Question) -> dict[str, object]:
        return question.key(self.server, self.model, self.options) | self.describe()

    # --- one at a time, until the server answers ----------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with ExitStack() as alone:
            if not self._answered:
                waited = not self._alone.acquire(blocking=False)
                if waited:
                    self._alone.acquire()
                alone.callback(self._alone.release)
                if self._answered:  # meanwhile
                    alone.close()
                else:
                    self._check_end()
                    if waited and self._closed.is_set():
                        raise NoAnswerError(Missing.SERVER, "stopped before it was asked")
            yield

    def _count(self, reply: Reply) -> None:
        """Count an answer; one that ended while the model still thought is none."""
        if reply.missing is Missing.CUT_OFF and not reply.text.strip():
            self._count_in_vain(exchange.explain_cut_off(self.options.max_answer_tokens))
        else:
            with self._lock:
                self._answered, self._in_vain = True, 0

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
                reply: Reply = self._retrying(self._attempt, question.messages, options)
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
                if adapted is None and trials is None and unclear:
                    trials, self._tried = parameters.trials(options), True
                if trials is not None:
                    adapted = next(trials, None)
                    self._in_vain += adapted is not None
                first, self._tries = first or error.refusal, trials is not None and adapted is not None
                if adapted is None:
                    return self._refused(first, question.messages)
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
        broken = (error.refusal is not None and error.refusal.status == 500) or (self._form_is_new and error.unusable)
        return broken and (self._form_is_new or not (self._tried or self._answered)) and self._in_vain >= _MOST_BREAKS

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

    # --- what is given up ---------------------------------------------------------------------------------------------

    def _refused(self, refusal: Refusal, messages: Messages) -> Reply:
        """Return a reply without text where the server declines a text; raise the reason where it does not take it."""
        kind, words = refusal.kind, self._words(refusal.words)
        if kind in (Kind.REFUSED, Kind.FILTERED):
            missing = Missing.REFUSED if kind is Kind.REFUSED else Missing.FILTERED
            if not self._answered:  # it may be about all texts, so it is not kept
                raise NoAnswerError(missing, words)
            return Reply("", missing=missing)
        if kind is Kind.TOO_LONG:
            share = refusal.share_of(exchange.characters(messages), self._budget.characters_a_token())
            raise TextTooLongError(words, share)
        kind = Kind.UNCLEAR if kind is Kind.MODEL and self._answered else kind
        if kind not in (Kind.UNCLEAR, Kind.PASSING):
            self._stop(self._exchange.explain(refusal, kind, words))
        line = f"the server refuses the request ({refusal.status}): {words}"
        if not (self.trusted or self._answered):
            if asked := self.options.asked():
                line += f"; it may not take {', '.join(asked.values())}"
            self._count_in_vain(line)
        raise NoAnswerError(Missing.SERVER, line)

    def _give_up(self, error: PassingError) -> NoReturn:
        words = self._words(str(error))
        if error.unreachable and not self._closed.is_set():
            self._stop(f"no server answers at {self._exchange.place(error.redirected_to)}: {words}", error)
        raise NoAnswerError(Missing.SERVER, words) from error

    def _words(self, message: str) -> str:
        """The message in one line, without the key and the headers, which some servers repeat."""
        return " ".join(self._secrets.hidden(message).split())[:300]
