"""An embeddings server of the tests' own: like texts have like vectors, and it misbehaves on demand."""

from __future__ import annotations

import base64
import json
import random
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from http_server import JsonHandler, serving

FAULTS = ("429", "500", "cut", "malformed", "few", "nan", "ragged", "index", "empty", "error in 200")
MOST_FAULTS = 3  # of a request


@dataclass
class Record:
    """What the server was asked and did."""

    requests: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # by text, whole answers only
    keys: set[str] = field(default_factory=set)
    most_running: int = 0


class RefusalError(Exception):
    """What `check` raises to have a request refused: a status, and a message or a body."""


Check = Callable[[dict[str, Any]], object]


@cache
def _direction(word: str, width: int) -> NDArray[np.float64]:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=width)


def vector_of(text: str, width: int) -> NDArray[np.float32]:
    """The embedding of a text: the sum of those of its words, of length 1."""
    total = sum((_direction(word, width) for word in text.split()), np.zeros(width))
    return (total / max(1e-9, np.linalg.norm(total))).astype(np.float32)


@contextmanager
def embeddings_server(
    check: Check = lambda body: None, *, width: int = 16, fault_share: float = 0.0, says_usage: bool = True
) -> Iterator[tuple[str, Record]]:
    """Serve ``/v1/embeddings`` on a free port, and chats that say "positive" where a text has "good" in it.

    Parameters
    ----------
    check : callable
        Looks at a request's body, waits, or raises a `RefusalError`.
    width : int, default 16
        Unless ``dimensions`` ask for another one.
    fault_share : float, default 0
        Share of the requests that get no good answer, in one of the ways of `FAULTS`.
    says_usage : bool, default True

    Yields
    ------
    base_url, record
    """
    record, lock, rng, failed = Record(), threading.Lock(), random.Random(0), Counter[str]()
    running = 0

    class Handler(JsonHandler):
        within = 0  # 1 while this thread's request is unanswered

        def do_POST(self) -> None:
            nonlocal running
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                record.keys.add(self.headers["authorization"])
            if self.path.endswith("/chat/completions"):
                self.chat(body)
                return
            key = json.dumps(body["input"])
            with lock:
                record.requests += 1
                record.bodies.append(body)
                self.within = 1
                running += 1
                record.most_running = max(record.most_running, running)
                fault = ""
                if rng.random() < fault_share and failed[key] < MOST_FAULTS:
                    fault = FAULTS[record.faults.total() % len(FAULTS)]
                    failed[key] += 1
                    record.faults[fault] += 1
            try:
                check(body)
                self.respond(body, fault)
            except RefusalError as refused:
                status, said = refused.args
                self.send(status, said if isinstance(said, dict) else {"error": {"message": said}})
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client waits no longer
            finally:
                self.leave()

        def leave(self) -> None:
            """Count the request as answered, before its answer goes out: the client may be faster than this thread."""
            nonlocal running
            with lock:
                running -= self.within
                self.within = 0

        def send(self, *what: Any, **options: Any) -> None:
            self.leave()
            super().send(*what, **options)

        def respond(self, body: dict[str, Any], fault: str) -> None:
            answer = self.answer(body)
            data = answer["data"]
            if fault == "429":
                self.send(429, {"error": {"message": "slow down"}}, {"retry-after": "0.05"})
            elif fault == "500":
                self.send(500, {"error": {"message": "it broke"}})
            elif fault == "cut":
                self.send(200, answer, missing=100)
                self.close_connection = True
            elif fault == "malformed":
                self.send(200, json.dumps(answer).encode()[:50])
            elif fault == "few":
                self.send(200, {**answer, "data": data[1:]})
            elif fault == "nan":
                self.send(200, {**answer, "data": [*data[:-1], {**data[-1], "embedding": [float("nan")] * width}]})
            elif fault == "ragged":
                rest = [{**data[0], "embedding": [1.0, 2.0] * width}] if len(data) > 1 else []
                self.send(200, {**answer, "data": [*rest, *data[1:]]})
            elif fault == "index":
                self.send(200, {**answer, "data": [{**each, "index": each["index"] + 1} for each in data]})
            elif fault == "empty":
                self.send(200, {**answer, "data": []})
            elif fault == "error in 200":
                self.send(200, {"error": {"message": "overloaded, try again"}})
            else:
                with lock:
                    record.answered.update(body["input"])
                self.send(200, answer)

        def answer(self, body: dict[str, Any]) -> dict[str, Any]:
            vectors = [vector_of(text, body.get("dimensions") or width) for text in body["input"]]
            in_base64 = body.get("encoding_format") == "base64"
            data = [
                {
                    "object": "embedding",
                    "index": at,
                    "embedding": base64.b64encode(row.tobytes()).decode() if in_base64 else row.tolist(),
                }
                for at, row in enumerate(vectors)
            ]
            rng.shuffle(data)
            tokens = sum(len(text.split()) for text in body["input"])
            usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if says_usage else {}
            return {"object": "list", "model": body["model"], "data": data, **usage}

        def chat(self, body: dict[str, Any]) -> None:
            text = body["messages"][0]["content"].rpartition("<text>")[2]
            message = {"role": "assistant", "content": "positive" if "good" in text else "negative"}
            usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
            self.send(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})

    with serving(Handler) as address:
        yield f"{address}/v1", record
