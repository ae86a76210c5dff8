"""The form of answers: free, or one that the server holds the model to; the first text finds out which."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from silr.annotators.answers.read import without_thoughts
from silr.annotators.api.replies import Reply
from silr.annotators.missing import Missing
from silr.errors import InputError

Mode = Literal["auto", "structured", "free"]
"""Which answers are wanted: what loses nothing, only enumerated ones, or free ones."""

MODES: tuple[Mode, ...] = ("auto", "structured", "free")
FREE = "free"
Ask = Callable[["AnswerForm | None"], Reply]
Scored = Callable[[Reply, "AnswerForm | None"], bool]
FIELDS = ("response_format", "structured_outputs", "guided_choice", "guided_json")  # of a request
_SCHEMAS = {"confidence": {"type": "integer"}, "reason": {"type": "string"}}  # no bounds: some servers refuse them
_POINTER = re.compile(
    r"response[ _-]?(format|schema)|json[ _-]?(schema|mode|object|output|format)|guided[ _-]?(decod|choice|json)"
    r"|structured[ _-]?(output|response|generation|decod)|additional_?properties|\bgrammar|\bschema\b"
    r"|requested parameters|word '?\"?json",
    re.IGNORECASE,
)
_TORN = re.compile(r'\s*(?:```(?:json)?\s*)?\{\s*"label"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,[^{}]*\Z')  # without an end


def is_about_form(words: str) -> bool:
    """Whether a refusal is about the form that was asked for, as it seems by its words."""
    return _POINTER.search(words) is not None


@dataclass(frozen=True)
class AnswerForm:
    """A form that a server holds the model to.

    ``json schema`` is the `response_format` of OpenAI and most others: an object whose `label` is one of the words.
    ``guided choice`` is vLLM's own way, under its names of before and after version 0.12: one of the words, and an
    object where there is more to be said. `said` are further fields, "confidence" and "reason". The label comes first,
    so that nothing else changes it.
    """

    name: Literal["json schema", "guided choice"]
    words: tuple[str, ...]
    said: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, object]:
        """The JSON schema of an answer; strict ones name every field as required."""
        properties: dict[str, object] = {"label": {"type": "string", "enum": list(self.words)}}
        properties |= {name: _SCHEMAS[name] for name in self.said}
        required = list(properties)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def body(self) -> dict[str, object]:
        """What a request has beside its messages."""
        if self.name == "json schema":
            answer = {"name": "answer", "strict": True, "schema": self.schema}
            return {"response_format": {"type": "json_schema", "json_schema": answer}}
        if self.said:
            return {"structured_outputs": {"json": self.schema}, "guided_json": self.schema}
        return {"structured_outputs": {"choice": list(self.words)}, "guided_choice": list(self.words)}

    def identity(self) -> dict[str, object]:
        """What tells the form from others in the cache's key."""
        return {"name": self.name, "words": list(self.words), "said": list(self.said)}

    def fits(self, answer: str) -> bool:
        """Whether an answer has the form; a thought before it does not count."""
        content = without_thoughts(answer).strip()
        if self.name == "guided choice" and not self.said:
            return content in self.words
        return label_in_json(content, self.words) is not None


def label_in_json(answer: str, words: Sequence[str]) -> tuple[int, int] | None:
    """Which word is the `label` of an answer that is one object of JSON, and where it begins; None if none is.

    The object may be cut off after the label, if that comes first.
    """
    start = answer.find("{")
    if torn := _TORN.match(answer):
        for word in words:
            if torn[1] == json.dumps(word, ensure_ascii=False)[1:-1]:
                return words.index(word), torn.start(1)
    with suppress(ValueError, AttributeError, RecursionError):
        value = json.loads(answer[start:].strip().removesuffix("```"))
        label = value.get("label")
        for place in re.finditer(r'(?<!\\)"label"\s*:\s*"', answer):
            if label in words and answer.startswith(json.dumps(label, ensure_ascii=False)[1:], place.end()):
                return words.index(label), place.end()
    return None


class Client(Protocol):
    """What asks: a `silr.annotators.api.client.ChatClient`."""

    def say(self, line: str) -> None:
        """Tell the user."""

    def takes(self, form: AnswerForm) -> bool:
        """Whether no request was refused for the form."""


