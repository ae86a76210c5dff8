"""One HTTP request to a server, and what its response is: an answer, a refusal, or a failure that may pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from silr.annotators.api.addresses import path_hint, proxy_between, server_name
from silr.annotators.api.connection import Connection
from silr.annotators.api.keep_alive import KeepAlive, UnreachableError
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.refusals import Kind, Refusal, is_error, read_refusal
from silr.annotators.api.replies import NoReplyError, Reply, cached_prompt_tokens, parse_body, read_reply, usage
from silr.annotators.api.request import Messages
from silr.annotators.cost import Paid
from silr.annotators.missing import Missing
from silr.errors import InputError

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

LATER = "what was answered is kept, and the same command goes on from there"

_EXPLANATIONS = {
    Kind.UNPAID: f"the server wants to be paid first ({{status}}): {{words}}; {LATER}",
    Kind.KEY: "the server refuses the request ({status}): {words}; set {variable} or SILR_API_KEY to a key of {server}",
    Kind.MODEL: "the server refuses the request ({status}): {words}; --model has to be {naming}, not {model!r}",
    Kind.PATH: "{server} refuses the request ({status}): {words}; {hint}",
    Kind.PAGE: "{server} answers with a web page ({words!r}), not as an API; {hint}",
    Kind.PROXY: "{proxy} refuses the request ({status}): {words}; see HTTPS_PROXY and NO_PROXY",
}
_USUAL = {"variable": "OPENAI_API_KEY", "naming": "the server's name for it"}
_OF_AZURE = {
    "variable": "AZURE_OPENAI_API_KEY",
    "naming": "the name of the deployment",
    "hint": "Azure's address is https://NAME.openai.azure.com with --api-version, or ends in /openai/v1",
}
_REFUSAL = "the server refuses the request ({status}): {words}"


class NoAnswerError(Exception):
    """No usable answer to a text, however often it was asked.

    It may hit all texts (`hits_all`), by default where the server fails.
    """

    def __init__(self, missing: Missing, words: str, hits_all: bool | None = None) -> None:
        super().__init__(words)
        self.missing = missing
        self.hits_all = missing is Missing.SERVER if hits_all is None else hits_all


class TextTooLongError(NoAnswerError):
    """A text that the server does not take; `share` is how much of the prompt it would take, if it says so."""

    def __init__(self, words: str, share: float | None) -> None:
        super().__init__(Missing.TOO_LONG, words)
        self.share = share


class RefusedError(Exception):
    """The server refuses a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


@dataclass(eq=False)
class PassingError(Exception):
    """No answer this time, in the words of the server or the connection."""

    words: str
    wait: float | None = None  # seconds that the server asks for
    unreachable: bool = False  # no connection came about; one that is cut or too slow is another thing
    timeout: bool = False
    unusable: bool = False  # the server said that all is well, and sent nothing of use
    daily: bool = False  # the day's quota is used up
    refusal: Refusal | None = None  # the response, if there was one
    redirected_to: str = ""  # the address that could not be reached, if the server redirects there

    def __str__(self) -> str:
        return self.words


def explain_cut_prompt(prompt_tokens: int, characters: int) -> str:
    """Say what to do where the server seems to cut prompts."""
    return (
        f"the server counts far fewer tokens in a long prompt than it has ({prompt_tokens:,} in {characters:,} "
        "characters): it seems to cut prompts without a word. Raise its context length (Ollama: num_ctx or "
        "OLLAMA_CONTEXT_LENGTH; llama.cpp: --ctx-size; vLLM: --max-model-len). Texts that it cuts get no label"
    )


def explain_cut_off(max_answer_tokens: int | None) -> str:
    """Say what to do where answers end before they name a class."""
    limit = "the server's limit" if max_answer_tokens is None else f"the limit of {max_answer_tokens:,}"
    return (
        f"{limit} of answer tokens cuts answers off before they name a class, while the model still thinks; raise "
        "--max-answer-tokens, or let it think less (another model, or the server's option for less reasoning). "
        "The answers are kept"
    )


def characters(messages: Sequence[dict[str, str]]) -> int:
    """How long a conversation is."""
    return sum(len(message["content"]) for message in messages)


