"""A chat server of its own process for the benchmarks of the API annotator: quick, faulty on demand, and it counts.

It answers "positive" to a text with the word "good", else "negative", after some milliseconds. A share of the requests
gets one of `FAULTS` instead, one by one or in bursts. GET /record tells what was asked and answered so far.

    python benchmarks/api_server.py --milliseconds 50 --faults 0.4 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

PROMPT_TOKENS, COMPLETION_TOKENS = 60, 1
FAULTS = ("429", "429 with a wait", "503", "500", "error body", "no choices", "cut JSON", "cut body", "closed")
BURST = 1.0  # seconds of a burst of faults, on average
ERROR = {"error": {"message": "it broke", "type": "server_error"}}


class Record:
    """What was asked and answered."""

    def __init__(self, milliseconds: float, share: float, seed: int) -> None:
        self.seconds, self.share, self.random = milliseconds / 1000, share, random.Random(seed)
        self.requests, self.answered, self.faults = 0, Counter[str](), Counter[str]()
        self.burst, self.changes = False, 0.0

    def fault(self) -> str:
        """The kind of fault of the next request, or an empty text: one by one, and in bursts beside."""
        if not self.share:
            return ""
        if (now := time.monotonic()) > self.changes:  # all fails in a fifth of the time
            self.burst = self.changes > 0 and not self.burst
            self.changes = now + self.random.expovariate(1 / BURST) * (1 if self.burst else 4)
        failed = self.burst or self.random.random() < self.share
        return self.random.choice(FAULTS) if failed else ""

    def values(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        counts = {"answered": self.answered, "faults": self.faults}
        return {"requests": self.requests, "processor_seconds": time.process_time(), **counts}


class Connection(asyncio.Protocol):
    """One connection, which is kept alive."""

    def __init__(self, record: Record) -> None:
        self.record, self.received = record, b""
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        if len(body) < length:
            return
        self.received = body[length:]
        if head.startswith(b"GET"):
            self.send(200, self.record.values())
            return
        self.record.requests += 1
        if fault := self.record.fault():
            self.record.faults[fault] += 1
        self.loop.call_later(self.record.seconds, self.respond, body[:length], fault)

    def respond(self, body: bytes, fault: str) -> None:
        if self.transport.is_closing():
            return
        asked = json.loads(body)
        text = asked["messages"][0]["content"].rpartition("<text>\n")[2].removesuffix("\n</text>")
        message = {"role": "assistant", "content": "positive" if "good" in text else "negative"}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
        usage["total_tokens"] = PROMPT_TOKENS + COMPLETION_TOKENS
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": asked["model"]}
        answer |= {"choices": [choice], "usage": usage}
        if not fault:
            self.record.answered[text] += 1
            self.send(200, answer)
        elif fault in ("429", "503", "500"):
            self.send(int(fault), ERROR)
        elif fault == "429 with a wait":
            self.send(429, ERROR, "retry-after-ms: 200\r\n")
        elif fault == "error body":
            self.send(200, ERROR)
        elif fault == "no choices":
            self.send(200, answer | {"choices": []})
        elif fault == "cut JSON":
            self.send_bytes(200, json.dumps(answer).encode()[:200])
        elif fault == "cut body":
            self.send_bytes(200, json.dumps(answer).encode()[:200], missing=100)
            self.transport.close()
        else:
            self.transport.close()

    def send(self, status: int, value: object, headers: str = "") -> None:
        self.send_bytes(status, json.dumps(value).encode(), headers)

    def send_bytes(self, status: int, data: bytes, headers: str = "", missing: int = 0) -> None:
        head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n{headers}content-length: "
        self.transport.write(f"{head}{len(data) + missing}\r\n\r\n".encode() + data)


@contextmanager
def api_server(milliseconds: float = 50, faults: float = 0.0, seed: int = 0) -> Iterator[str]:
    """Serve in a process of its own within this block; yields the address."""
    options = ["--milliseconds", str(milliseconds), "--faults", str(faults), "--seed", str(seed)]
    with subprocess.Popen([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def record_of(url: str) -> dict[str, Any]:
    """What the server at an address was asked and answered."""
    with urlopen(f"{url.removesuffix('/v1')}/record") as response:
        values: dict[str, Any] = json.load(response)
    return values


async def serve(record: Record) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(record), "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milliseconds", type=float, default=50.0, help="until an answer")
    parser.add_argument("--faults", type=float, default=0.0, help="share of the requests that get no good answer")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    chosen = parser.parse_args()
    asyncio.run(serve(Record(chosen.milliseconds, chosen.faults, chosen.seed)))