class AnswerForms:
    """Which form the answers of one annotation have. Threads may share it.

    The first text is asked about in a form that the server may know. If the answer has the form, it is asked about
    freely, too, unless only structured answers are wanted: the form is taken where no log-probabilities and no thought
    are lost by it. The answers in the form that is taken are those of the text. A server that refuses the form, or
    answers as if it had not read it, is asked freely.

    Parameters
    ----------
    client : ChatClient
    mode : {"auto", "structured", "free"}
    words : sequence of str, of length K
        The answers.
    said : sequence of {"confidence", "reason"}
        What is asked for beside the label.
    scored : callable
        Whether a reply to a question in this form (None: free) gives scores of the classes.

    Attributes
    ----------
    form : AnswerForm or None
        The one that is taken, None while it is not known or where answers are free.
    """

    def __init__(self, client: Client, mode: Mode, words: Sequence[str], said: Sequence[str], scored: Scored) -> None:
        if mode not in MODES:
            raise InputError(f"--answer is one of {', '.join(MODES)}, not {mode!r}")
        self._client, self._mode, self._scored = client, mode, scored
        self._candidates = [AnswerForm(name, tuple(words), tuple(said)) for name in ("json schema", "guided choice")]
        self._lock = threading.Lock()
        self.form: AnswerForm | None = None
        self._decided = mode == "free"
        self._end: InputError | None = None

    @property
    def name(self) -> str | None:
        """The name of the form, "free" of none; None while it is not known."""
        return None if not self._decided else FREE if self.form is None else self.form.name

    def take(self, name: str | None) -> None:
        """Go on in a form whose name is known from before."""
        if name is not None and not self._decided:
            self.form = next((form for form in self._candidates if form.name == name), None)
            self._decided = True

    def look_up(self, known: Callable[[AnswerForm | None], int]) -> None:
        """Go on in the form in which most answers are known already, that nothing is paid for twice."""
        if self._decided:
            return
        forms = [*([None] if self._mode == "auto" else []), *self._candidates]
        counts = [known(form) for form in forms]
        if any(counts):
            form = forms[counts.index(max(counts))]
            self.take(FREE if form is None else form.name)

    def settle(self) -> None:
        """Decide where nobody can be asked: free, unless only structured answers are wanted."""
        if not self._decided:
            self.take(FREE if self._mode == "auto" else self._candidates[0].name)

    def has(self, form: AnswerForm, reply: Reply) -> bool:
        """Whether a reply has the form that was asked for, and the server did not refuse it."""
        return self._client.takes(form) and form.fits(reply.text)

    def ask(self, ask: Ask) -> Reply:
        """Ask in the form that is taken; who comes first finds out which, and the others wait for it."""
        if not self._decided:
            with self._lock:
                if self._end is not None:
                    raise self._end
                if not self._decided:
                    return self._find_out(ask)
        return ask(self.form)

    def _find_out(self, ask: Ask) -> Reply:
        free: Reply | None = None
        for form in self._candidates:
            if self._mode == "auto" and free is not None and form.fits(free.text):
                break  # it would not show whether the server reads it
            reply = ask(form)
            if reply.missing in (Missing.REFUSED, Missing.FILTERED) or (reply.missing and not reply.text.strip()):
                return reply  # another text will tell
            if self.has(form, reply):
                return self._compared(form, reply, free, ask)
            free = free or reply  # as the server would have answered without the form
            if self._client.takes(form) and self._mode == "auto":
                break  # it does not read what it does not know, and so not the other way either
        if self._mode == "structured":
            self._end = InputError(
                "the server takes no structured answers: it refuses or does not read response_format and vLLM's "
                "structured_outputs; leave --answer structured out"
            )
            raise self._end
        self._decided = True
        assert free is not None
        return free

    def _compared(self, form: AnswerForm, reply: Reply, free: Reply | None, ask: Ask) -> Reply:
        """Take the form, unless the free answer to the same text has more: log-probabilities or a thought."""
        if self._mode == "auto":
            free = free or ask(None)
            lost = "log-probabilities" if self._scored(free, None) and not self._scored(reply, form) else ""
            lost = lost or ("the model's thoughts" if _has_thought(free) and not _has_thought(reply) else "")
            if lost:
                line = f"answers are free: structured ones come without {lost} (--answer structured takes them)"
                self._client.say(line)
                self._decided = True
                return free
        self.form, self._decided = form, True
        return reply


def _has_thought(reply: Reply) -> bool:
    return reply.thought or without_thoughts(reply.text) != reply.text
