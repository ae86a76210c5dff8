"""Parameters of a request that a server takes: those that it refuses are left out, renamed or lowered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from silr.annotators.api.answer_form import FIELDS as FORM_FIELDS
from silr.annotators.api.answer_form import AnswerForm, is_about_form
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.request import Question, RequestOptions

TOP_LOGPROBS, FEWER_LOGPROBS = 20, 5  # likeliest tokens at a place; some servers give no more than 5
_NEVER = (Kind.TOO_LONG, Kind.PROXY, Kind.PAGE, Kind.UNPAID, Kind.KEY, Kind.DAILY)


@dataclass(frozen=True)
class Parameters:
    """What is sent beside the messages."""

    dropped: frozenset[str] = frozenset()  # left out
    top: int = TOP_LOGPROBS  # likeliest tokens at a place
    limit: str = "max_tokens"  # what the server calls the length of an answer

    def of(self, question: Question, options: RequestOptions) -> dict[str, object]:
        """Return them as a request has them."""
        wanted: dict[str, object] = {"temperature": question.temperature}
        if question.logprobs:
            wanted |= {"logprobs": True, "top_logprobs": self.top}
        wanted |= {} if question.form is None else question.form.body()
        if options.max_answer_tokens is not None:
            wanted[self.limit] = options.max_answer_tokens
        return {name: value for name, value in wanted.items() if name not in self.dropped}

    def without(self, *names: str) -> Parameters:
        """Return them without some; log-probabilities go all or none."""
        more = {"logprobs", "top_logprobs"} if {"logprobs", "top_logprobs"} & set(names) else set()
        return replace(self, dropped=self.dropped | set(names) | more)

    def adapted(self, refusal: Refusal, options: Mapping[str, object]) -> Parameters | None:
        """Return parameters that the refusal does not name; None if it names none of those that were sent."""
        if refusal.page or refusal.kind in _NEVER:
            return None
        words = refusal.everything
        named = [name for name in options if re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", words)]
        if "max_tokens" in options and ("max_completion_tokens" in words or "max_tokens" in named):
            return replace(self, limit="max_completion_tokens")
        if "top_logprobs" in named and self.top > FEWER_LOGPROBS:
            return replace(self, top=_fewer(words, self.top))
        if form := [name for name in FORM_FIELDS if name in options and (name in named or is_about_form(words))]:
            return self.without(*[name for name in form if name in named] or form)
        return self.without(*named) if named else None

    def trials(self, options: Mapping[str, object]) -> Iterator[Parameters]:
        """Yield what to try where a refusal does not say what is wrong: without this, without that, without any."""
        form = [name for name in FORM_FIELDS if name in options]
        if form:
            yield self.without(*form)
        names = [name for name in ("logprobs", "temperature") if name in options]
        for name in names:
            yield self.without(*form, name)
        if len(names) > 1:
            yield self.without(*form, *names)
        if self.limit in options:
            yield self.without(*form, *names, self.limit)

    def without_form(self, options: Mapping[str, object]) -> Parameters | None:
        """Return them without the form of the answers; None if that is not sent."""
        form = [name for name in FORM_FIELDS if name in options]
        return self.without(*form) if form else None

    def keeping_form(self, before: Parameters) -> Parameters:
        """Return them with the form of the answers as before."""
        form = frozenset(FORM_FIELDS)
        return replace(self, dropped=self.dropped - form | before.dropped & form)

    def take(self, form: AnswerForm) -> bool:
        """Whether something of the form is sent."""
        return not self.dropped.issuperset(form.body())

    def left_out(self, since: Parameters) -> list[str]:
        """Return the names of what has been left out since."""
        new = self.dropped - since.dropped
        return sorted(new - {"top_logprobs"} if "logprobs" in new else new)


def _fewer(words: str, top: int) -> int:
    """Return how many likeliest tokens a refusal allows, else what most servers do."""
    numbers = map(int, re.findall(r"(?<![\w.])\d{1,2}(?![\w.]*\w)", words))
    return max((number for number in numbers if FEWER_LOGPROBS < number < top), default=FEWER_LOGPROBS)
