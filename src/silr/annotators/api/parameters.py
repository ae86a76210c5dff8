"""Parameters of a request that a server takes: those that it refuses are left out, renamed or lowered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from silr.annotators.api.answer_form import FIELDS as FORM_FIELDS
from silr.annotators.api.answer_form import AnswerForm, is_about_form
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.request import Question, RequestOptions

_LENGTHS = ("max_tokens", "max_completion_tokens")
_LIKE_LENGTHS = re.compile(r"max.*tokens|n(um)?_(ctx|predict)|tokens_limit")
_OF_THINKING = ("reasoning_effort", "reasoning", "think", "thinking", "thinking_budget", "chat_template_kwargs")
_THINKING = re.compile(r"\b(thinking|reasoning)\b", re.IGNORECASE)
TOP_LOGPROBS, FEWER_LOGPROBS = 20, 5  # likeliest tokens at a place; some servers give no more than 5
_NEVER = (Kind.TOO_LONG, Kind.PROXY, Kind.PAGE, Kind.UNPAID, Kind.KEY, Kind.DAILY)


@dataclass(frozen=True)
class Parameters:
    """What is sent beside the messages."""

    dropped: frozenset[str] = frozenset()  # left out
    top: int = TOP_LOGPROBS  # likeliest tokens at a place
    limit: str = "max_tokens"  # what the server calls the length of an answer
    asked: frozenset[str] = frozenset()  # what the user wants, which is never left out

    def of(self, question: Question, options: RequestOptions) -> dict[str, object]:
        """Return them as a request has them."""
        wanted: dict[str, object] = {"temperature": question.temperature}
        if question.logprobs:
            wanted |= {"logprobs": True, "top_logprobs": self.top}
        wanted |= {} if question.form is None else question.form.body()
        length = question.limit if options.max_answer_tokens is None else options.max_answer_tokens
        if length is not None:
            wanted[self.limit] = length
        body, asked = {name: value for name, value in wanted.items() if name not in self.dropped}, options.body()
        if not asked.keys().isdisjoint(_LENGTHS):
            body = {name: value for name, value in body.items() if name not in _LENGTHS}
        if not asked.get("logprobs", True):
            body.pop("top_logprobs", None)
        return body | asked

    def without(self, *names: str) -> Parameters:
        """Return them without some; log-probabilities go all or none."""
        more = {"logprobs", "top_logprobs"} if {"logprobs", "top_logprobs"} & set(names) else set()
        return replace(self, dropped=self.dropped | ((set(names) | more) - self.asked))

    def adapted(self, refusal: Refusal, options: Mapping[str, object]) -> Parameters | None:
        """Return parameters that the refusal does not name; None if it names none of those that were sent."""
        if refusal.page or refusal.kind in _NEVER:
            return None
        words = refusal.everything
        named = [name for name in options if name not in self.asked and _names(words, name)]
        if "max_tokens" in options.keys() - self.asked and ("max_completion_tokens" in words or "max_tokens" in named):
            return replace(self, limit="max_completion_tokens")
        if "top_logprobs" in named and self.top > FEWER_LOGPROBS:
            return replace(self, top=_fewer(words, self.top))
        if form := [name for name in FORM_FIELDS if name in options.keys() - self.asked]:
            if named_form := [name for name in form if name in named]:
                return self.without(*named_form)
            if is_about_form(words):
                return self.without(*form)
        return self.without(*named) if named else None

    def trials(self, options: Mapping[str, object]) -> Iterator[Parameters]:
        """Yield what to try where a refusal does not say what is wrong: without this, without that, without any."""
        form = [name for name in FORM_FIELDS if name in options.keys() - self.asked]
        if form:
            yield self.without(*form)
        names = [name for name in ("logprobs", "temperature") if name in options.keys() - self.asked]
        for name in names:
            yield self.without(*form, name)
        if len(names) > 1:
            yield self.without(*form, *names)
        if self.limit in options.keys() - self.asked:
            yield self.without(*form, *names, self.limit)

    def without_form(self, options: Mapping[str, object]) -> Parameters | None:
        """Return them without the form of the answers; None if that is not sent."""
        form = [name for name in FORM_FIELDS if name in options.keys() - self.asked]
        return self.without(*form) if form else None

    def after(self, form: AnswerForm | None, before: Parameters, taken: set[str]) -> Parameters:
        """Return what to go on with after an answer: a form that was `taken` before is not given up for one text."""
        if form is not None and form.name in taken:
            return replace(self, dropped=self.dropped - set(FORM_FIELDS) | before.dropped & set(FORM_FIELDS))
        if form is not None and self.take(form):
            taken.add(form.name)
        return self

    def take(self, form: AnswerForm) -> bool:
        """Whether something of the form is sent, and nothing that the user wants in its place."""
        return not self.dropped.issuperset(form.body()) and self.asked.isdisjoint(FORM_FIELDS)

    def refused(self, refusal: Refusal, options: Mapping[str, object]) -> list[str]:
        """Return what the user wants and the refusal is about, as it seems."""
        kind = refusal.kind
        if refusal.page or (kind in _NEVER and kind is not Kind.TOO_LONG):
            return []
        asked = [name for name in options if name in self.asked]
        names = [name for name in asked if _concerns(refusal, name)]
        names = names or [name for name in asked if any(_concerns(refusal, each) for each in _inside(options[name]))]
        names = names or [name for name in asked if _quotes(refusal, options[name])]
        about_thinking = refusal.kind is Kind.UNCLEAR and bool(_THINKING.search(refusal.words))
        return names or [name for name in asked if about_thinking and name in _OF_THINKING]

    def concerned(self, refusal: Refusal, options: Mapping[str, object]) -> bool:
        """Whether a refusal names something that was sent."""
        return bool(self.adapted(refusal, options) or self.refused(refusal, options))

    def left_out(self, since: Parameters) -> list[str]:
        """Return the names of what has been left out since."""
        new = self.dropped - since.dropped - set(FORM_FIELDS)  # the form of the answers is said by its name
        return sorted(new - {"top_logprobs"} if "logprobs" in new else new)


def _fewer(words: str, top: int) -> int:
    """Return how many likeliest tokens a refusal allows, else what most servers do."""
    numbers = map(int, re.findall(r"(?<![\w.])\d{1,2}(?![\w.]*\w)", words))
    return max((number for number in numbers if FEWER_LOGPROBS < number < top), default=FEWER_LOGPROBS)


def _names(words: str, name: str) -> bool:
    return bool(re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_])", words))


def _concerns(refusal: Refusal, name: str) -> bool:
    """Whether a refusal is about an entry of the body. A name of one word may stand in one about a text, too."""
    if not _names(refusal.everything, name):
        return False
    if refusal.kind is Kind.TOO_LONG:
        return "_" in name and not _LIKE_LENGTHS.search(name)
    return refusal.kind in (Kind.UNCLEAR, Kind.PASSING) or "_" in name


def _quotes(refusal: Refusal, value: object) -> bool:
    """Whether a refusal quotes a word that was sent, as in "'minimal' is not supported with this model"."""
    marked = isinstance(value, str) and re.search(rf"""(['"`]){re.escape(value)}\1""", refusal.words)
    return bool(marked) and refusal.kind in (Kind.UNCLEAR, Kind.PASSING)


def _inside(value: object) -> Iterator[str]:
    """Yield the names within an entry that are no everyday words."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if "_" in name:
                yield name
            yield from _inside(inner)
