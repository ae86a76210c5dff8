"""What is asked of a server: a question about a text, and what the user wants of every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from silr.annotators.api.extra_body import check_body
from silr.annotators.api.headers import check_headers
from silr.annotators.base import HEADERS
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.answer_form import AnswerForm

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class RequestOptions:
    """What the user wants of every request; None leaves it to silr or the server.

    Parameters
    ----------
    max_answer_tokens : int, default None
        The longest answer.
    temperature : float, default None
        At least 0. None: 0, or 1 where a text is asked about several times.
    reasoning_effort : str, default None
        A word that the server knows, such as "none", "minimal" or "low".
    service_tier : str, default None
        A word that the server knows, such as "flex".
    extra_body : mapping, default None
        Further entries of the body. They win over those of silr.
    headers : mapping of str to str, default None
        Further headers. A value ``env:NAME`` is read from the environment. Values are never written or said.

    Raises
    ------
    InputError
        One of them cannot be sent.
    """

    max_answer_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    extra_body: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        length, temperature = self.max_answer_tokens, self.temperature
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
            raise InputError(f"--max-answer-tokens has to be a number from 1, not {length!r}")
        if temperature is not None:
            if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not 0 <= temperature < 1e9:
                raise InputError(f"--temperature has to be a number from 0, not {temperature!r}")
            object.__setattr__(self, "temperature", float(temperature))  # as the cache's key has it
        for name in ("reasoning_effort", "service_tier"):
            word = getattr(self, name)
            if word is not None and not (isinstance(word, str) and word.strip()):
                raise InputError(f"--{name.replace('_', '-')} has to be a word that the server knows, not {word!r}")
        if self.extra_body is not None:
            object.__setattr__(self, "extra_body", check_body(self.extra_body) or None)
        if self.headers is not None:
            object.__setattr__(self, "headers", check_headers(self.headers) or None)

    def temperature_for(self, samples: int) -> float:
        """The temperature of questions that are asked so many times; InputError if all answers would be the same."""
        if samples > 1 and self.temperature == 0:
            raise InputError("at --temperature 0 all answers are the same: leave it out, or --samples")
        usual = 1.0 if samples > 1 else 0.0
        return usual if self.temperature is None else self.temperature

    def body(self) -> dict[str, object]:
        """What the user adds to the body of every request."""
        named = {"reasoning_effort": self.reasoning_effort, "service_tier": self.service_tier}
        return {name: value for name, value in named.items() if value is not None} | dict(self.extra_body or {})

    def asked(self) -> dict[str, str]:
        """The options that the user gave, by names in the body; such entries are never left out."""
        options = {name: f"--extra-body ({name})" for name in self.extra_body or {}}
        for name in ("temperature", "reasoning_effort", "service_tier"):
            if getattr(self, name) is not None:
                options.setdefault(name, f"--{name.replace('_', '-')} {getattr(self, name)}")
        return options

    def identity(self) -> dict[str, object]:
        """What may change an answer, as a part of the cache's key; what is not set is left out, but for old keys.

        The temperature is the question's. The tier changes speed and price alone, and headers say who asks.
        """
        return {"max_answer_tokens": self.max_answer_tokens, **self._changing()}

    def describe(self) -> dict[str, object]:
        """What may change an answer and is set, for the record, and the names of the headers."""
        own: dict[str, object] = {} if self.temperature is None else {"temperature": self.temperature}
        own |= self._changing()
        return own | ({HEADERS: sorted(self.headers, key=str.lower)} if self.headers else {})

    def _changing(self) -> dict[str, object]:
        named: dict[str, object] = {"reasoning_effort": self.reasoning_effort, "extra_body": self.extra_body}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Question:
    """A conversation that the model goes on with.

    `sample` tells apart answers to the same question at a `temperature` above 0. With `logprobs` the log-probabilities
    of the answer's tokens are wanted, with a `form` the server shall hold the model to it. The answer may have `limit`
    tokens where the user set no limit; the key does not have it.
    """

    messages: Messages
    temperature: float = 0.0
    sample: int = 0
    logprobs: bool = False
    form: AnswerForm | None = None
    limit: int | None = None

    def key(self, server: str, model: str, options: RequestOptions) -> dict[str, object]:
        """The key of the answer in the cache."""
        about: dict[str, object] = {"server": server, "model": model, "messages": self.messages}
        about |= {"temperature": self.temperature, "sample": self.sample, "logprobs": self.logprobs}
        if self.form is not None:
            about["form"] = self.form.identity()
        return about | options.identity()