class Exchange:
    """What requests to a server have in common, whatever they ask for. Threads may share it.

    `url` is the address, `server` the same without credentials, and `proxy` what the environment puts between. `heard`
    tells whether the server was ever there, and `secrets` are never said.
    """

    def __init__(self, connection: Connection, model: str) -> None:
        self._client, self.model, self._is_azure = connection.client, model, connection.is_azure
        self.secrets, self.url = connection.secrets, str(connection.client.base_url)
        self.server, self.proxy = server_name(self.url), proxy_between(self.url)
        self.heard = False

    @property
    def client(self) -> openai.OpenAI:
        """What sends anything else to the server."""
        return self._client

    def abort(self) -> None:
        """Give up the requests that are under way."""

    def explain(self, refusal: Refusal, kind: Kind, words: str) -> str:
        """Say in one line what hits every request, and what mends it."""
        names = {"status": refusal.status, "server": self.server, "model": self.model, "proxy": self._named_proxy()}
        names |= _OF_AZURE if self._is_azure else {**_USUAL, "hint": path_hint(self.url)}
        return _EXPLANATIONS.get(kind, _REFUSAL).format(words=words, **names)

    def place(self, redirected_to: str = "") -> str:
        """Where no server answers, in words."""
        host = "/".join(self.server.split("/")[:3])
        if redirected_to:
            return f"{redirected_to}, where {host} redirects to"
        return f"{host} (through the proxy {self.proxy})" if self.proxy else host

    def _named_proxy(self) -> str:
        return f"the proxy {self.proxy or ''}".rstrip()

    def _read(
        self,
        response: Any,
        text: str,
        count: Callable[[object], None],
        read: Callable[[object], T],
        concerns: Callable[[Refusal], bool],
        patient: bool,
    ) -> T:
        """Return what `read` makes of a response's `text`, after `count` has seen it, whatever it is.

        A failure is a PassingError or a RefusedError. `concerns` tells whether a refusal is about a parameter. Where
        the server has answered before, be `patient`: a page for people may pass.
        """
        self.heard = True
        refusal = partial(read_refusal, response.status_code, response.headers, text, self.proxy)
        if response.status_code >= 300:
            raise _problem(refusal(), False, concerns, patient)
        try:
            value = parse_body(text)
            count(value)
            if is_error(value):
                raise _problem(refusal(), True, concerns, patient)
            return read(value)
        except NoReplyError as error:
            if refusal().page:
                raise _problem(refusal(), True, concerns, patient) from error
            raise PassingError(str(error), unusable=True) from error

    def _no_connection(self, error: Exception) -> NoReturn:
        """Say what stands in the way: a proxy, a wrong address, or something that may pass."""
        cause = error.__cause__ or error
        name, words = type(cause).__name__, str(cause) or str(error)
        if name == "ProxyError" and (not self.heard or any(code in words for code in ("401", "403", "405", "407"))):
            raise InputError(
                f"{self._named_proxy()} refuses the connection to {self.server}: {words} (see HTTPS_PROXY, NO_PROXY)"
            ) from error
        # By name, since the openai client has changed its HTTP library.
        unreachable = name in ("ConnectError", "UnsupportedProtocol")
        timeout = "Timeout" in name or "Timeout" in type(error).__name__
        redirected_to = self._other_address(cause)
        raise PassingError(words, unreachable=unreachable, timeout=timeout, redirected_to=redirected_to) from error

    def _other_address(self, cause: BaseException) -> str:
        """The address that a request failed at, if that is not the server's: it redirects."""
        try:
            url = str(cause.request.url)  # type: ignore[attr-defined]
        except (AttributeError, RuntimeError):
            return ""
        return server_name(url) if urlsplit(url).netloc != urlsplit(self.url).netloc.rpartition("@")[2] else ""


class ChatExchange(Exchange):
    """Sends messages and returns the model's reply."""

    def __init__(self, connection: Connection, model: str) -> None:
        super().__init__(connection, model)
        timeout = connection.client.timeout
        self._timeout = timeout if isinstance(timeout, (int, float)) else None
        self._keep_alive: KeepAlive | None = None

    def send(
        self,
        messages: Messages,
        options: Mapping[str, object],
        paid: Paid,
        parameters: Parameters,
        patient: bool,
    ) -> Reply:
        """Send one request, and call `paid` with its tokens.

        `parameters` tell whether a refusal is about one of them. Where the server has answered before, be `patient`: a
        page for people may pass. A failure is a PassingError or a RefusedError, or an InputError where a proxy lets
        nothing through.
        """
        response = self._post(messages, options)
        shown = "\n".join(message["content"] for message in messages)  # what the prompt holds is no secret
        text = self.secrets.hidden(response.text, but=shown)
        is_counted = False

        def count(value: object) -> None:
            nonlocal is_counted
            if any(counts := usage(value)):
                paid(*counts, cached_prompt_tokens(value))
                is_counted = True

        concerns = partial(parameters.concerned, options=options)
        reply = self._read(response, text, count, read_reply, concerns, patient)
        if not is_counted:
            paid(0, 0)
        return reply

    def abort(self) -> None:
        """Give up the requests that are under way."""
        if self._keep_alive is not None:
            self._keep_alive.abort()

    def _post(self, messages: Messages, options: Mapping[str, object]) -> Any:
        """Return the response to a request: status, headers and text. The first one comes by the openai client.

        Later ones go over connections that stay open, unless a proxy lies between or the server redirects.
        """
        import openai

        if (keep_alive := self._keep_alive) is not None and not keep_alive.closed:
            try:
                return keep_alive.post({"messages": messages, "model": self.model, **options})
            except UnreachableError:
                pass  # the openai client finds the words
            except (OSError, HTTPException) as error:
                self._no_connection(error)
        try:
            create: Any = self._client.chat.completions.with_raw_response.create
            response = create(model=self.model, messages=messages, extra_body=dict(options)).http_response
        except openai.APIStatusError as error:
            return error.response
        except openai.APIConnectionError as error:  # time-outs included
            self._no_connection(error)
        if self._keep_alive is None and self.proxy is None and not response.history:
            self._keep_alive = KeepAlive(response, self._timeout)
        return response


def _problem(refusal: Refusal, is_ok: bool, concerns: Callable[[Refusal], bool], patient: bool) -> Exception:
    """Return what a response that is no answer leads to."""
    kind = Kind.PASSING if refusal.kind is Kind.PAGE and patient else refusal.kind
    passing = kind is Kind.PASSING and not (refusal.status == 500 and concerns(refusal))
    if not passing and kind is not Kind.DAILY:
        return RefusedError(refusal)
    words = f"an answer that is none: {refusal.words!r}" if is_ok else f"{refusal.status}: {refusal.words}"
    return PassingError(words, wait=refusal.wait, unusable=is_ok, daily=kind is Kind.DAILY, refusal=refusal)
