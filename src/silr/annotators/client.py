"""One chat request to an OpenAI-compatible server: retried, counted, within a budget, and paid for once."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from silr.annotators.answer_cache import AnswerCache
from silr.annotators.budget import Budget, Cost
from silr.errors import InputError

if TYPE_CHECKING:
    import openai
    import tenacity

Messages = list[dict[str, str]]

KEY_VARIABLES = ("SILR_API_KEY", "OPENAI_API_KEY")
TOP_LOGPROBS, FEWER_LOGPROBS = 20, 5  # likeliest tokens at a place; some servers give no more than 5
_LONGEST_WAIT = 60.0  # seconds before another attempt, unless the server asks for more
_LONGEST_ASKED = 600.0
_DISPENSABLE = ("logprobs", "temperature")  # not every server takes them
_OF_THIS_TEXT = re.compile(r"context.(length|size|window)|content.(filter|management)", re.IGNORECASE)


class NoAnswerError(Exception):
    """The server gave no usable answer, however often it was asked."""


@dataclass(frozen=True)
class Reply:
    """An answer: its text, and for each of its tokens the likeliest ones as (text, log-probability), if they came."""

    text: str
    tokens: list[tuple[str, list[tuple[str, float]]]] = field(default_factory=list)


class ChatClient:
    """Asks a chat model over HTTP. Threads may share it.

    Parameters
    ----------
    model : str
        The server's name for it.
    cache : AnswerCache
    base_url : str, default None
        Such as ``http://127.0.0.1:8000/v1``; None: the openai client's default, or ``OPENAI_BASE_URL``.
    max_answer_tokens : int, default None
        None: as the server has it.
    max_requests, max_tokens_total : int, default None
        Budget of this session; see `Budget`. Requests that are under way when it is spent are finished.
    timeout : float, default 120
        Seconds to wait for an answer.
    retries : int, default 8
        Attempts after the first, with growing waits, or as long as the server's Retry-After says.

    Attributes
    ----------
    cost : Cost

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
        max_answer_tokens: int | None = None,
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        timeout: float = 120.0,
        retries: int = 8,
    ) -> None:
        try:
            import openai
            import tenacity
        except ImportError as error:
            raise InputError("the API annotator needs more packages: pip install 'silr[api]'") from error
        base_url = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or None
        self._key = _key()
        if base_url is not None:
            _check_url(base_url)
        elif self._key is None:
            raise InputError("set the environment variable OPENAI_API_KEY, or give --base-url of a server without keys")
        self.model, self._cache, self._max_answer_tokens = model, cache, max_answer_tokens
        self._client = openai.OpenAI(api_key=self._key or "none", base_url=base_url, timeout=timeout, max_retries=0)
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._budget = Budget(max_requests, max_tokens_total, self._closed)
        self._heard = False  # whether the server was ever there
        self._dropped: set[str] = set()
        self._top = TOP_LOGPROBS
        self._limit = "max_tokens"  # what the server calls the length of an answer
        self._passing = (
            openai.APIConnectionError,  # time-outs included
            openai.InternalServerError,
            openai.RateLimitError,
            openai.ConflictError,
            openai.APIResponseValidationError,
            _UnusableError,
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retries + 1) | tenacity.stop_when_event_set(self._closed),
            sleep=tenacity.sleep_using_event(self._closed),
            wait=_wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            reraise=True,
        )

    @property
    def cost(self) -> Cost:
        """What was asked in this session."""
        return self._budget.cost

    @contextmanager
    def open(self) -> Iterator[None]:
        """Ask within this block; where it is left, requests that wait for another attempt give up."""
        self._closed.clear()
        try:
            yield
        finally:
            self._closed.set()

    def ask(self, messages: Messages, *, temperature: float = 0.0, sample: int = 0, logprobs: bool = False) -> Reply:
        """Send a conversation and return the answer, from the cache if it is known.

        Parameters
        ----------
        messages : list of dict
        temperature : float, default 0
        sample : int, default 0
            Tells apart answers to the same question at a temperature above 0.
        logprobs : bool, default False
            Ask for token log-probabilities; a server that refuses them is not asked for them again.

        Raises
        ------
        BudgetSpentError
            Nothing was sent.
        NoAnswerError
            No usable answer after all attempts.
        InputError
            The server cannot be reached, or refuses such requests: wrong key, no money left, unknown model.
        """
        question = {
            "model": self.model,
            "messages": messages,
            "temperature": temperature,
            "sample": sample,
            "logprobs": logprobs,
            "max_answer_tokens": self._max_answer_tokens,
        }
        known = self._cache.get(question)
        if known is not None:
            self._budget.known()
            return Reply(known["text"], [(text, [tuple(pair) for pair in near]) for text, near in known["tokens"]])
        reply = self._ask(messages, temperature, logprobs)
        self._cache.put(question, asdict(reply))
        return reply

    def _ask(self, messages: Messages, temperature: float, logprobs: bool) -> Reply:
        import openai

        wanted: dict[str, Any] = {"temperature": temperature}
        if logprobs:
            wanted["logprobs"] = True
        while True:
            options = {name: value for name, value in wanted.items() if name not in self._dropped}
            if "logprobs" in options:
                options["top_logprobs"] = self._top
            if self._max_answer_tokens is not None:
                options[self._limit] = self._max_answer_tokens
            try:
                reply: Reply = self._retrying(self._attempt, messages, options)
                return reply
            except self._passing as error:
                self._give_up(error)
            except openai.APIStatusError as error:
                if not self._adapt(str(error), options):
                    self._refused(error)

    def _adapt(self, refusal: str, options: dict[str, Any]) -> bool:
        """Leave out, rename or reduce what the server says it does not take; False if that is not what it says."""
        renamed = "max_tokens" in options and "max_completion_tokens" in refusal
        reduced = "top_logprobs" in refusal and options.get("top_logprobs", 0) > FEWER_LOGPROBS
        refused = set() if reduced else {name for name in _DISPENSABLE if name in options and name in refusal}
        with self._lock:
            self._dropped |= refused
            self._top = FEWER_LOGPROBS if reduced else self._top
            self._limit = "max_completion_tokens" if renamed else self._limit
        return bool(refused) or reduced or renamed

    def _refused(self, error: openai.APIStatusError) -> NoReturn:
        if error.status_code in (400, 413, 422) and _OF_THIS_TEXT.search(str(error)):
            raise NoAnswerError(self._reason(error)) from error
        raise InputError(f"the server refuses the request ({error.status_code}): {self._reason(error)}") from error

    def _give_up(self, error: Exception) -> NoReturn:
        if _unreachable(error) and not self._closed.is_set():
            url = self._client.base_url
            where = f"{url.scheme}://{url.netloc.decode()}"  # without a password
            raise InputError(f"no server answers at {where}: {self._reason(error.__cause__ or error)}") from error
        if _unpaid(error):
            raise InputError(f"the server wants to be paid first: {self._reason(error)}") from error
        raise NoAnswerError(self._reason(error)) from error

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another attempt may help; one at a server that never was there hardly does."""
        return isinstance(error, self._passing) and not _unpaid(error) and (self._heard or not _unreachable(error))

    def _attempt(self, messages: Messages, options: dict[str, Any]) -> Reply:
        with self._budget.request(sum(len(message["content"]) for message in messages)) as paid:
            try:
                create: Any = self._client.chat.completions.create
                response = create(model=self.model, messages=messages, **options)
            except ValueError as error:  # the body is no JSON
                raise _UnusableError(f"a malformed answer: {error}") from error
            except Exception as error:
                self._heard |= not _unreachable(error)
                raise
            self._heard = True
            usage = getattr(response, "usage", None)
            if usage is not None:
                paid(*(getattr(usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens")))
        return _reply(response)

    def _reason(self, error: BaseException) -> str:
        """What an error says, in one line, without the key, which some servers repeat."""
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return (said.replace(self._key, "***") if self._key else said)[:300]


class _UnusableError(Exception):
    """The server said that all is well, and sent nothing of use."""


def _key() -> str | None:
    """Return the key of the environment, without the line's end that a file it was read from may have left."""
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(f"{name} has characters that no API key has; set it again")
        if key:
            return key
    return None


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise InputError("the server's address has to be like http://127.0.0.1:8000/v1 (--base-url, OPENAI_BASE_URL)")


