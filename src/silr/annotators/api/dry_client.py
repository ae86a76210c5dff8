"""A client that sends nothing: it answers from the cache, and keeps count of what it would have asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from urllib.parse import quote

from silr.annotators.api.annotator import STRICTER
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.client import ChatClient
from silr.annotators.api.replies import Reply
from silr.annotators.api.request import Question

CRITIQUE_TOKENS = 80  # of a critique that nobody has written yet
_CRITIQUE = "the text says so " * (CRITIQUE_TOKENS // 4)


class ReadOnlyCache(AnswerCache):
    """The answers that were paid for, opened so that nothing is written; without a file there are none."""

    def _connect(self) -> sqlite3.Connection:
        address = ":memory:"
        if self.path.is_file():  # a log of a process that writes just now is read, and else none is made
            logged = self.path.with_name(f"{self.path.name}-wal").exists()
            address = f"file:{quote(str(self.path.absolute()))}?mode=ro{'' if logged else '&immutable=1'}"
        connection = sqlite3.connect(address, uri=True, timeout=60, check_same_thread=False)
        if "answers" not in [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]:
            connection.close()
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        return connection


class DryClient(ChatClient):
    """Answers from the cache, and else with `word`, as if the server had; nothing is sent.

    Attributes
    ----------
    asked : list of Question
        What would have been sent.
    first : Question or None
        The first question of all, known or not.
    known_tokens : list of int
        Tokens of the known answers, where the server counted them.
    """

    word = ""
    first: Question | None = None
    asks = False

    def ask(self, question: Question, answers: Callable[[Reply], Question] | None = None) -> Reply:
        """Return the answer from the cache, or keep the question and make one up."""
        with self._lock:
            self.first = self.first or question
        known = self._cache.get(self._key(question))
        if known is not None:
            reply = Reply.from_json(known)
            if reply.completion_tokens:
                self.known_tokens.append(reply.completion_tokens)
            return reply
        self.asked.append(question)
        return Reply(_CRITIQUE if is_critique(question) else self.word)

    def say(self, line: str) -> None:
        """Nothing was answered, so nothing is to be said of answers."""

    def parameters_of(self, question: Question) -> dict[str, object]:
        """What is sent beside the messages of a question."""
        return {"model": self.model, **self.sent(question)}

    def count_critiques(self) -> int:
        """How many of the questions ask for a critique."""
        return sum(map(is_critique, self.asked))

    def begin(self, word: str) -> None:
        """Count from here on; an answer that nobody gave is `word`."""
        self.word = word
        self.asked: list[Question] = []
        self.first = None
        self.known_tokens: list[int] = []


def is_critique(question: Question) -> bool:
    """Whether a question asks for the critique of an answer, see `silr.annotators.self_refine`."""
    is_third = len(question.messages) == 3 and not question.logprobs and not question.sample
    return is_third and not question.messages[-1]["content"].startswith(STRICTER.partition("{")[0])
