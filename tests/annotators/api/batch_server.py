"""A server of the tests' own with OpenAI's Batch API: files, batches that go on as they are looked at, and a record."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chat_server import COMPLETION_TOKENS, PROMPT_TOKENS, RefusalError, text_of

from http_server import JsonHandler, serving

Answer = Callable[[dict[str, Any]], "str | dict[str, Any]"]
ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass
class Record:
    """What the server was asked and did."""

    submitted: Counter[str] = field(default_factory=Counter)  # requests of batches that were begun, by custom_id
    online: Counter[str] = field(default_factory=Counter)  # single requests by text
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)  # by method and path
    most_open: int = 0

    def rows(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """The requests of a batch."""
        return [json.loads(line) for line in self.files[batch["input_file_id"]][1].splitlines()]

    def statuses(self) -> list[str]:
        return [batch["status"] for batch in self.batches.values()]


@dataclass
class Behaviour:
    """What is not as usual; tests may change it while the server runs."""

    answer: Answer
    polls: int = 2  # looks at a batch until it is completed
    page: int = 2  # objects in a list
    most_rows: int = 50_000  # in a batch, else it fails when it is validated
    most_tokens: int | None = None  # enqueued, four characters a token; else the batch fails when it is validated
    most_bytes: int = 10**9  # of a file
    end: Callable[[dict[str, Any]], str] = lambda batch: "completed"
    errors: list[dict[str, Any]] = field(default_factory=list)  # of every batch, which is not begun
    done: float = 1.0  # share of a batch that is done where it expires or is cancelled
    lag: float = 0.0  # seconds between the creation of a batch or file and the response
    lost: int = 0  # creations of which no response comes
    faults: int = 0  # 500s before any call is answered
    usage: bool = True  # whether tokens are counted
    no_batches: bool = False
    files_gone: bool = False


class Api:
    """Files and batches in memory."""

    def __init__(self, record: Record, behaviour: Behaviour) -> None:
        self.record, self.behaviour, self.lock = record, behaviour, threading.RLock()
        self.looks = Counter[str]()

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        if len(data) > self.behaviour.most_bytes:
            raise RefusalError(413, "The file is too large")
        file = f"file-{len(self.record.files):04}"
        self.record.files[file] = (name, data)
        return self.file(file)

    def file(self, file: str) -> dict[str, Any]:
        name, data = self.record.files[file]
        return {"id": file, "object": "file", "bytes": len(data), "filename": name, "purpose": "batch"}

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        assert wanted["endpoint"] == "/v1/chat/completions" and wanted["completion_window"] == "24h", wanted
        if wanted["input_file_id"] not in self.record.files:
            raise RefusalError(400, f"Cannot find file {wanted['input_file_id']}")
        batch = {"id": f"batch_{len(self.record.batches):04}", "object": "batch", **wanted, "status": "validating"}
        batch |= {"created_at": int(time.time()), "output_file_id": None, "error_file_id": None, "errors": None}
        rows = self.record.rows(batch)
        batch["request_counts"] = {"total": len(rows), "completed": 0, "failed": 0}
        self.record.batches[batch["id"]] = batch
        if errors := self.refusals(batch, rows):
            batch["errors"] = {"object": "list", "data": errors}
        else:
            self.record.submitted.update(row["custom_id"] for row in rows)
        opened = [each for each in self.record.batches.values() if each["status"] not in ENDED and not each["errors"]]
        self.record.most_open = max(self.record.most_open, len(opened))
        return batch

    def refusals(self, batch: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.behaviour.errors:
            return self.behaviour.errors
        keys = Counter(row["custom_id"] for row in rows)
        assert max(keys.values()) == 1 and max(map(len, keys)) <= 64
        if len(rows) > self.behaviour.most_rows:
            return [{"code": "too_many_requests", "message": "The file has too many requests", "line": None}]
        most = self.behaviour.most_tokens
        others = [each for each in self.record.batches.values() if each["status"] not in ENDED and not each["errors"]]
        tokens = sum(len(self.record.files[each["input_file_id"]][1]) // 4 for each in others)
        if most is not None and tokens > most:
            words = f"Enqueued token limit reached for a-model. Limit: {most:,} enqueued tokens. Please try again once"
            words += " some in_progress batches have been completed."
            return [{"code": "token_limit_exceeded", "message": words, "line": None}]
        return []

    def look(self, name: str) -> dict[str, Any]:
        batch = self.record.batches.get(name)
        if batch is None:
            raise RefusalError(404, f"No batch found with id '{name}'.")
        self.looks[name] += 1
        if batch["status"] in ENDED:
            return batch
        if batch["errors"]:
            batch["status"] = "failed"
        elif self.looks[name] >= self.behaviour.polls:
            self.finish(batch)
        else:
            batch["status"] = "in_progress"
            batch["request_counts"]["completed"] = batch["request_counts"]["total"] // 2
        return batch

    def finish(self, batch: dict[str, Any]) -> None:
        status = self.behaviour.end(batch)
        rows, output, errors = self.record.rows(batch), [], []
        n_done = len(rows) if status == "completed" else int(self.behaviour.done * len(rows))
        for number, row in enumerate(rows):
            about = {"id": f"batch_req_{number}", "custom_id": row["custom_id"]}
            if number >= n_done:
                error = {"code": f"batch_{status}", "message": "This request could not be executed in time."}
                errors.append({**about, "response": None, "error": error})
                continue
            try:
                body, status_code = completion(row["body"], self.behaviour.answer, self.behaviour.usage), 200
            except RefusalError as refused:
                status_code, body = refused.args[0], {"error": {"message": refused.args[1]}}
            response = {"status_code": status_code, "request_id": "r", "body": body}
            (output if status_code == 200 else errors).append({**about, "response": response, "error": None})
        batch["request_counts"] |= {"completed": len(output), "failed": len(errors)}
        for name, lines in (("output_file_id", output), ("error_file_id", errors)):
            if lines:
                data = "".join(json.dumps(line) + "\n" for line in reversed(lines))  # in any order
                batch[name] = self.upload(f"{name}.jsonl", data.encode())["id"]
        batch["status"] = status


def completion(body: dict[str, Any], answer: Answer, says_usage: bool = True) -> dict[str, Any]:
    said = answer(body)
    choice = said if isinstance(said, dict) else {"message": {"role": "assistant", "content": said}}
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
    whole |= {"usage": usage} if says_usage else {}
    return {**whole, "choices": [{"index": 0, "finish_reason": "stop", **choice}]}


@contextmanager
def batch_server(behaviour: Behaviour) -> Iterator[tuple[str, Record]]:
    """Serve on a free port; yields the address and the record."""
    record = Record()
    api = Api(record, behaviour)

    class Handler(JsonHandler):
        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["content-length"])))

        def do_GET(self) -> None:
            self.answer(b"")

        def answer(self, data: bytes) -> None:
            try:
                with api.lock:
                    record.calls[f"{self.command} {urlsplit(self.path).path}"] += 1
                    if behaviour.faults:
                        behaviour.faults -= 1
                        raise RefusalError(500, "it broke")
                    value = self.route(data)
                if self.command == "POST" and "chat" not in self.path:
                    time.sleep(behaviour.lag)
                    if "batches" in self.path and behaviour.lost:
                        behaviour.lost -= 1
                        self.close_connection = True
                        return
                self.send(200, value)
            except RefusalError as refused:
                self.send(refused.args[0], {"error": {"message": refused.args[1]}})

        def route(self, data: bytes) -> Any:
            place = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(place.query).items()}
            parts = place.path.split("/")[2:]
            if parts[0] in ("files", "batches") and behaviour.no_batches:
                raise RefusalError(404, "Not Found")
            match (self.command, parts):
                case ("POST", ["chat", "completions"]):
                    body = json.loads(data)
                    value = completion(body, behaviour.answer, behaviour.usage)
                    record.online[text_of(body)] += 1
                    return value
                case ("POST", ["files"]):
                    return api.upload(*uploaded(data))
                case ("GET", ["files"]):
                    return listed([api.file(name) for name in record.files], asked, 10_000)
                case ("GET", ["files", name, "content"]):
                    if behaviour.files_gone:
                        raise RefusalError(404, f"No such File object: {name}")
                    return record.files[name][1]
                case ("POST", ["batches"]):
                    return api.create(json.loads(data))
                case ("GET", ["batches"]):
                    return listed(list(record.batches.values()), asked, behaviour.page)
                case ("GET", ["batches", name]):
                    return api.look(name)
            raise RefusalError(404, "Not Found")

    with serving(Handler) as address:
        yield f"{address}/v1", record


def uploaded(data: bytes) -> tuple[str, bytes]:
    """The name and content of the file in a form."""
    boundary = data.split(b"\r\n", 1)[0]
    for part in data.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if name := re.search(rb'filename="([^"]+)"', head):
            return name[1].decode(), content.removesuffix(b"\r\n")
    raise AssertionError(data[:300])


def listed(objects: list[dict[str, Any]], asked: dict[str, str], page: int) -> dict[str, Any]:
    """One page of a list, the newest first."""
    newest = objects[::-1]
    start = next((i + 1 for i, each in enumerate(newest) if each["id"] == asked.get("after")), 0)
    shown = newest[start : start + min(page, int(asked.get("limit", 20)))]
    return {"object": "list", "data": shown, "has_more": start + len(shown) < len(newest)}
