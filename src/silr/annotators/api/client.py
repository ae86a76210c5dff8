"""One chat request to an OpenAI-compatible server: retried, counted, within a budget, and paid for once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from silr.annotators.api import exchange
from silr.annotators.api.addresses import check_address, environment_key
from silr.annotators.api.answer_form import FIELDS as FORM_FIELDS
from silr.annotators.api.answer_form import AnswerForm
from silr.annotators.api.budget import Budget
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.exchange import LATER, NoAnswerError, PassingError, RefusedError, TextTooLongError
from silr.annotators.api.length_limit import seems_cut
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.replies import Reply
from silr.annotators.api.request import Messages, Question, RequestOptions
from silr.annotators.missing import Missing
from silr.errors import InputError
from silr.extras import needs
from silr.io.progress import duration

if TYPE_CHECKING:
    import tenacity

Say = Callable[[str], None]

MOST_IN_VAIN = 10  # requests without an answer, after which a server that never gave one is given up
_IN_VAIN_LATER = 50  # the same where this model has answered before
_LONGEST_WAIT, _SHORT_WAIT = 60.0, 2.0  # seconds before another attempt, unless the server asks for more
LONG, TOO_LONG = 60.0, 600.0  # seconds that a server asks for: what is said, and what is not waited for
_ANOTHER_LIMIT = 3.0  # times the prompt: a limit so far above it is of something else
_MOST_TIMEOUTS = 3  # of a server that has never answered
_SHORT_KEY = 5  # characters; what stands for a key where a server wants none, such as "none", is no secret
_MOST_BREAKS = 3  # of a server that has never answered, before it is asked without some parameters
_MOST_DAILY = 3  # times that a quota of the day is said to be renewed in a minute


class ChatClient:
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
    options : RequestOptions
        What is wanted of every request.
    max_requests, max_tokens_total : int, default None
        Budget of this session; see `Budget`. Requests that are under way when it is spent are finished.
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
    notes : list of str
        What was said.
    cost : Cost
        What was asked in this session.

    Raises
    ------
    InputError
        The openai package is missing, the address is no web address, or the key cannot be one.
    """

    def __init__(
        self,
        model: str,
        cache: AnswerCache,
        *,
        base_url: str | None = None,
        options: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        timeout: float = 120.0,
        retries: int = 8,
        say: Say | None = None,
    ) -> None:
        with needs("api", "an LLM behind an API"):
            import openai
            import tenacity
        base_url = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or None
        self._key = environment_key()
        if base_url is not None:
            base_url = check_address(base_url)
        elif self._key is None:
            raise InputError("set the environment variable OPENAI_API_KEY, or give --base-url of a server without keys")
        self.model, self._cache, self.options = model, cache, options
        client = openai.OpenAI(api_key=self._key or "none", base_url=base_url, timeout=timeout, max_retries=0)
        self._exchange = exchange.Exchange(client, model)
        self.server = self._exchange.server
        self.trusted, self.notes = False, list[str]()
        self._print, self._timeout = say or (lambda line: None), timeout
        self._lock, self._closed, self._alone = threading.RLock(), threading.Event(), threading.Lock()
        self._budget = Budget(max_requests, max_tokens_total, self._closed)
        self.cost = self._budget.cost
        self._answered = False  # whether the server ever gave an answer
        self._in_vain = self._timeouts = self._daily = 0
        self._said_wait = -LONG
        self._end: InputError | None = None
        self._parameters = Parameters()
        self._tried = self._tries = False  # whether requests without some parameters were tried, or are just now
        self._taken_forms, self._form_is_new = (
            set[str](),
            False,
        )  # forms of the answers that were sent, see `AnswerForms`
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retries + 1) | tenacity.stop_when_event_set(self._closed),
            sleep=tenacity.sleep_using_event(self._closed),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            reraise=True,
        )

    def takes(self, form: AnswerForm) -> bool:
        """Whether the server has not refused a form of the answers."""
        return self._parameters.take(form)

    def knows(self, question: Question) -> bool:
        """Whether the answer to a question is in the cache."""
        return self._cache.get(question.key(self.server, self.model, self.options)) is not None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Ask within this block; where it is left, requests that wait for another attempt give up."""
        self._closed.clear()
        self._end = None
        try:
            yield
        finally:
            self._closed.set()

    def say(self, line: str) -> None:
        """Tell the user, once."""
        with self._lock:
            if line in self.notes:
                return
            self.notes.append(line)
        self._print(line)

    def ask(self, question: Question, answers: Callable[[Reply], Question] | None = None) -> Reply:
        """Send a question and return the answer, from the cache if it is known.

        A new answer is kept as that of the question that `answers` names. A server that refuses token
        log-probabilities is not asked for them again. A BudgetSpentError says that nothing was sent, a NoAnswerError
        that there is no usable answer to this text, an InputError that the server refuses all requests.
        """
        key = question.key(self.server, self.model, self.options)
        if (known := self._cache.get(key)) is not None:
            self._budget.known()
            return Reply.from_json(known)
        with self._turn():
            reply = self._ask(question)
            if answers is not None:
                key = answers(reply).key(self.server, self.model, self.options)
            self._cache.put(key, reply.to_json())
            self._count(reply)
        return reply

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

    def _check_end(self) -> None:
        if self._end is not None:
            raise self._end

    def _count(self, reply: Reply) -> None:
        """Count an answer; one that ended while the model still thought is none."""
        if reply.missing is Missing.CUT_OFF and not reply.text.strip():
            self._count_in_vain(exchange.explain_cut_off(self.options.max_answer_tokens))
        else:
            with self._lock:
                self._answered, self._in_vain = True, 0

    def _count_in_vain(self, words: str) -> None:
        """Count a request without an answer, and end the job after too many."""
        with self._lock:
            self._in_vain += 1
            most = _IN_VAIN_LATER if self.trusted or self._answered else MOST_IN_VAIN
            if self._in_vain >= most:
                self._stop(f"no answer to {self._in_vain} requests in a row: {words}")

    def _stop(self, line: str, error: BaseException | None = None) -> NoReturn:
        self._end = InputError(line)
        raise self._end from error

    # --- one question, until it is answered or refused ----------------------------------------------------------------

    def _ask(self, question: Question) -> Reply:
        """Ask again, with other parameters where the server may not take these, until there is an answer."""
        before = parameters = self._parameters
        trials: Iterator[Parameters] | None = None
        first: Refusal | None = None  # what the server says of the parameters, as it seems
        adapted: Parameters | None
        self._form_is_new = question.form is not None and question.form.name not in self._taken_forms
        while True:
            options = parameters.of(question, self.options)
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
                unclear = error.refusal.kind is Kind.UNCLEAR
                if adapted is None and trials is None and unclear:
                    adapted = parameters.without_form(options)
                unclear &= not (self._tried or self._answered)
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
        if question.form is not None:
            self._form_is_new = False
            if question.form.name in self._taken_forms:
                parameters = parameters.keeping_form(before)  # what was refused was of this text
            elif parameters.take(question.form):
                self._taken_forms.add(question.form.name)
        if parameters != before:
            words = "it sent nothing of use" if first is None else self._words(first.words)
            with self._lock:
                self._parameters = parameters
            for name in parameters.left_out(before):
                if name != "logprobs" and name not in FORM_FIELDS:  # said with the first label that has no scores
                    self.say(f"the server does not take {name}, which is left out ({words})")
        return reply

    def _may_dislike_parameters(self, error: PassingError) -> bool:
        """Whether a server that breaks, and never answered, may break over a parameter; that is tried once.

        Over a form of the answers that is new to it, it may also say nothing.
        """
        broken = error.refusal is not None and error.refusal.status == 500
        broken |= self._form_is_new and error.unusable
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
            raise TextTooLongError(words, self._fitting(refusal, messages))
        if kind is Kind.MODEL and self._answered:
            kind = Kind.UNCLEAR
        if kind not in (Kind.UNCLEAR, Kind.PASSING):
            self._stop(self._exchange.explain(refusal, kind, words))
        line = f"the server refuses the request ({refusal.status}): {words}"
        if not (self.trusted or self._answered):
            self._count_in_vain(line)
        raise NoAnswerError(Missing.SERVER, line)

    def _fitting(self, refusal: Refusal, messages: Messages) -> float | None:
        """Share of the messages that the server would take, None if it does not say."""
        share, limit = refusal.fits(), refusal.limit()
        if share is None and limit is not None:
            share = limit * self._budget.characters_a_token() / exchange.characters(messages)
        return None if share is None or share > _ANOTHER_LIMIT else min(share, 0.9)

    def _give_up(self, error: PassingError) -> NoReturn:
        words = self._words(str(error))
        if error.unreachable and not self._closed.is_set():
            proxy, host = self._exchange.proxy, "/".join(self.server.split("/")[:3])
            place = f"{host} (through the proxy {proxy})" if proxy else host
            if error.redirected_to:
                place = f"{error.redirected_to}, where {host} redirects to"
            self._stop(f"no server answers at {place}: {words}", error)
        raise NoAnswerError(Missing.SERVER, words) from error

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another attempt may help; one at a server that never was there hardly does."""
        if not isinstance(error, PassingError) or self._closed.is_set():
            return False
        words = self._words(str(error))
        if error.unreachable:
            return self._exchange.heard
        self._daily += error.daily
        used_up = error.daily and (error.wait is None or error.wait > LONG or self._daily >= _MOST_DAILY)
        if used_up or (error.wait or 0.0) > TOO_LONG:
            asked = f" to wait {duration(error.wait)}" if error.wait else " to wait until its quota is renewed"
            self._stop(f"the server asks{asked} ({words}); {LATER}", error)
        if error.timeout and not self._answered:
            self._timeouts += 1
            if self._timeouts >= _MOST_TIMEOUTS:
                line = f"no answer within {self._timeout:g} seconds, {self._timeouts} times; raise --timeout"
                self._stop(line, error)
        self._count_in_vain(words)
        if self._tries or self._may_dislike_parameters(error):
            return False
        if error.wait and error.wait > LONG and time.monotonic() - self._said_wait > LONG:
            self._said_wait = time.monotonic()
            self.say(f"the server asks to wait {duration(error.wait)} ({words}); waiting. Ctrl-C stops, and {LATER}")
        return True

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next attempt."""
        import tenacity

        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, PassingError):
            return 0.0
        if error.wait is not None:
            return error.wait
        return tenacity.wait_random_exponential(max=_SHORT_WAIT if error.unusable else _LONGEST_WAIT)(state)

    def _words(self, message: str) -> str:
        """The message in one line, without the key, which some servers repeat."""
        line = " ".join(message.split())
        return (line.replace(self._key, "***") if self._key and len(self._key) > _SHORT_KEY else line)[:300]
