"""How long an answer in a form may get, so that none goes on without end."""

from __future__ import annotations

from silr.annotators.api.answer_form import AnswerForm
from silr.annotators.api.replies import Reply
from silr.annotators.missing import Missing

_LEAST, _TIMES = 1000, 8  # tokens; and of the longest answer so far


class AnswerLength:
    """Learns from the answers how long the next may get. Threads may share it.

    A model that is held to an object cannot stop before it is whole. A small one may repeat itself in its reason until
    its context is full. Tokens of hidden thoughts count, so a model that thinks is given the room that its thoughts
    have taken.
    """

    def __init__(self) -> None:
        self._longest = 0

    def note(self, reply: Reply) -> None:
        """Learn from an answer."""
        if reply.missing is not Missing.CUT_OFF:
            self._longest = max(self._longest, reply.completion_tokens)

    def limit(self, form: AnswerForm | None) -> int | None:
        """The most tokens of an answer in a form that has a reason; None of others."""
        return None if form is None or "reason" not in form.said else max(_LEAST, _TIMES * self._longest)
