"""Files of requests, one a line, as OpenAI's Batch API and vLLM's `run-batch` read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from silr.io.files import atomic_write

ENDPOINT = "/v1/chat/completions"


class Limits(NamedTuple):
    """How much one file may hold; OpenAI takes 50,000 requests and 200 MB."""

    requests: int = 50_000
    size: int = 190_000_000  # bytes


class Request(NamedTuple):
    """One request of a batch."""

    key: str  # its `custom_id`: the hash of the question
    body: Mapping[str, object]
    characters: int  # of the messages

    def line(self) -> bytes:
        """The request as it is sent."""
        about = {"custom_id": self.key, "method": "POST", "url": ENDPOINT, "body": self.body}
        return json.dumps(about).encode() + b"\n"


class Written(NamedTuple):
    """A file of requests."""

    path: Path
    requests: int
    characters: int
    hash: str  # of all that is in it


def write_requests(requests: Iterable[Request], paths: Iterator[Path], limits: Limits) -> Iterator[Written]:
    """Write requests into as many files as the limits want, and yield each when it is on the disk."""
    lines = ((request, request.line()) for request in requests)
    left = next(lines, None)
    while left is not None:
        path, digest, count, characters, size = next(paths), hashlib.sha256(), 0, 0, 0
        with ExitStack() as opened:
            file = opened.enter_context(atomic_write(path))
            while left is not None:
                request, line = left
                if count and (count >= limits.requests or size + len(line) > limits.size):
                    break
                file.write(line)
                digest.update(line)
                count, characters, size = count + 1, characters + request.characters, size + len(line)
                left = next(lines, None)
        yield Written(path, count, characters, digest.hexdigest())


def read_requests(path: Path) -> Iterator[Request]:
    """Read a file of requests."""
    with path.open("rb") as file:
        for line in file:
            about = json.loads(line)
            body = about["body"]
            length = sum(len(str(message.get("content") or "")) for message in body["messages"])
            yield Request(about["custom_id"], body, length)
