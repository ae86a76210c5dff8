"""What is asked of a server: a question about a text, and what the user wants of every request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from silr.annotators.api.answer_form import AnswerForm

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class RequestOptions:
    """What the user wants of every request; None leaves it to the server."""

    max_answer_tokens: int | None = None

    def identity(self) -> dict[str, object]:
        """What may change an answer, as a part of the cache's key; what is not set is left out, but for old keys."""
        return {"max_answer_tokens": self.max_answer_tokens}


@dataclass(frozen=True)
class Question:
    """A conversation that the model goes on with.

    `sample` tells apart answers to the same question at a `temperature` above 0. With `logprobs` the log-probabilities
    of the answer's tokens are wanted, with a `form` the server shall hold the model to it.
    """

    messages: Messages
    temperature: float = 0.0
    sample: int = 0
    logprobs: bool = False
    form: AnswerForm | None = None

    def key(self, server: str, model: str, options: RequestOptions) -> dict[str, object]:
        """The key of the answer in the cache."""
        about: dict[str, object] = {"server": server, "model": model, "messages": self.messages}
        about |= {"temperature": self.temperature, "sample": self.sample, "logprobs": self.logprobs}
        if self.form is not None:
            about["form"] = self.form.identity()
        return about | options.identity()
