"""A chat server of the tests' own: it answers by rule, keeps a record of all that it did, and fails on demand."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from http_server import JsonHandler, serving

FAULTS = ("429", "500", "slow", "cut", "empty", "malformed")
SLOW_SECONDS = 1.5
MOST_FAULTS_A_QUESTION = 4
PROMPT_TOKENS, COMPLETION_TOKENS = 17, 3


@dataclass
class Record:
    """What the server was asked and did."""

    requests: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # by text, whole answers only
    tokens: int = 0
    keys: set[str] = field(default_factory=set)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # path with query, headers in lower case
    running: int = 0
    most_running: int = 0


class RefusalError(Exception):
    """What the rule of the answers raises to have a request refused: a status, and a message."""


class SentError(Exception):
    """What the rule of the answers raises to have something else sent: a status, a body, and headers if any."""


def text_of(body: dict[str, Any]) -> str:
    """The text that a request is about."""
    found = re.search(r"<text>\n(.*)\n</text>", body["messages"][0]["content"], re.DOTALL)
    assert found, body
    return found[1]


def by_word(body: dict[str, Any]) -> str:
    """An answer that is right about texts with "good" in them or not."""
    return "positive" if "good" in text_of(body) else "negative"


@contextmanager
def chat_server(
    answer: Callable[[dict[str, Any]], str | dict[str, Any]],
    fault_share: float = 0.0,
    faults: tuple[str, ...] = FAULTS,
    refuse: tuple[str, ...] = (),
    refusal: str = "Unexpected field",
    gate: Callable[[str, dict[str, str], dict[str, Any]], None] | None = None,
) -> Iterator[tuple[str, Record]]:
    """Serve on a free port.

    Parameters
    ----------
    answer : callable
        From a request's body to the text of the answer, or to a whole choice; or it raises `RefusalError`.
    fault_share : float, default 0
        Share of the requests that get no good answer, and in which ways.
    refuse : tuple of str
        Fields that get a 422.
    refusal : str
        What is said then, before the field's name.
    gate : callable, default None
        Called first, with the path and its query, the headers in lower case and the body; it may raise, too.

    Yields
    ------
    base_url, record
    """
    record, lock, rng, failed = Record(), threading.Lock(), random.Random(0), Counter[str]()

    class Handler(JsonHandler):
        within = 0  # 1 while this thread's request is unanswered

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            question = json.dumps(body, sort_keys=True)
            with lock:
                record.requests += 1
                self.within = 1
                record.running += 1
                record.most_running = max(record.most_running, record.running)
                record.bodies.append(body)
                record.keys.add(self.headers["authorization"])
                record.calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                fault = rng.choice(faults) if rng.random() < fault_share else ""
                if failed[question] >= MOST_FAULTS_A_QUESTION:
                    fault = ""
                if fault:
                    failed[question] += 1
                    record.faults[fault] += 1
            try:
                self.respond(body, fault)
            except RefusalError as refused:
                self.send(refused.args[0], {"error": {"message": refused.args[1]}})
            except SentError as sent:
                status, value, *headers = sent.args
                data = value if isinstance(value, str) else json.dumps(value)
                self.send(status, data.encode(), headers[0] if headers else None)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client waits no longer
            finally:
                self.leave()

        def leave(self) -> None:
            """Count the request as answered, before its answer goes out: the client may be faster than this thread."""
            with lock:
                record.running -= self.within
                self.within = 0

        def send(self, *what: Any, **options: Any) -> None:
            self.leave()
            super().send(*what, **options)

        def respond(self, body: dict[str, Any], fault: str) -> None:
            if gate is not None:
                gate(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            refused = [name for name in refuse if name in body]
            if refused:
                self.send(422, {"error": {"message": f"{refusal}: {refused[0]}"}})
            elif fault == "429":
                self.send(429, {"error": {"message": "slow down"}}, {"retry-after": "0.2"})
            elif fault == "unpaid":
                self.send(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
            elif fault == "500":
                self.send(500, {"error": {"message": "it broke"}})
            elif fault == "503":
                self.send(503, {"error": {"message": "too busy"}})
            elif fault == "closed":
                self.close_connection = True
            elif fault == "error body":
                self.send(200, {"error": {"message": "it broke", "type": "server_error"}})
            elif fault == "no choices":
                self.send(200, {**self.completion(body), "choices": []})
            elif fault == "malformed":
                self.send(200, b'{"choices": [{"mess')
            elif fault == "cut":
                self.send(200, json.dumps(self.completion(body)).encode()[:40], missing=200)
                self.close_connection = True
            elif fault == "empty":
                with lock:
                    record.tokens += PROMPT_TOKENS + COMPLETION_TOKENS
                self.send(200, self.completion(body, ""))
            else:
                completion = self.completion(body)
                if fault == "slow":
                    time.sleep(SLOW_SECONDS)
                else:
                    with lock:
                        record.tokens += PROMPT_TOKENS + COMPLETION_TOKENS
                        record.answered[text_of(body)] += 1
                self.send(200, completion)

        def completion(self, body: dict[str, Any], text: str | None = None) -> dict[str, Any]:
            said = answer(body) if text is None else text
            choice = dict(said) if isinstance(said, dict) else {"message": {"role": "assistant", "content": said}}
            usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
            usage["total_tokens"] = PROMPT_TOKENS + COMPLETION_TOKENS
            whole = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "usage": usage}
            for name in {"usage", "model", "system_fingerprint", "provider"} & choice.keys():
                whole[name] = choice.pop(name)
            return {**whole, "choices": [{"index": 0, "finish_reason": "stop", **choice}]}

    with serving(Handler) as address:
        yield f"{address}/v1", record