def _reply(response: Any) -> Reply:
    try:
        choice = response.choices[0]
        text = choice.message.content
        if not text and _silent_on_purpose(choice):
            return Reply("")
        places = (choice.logprobs.content if choice.logprobs else None) or []
        tokens = [(place.token, [(near.token, float(near.logprob)) for near in place.top_logprobs]) for place in places]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise _UnusableError("an answer without a message") from error
    if not isinstance(text, str) or not text.strip():
        raise _UnusableError("an empty answer")
    return Reply(text, tokens)


def _silent_on_purpose(choice: Any) -> bool:
    """Whether it thought without coming to an answer, had to stop, or declined: it would again."""
    kept_back = any(getattr(choice.message, name, None) for name in ("reasoning_content", "reasoning", "refusal"))
    return kept_back or choice.finish_reason in ("length", "content_filter")


def _unreachable(error: BaseException) -> bool:
    """Whether no connection came about; one that is cut or too slow is another thing."""
    # By name, since the openai client has changed its HTTP library.
    return type(error.__cause__).__name__ in ("ConnectError", "UnsupportedProtocol")


def _unpaid(error: BaseException) -> bool:
    """Whether the account is empty, which some servers call a rate limit."""
    return getattr(error, "code", None) == "insufficient_quota"


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what the server asks for, else growing and random."""
    import tenacity

    error = state.outcome.exception() if state.outcome else None
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = _seconds(headers.get("retry-after"))
    if asked is not None:
        return min(asked, _LONGEST_ASKED)
    return float(tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)(state))


def _seconds(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date."""
    if not value:
        return None
    import email.utils
    import time

    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
