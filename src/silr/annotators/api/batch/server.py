"""Files and batches of a server, as OpenAI's API documents them: https://platform.openai.com/docs/api-reference/batch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from silr.annotators.api.batch.lines import ENDPOINT
from silr.annotators.api.exchange import LATER
from silr.annotators.api.refusals import Kind, Refusal, read_refusal
from silr.errors import InputError
from silr.io.files import atomic_write

if TYPE_CHECKING:
    import openai

T = TypeVar("T")
Object = dict[str, Any]

_MOST_ATTEMPTS, _SILENT_ATTEMPTS = 12, 4
_LONGEST_WAIT = 600.0  # seconds, also where the server asks for more
_PAGE = 100  # batches listed at a time
_FULL = re.compile(r"enqueued|too_?many_?tasks|too many (tasks|batches)|queue|in_progress batches", re.IGNORECASE)
_LARGE = re.compile(r"too (large|big|many (lines|rows|requests))|exceed|maximum|limit", re.IGNORECASE)
_NO_FILE_YET = re.compile(r"(cannot find|no such) file|file.{0,60}(not found|does not exist)", re.IGNORECASE)
_LIMIT = re.compile(r"limit: ?([\d,]+) enqueued tokens", re.IGNORECASE)
_NO_BATCHES = (
    "{server} has no Batch API ({words}); leave out --batch, or write files for vLLM's run-batch: --batch-file"
)


class LostError(Exception):
    """No response came, so that it is not known whether something was created."""


class GoneError(Exception):
    """The server does not know a file or a batch any more."""


@dataclass(eq=False)
class TooMuchError(Exception):
    """The server does not take a batch now, or not of this size."""

    words: str
    is_full: bool = False  # the batches under way are too many; one may be taken when another ends
    tokens: int | None = field(default=None)  # that may be under way, if the server says so


def too_much(words: str) -> TooMuchError | None:
    """Read why a batch failed before it began; None if that is about something else than its size."""
    limit = _LIMIT.search(words)
    if _FULL.search(words):
        return TooMuchError(words, True, int(limit[1].replace(",", "")) if limit else None)
    return TooMuchError(words) if _LARGE.search(words) else None


class BatchServer:
    """Calls that are repeated where that does no harm. `seconds` is the longest wait between two looks at a batch.

    An InputError says what hits all of them, in the server's words.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        server: str,
        explain: Callable[[Refusal], str],
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._client, self._server, self._explain = client, server, explain
        self._seconds, self._say = seconds, say

    def upload(self, path: Path, name: str) -> str:
        """Upload a file of requests and return its id; one that was uploaded before is found by its name."""
        if (known := self._find_file(name, path.stat().st_size)) is not None:
            return known

        def send() -> Object:
            with path.open("rb") as file:
                create = self._client.files.with_raw_response.create
                return _object(create(file=(name, file, "application/jsonl"), purpose="batch"))

        return str(self._call(send, creates="file")["id"])

    def create(self, upload: str, name: str) -> str:
        """Create a batch and return its id. A LostError says that it may have been created, or not."""

        def send() -> Object:
            create: Any = self._client.batches.with_raw_response.create
            batch = create(input_file_id=upload, endpoint=ENDPOINT, completion_window="24h", metadata={"silr": name})
            return _object(batch)

        return str(self._call(send, creates="batch")["id"])

    def find(self, name: str, since: float) -> str | None:
        """Return the id of the batch of this name that was created after some time, and that did not fail."""
        for batch in self._batches(since):
            if (batch.get("metadata") or {}).get("silr") == name and batch.get("status") != "failed":
                return str(batch["id"])
        return None

    def look(self, batch: str) -> Object:
        """Return the batch as it is now."""
        return self._call(lambda: _object(self._client.batches.with_raw_response.retrieve(batch)))

    def fetch(self, file: str, path: Path) -> None:
        """Download a file."""

        def receive() -> None:
            with self._client.files.with_streaming_response.content(file) as response, atomic_write(path) as target:
                for piece in response.iter_bytes(2**16):
                    target.write(piece)

        self._call(receive)

    def _batches(self, since: float) -> Iterator[Object]:
        """Yield batches, the newest first, that were created after some time."""
        after: Object = {}
        while True:
            listing = partial(self._client.batches.with_raw_response.list, limit=_PAGE, **after)
            listed = self._call(lambda listing=listing: _object(listing()))  # type: ignore[misc]
            batches = listed.get("data") or []
            yield from batches
            if not batches or not listed.get("has_more") or float(batches[-1].get("created_at") or since) < since:
                return
            after = {"after": batches[-1]["id"]}

    def _find_file(self, name: str, size: int) -> str | None:
        """Return the id of an uploaded file; a server that does not list files has it uploaded again."""
        try:
            listing = self._client.files.with_raw_response.list
            listed = self._call(lambda: _object(listing(purpose="batch", limit=1000, order="desc")))
        except GoneError:
            return None
        whole = [file for file in listed.get("data") or [] if file.get("filename") == name]
        return next((str(file["id"]) for file in whole if file.get("bytes") in (None, size)), None)

    # --- one call, until it is answered -------------------------------------------------------------------------------

    def _call(self, do: Callable[[], T], creates: str = "") -> T:
        """Call until there is an answer; what creates something is not repeated where it may have been heard."""
        import openai

        for attempt in range(_MOST_ATTEMPTS):
            wait, words = min(self._seconds, 0.5 * 2.0**attempt), ""
            try:
                return do()
            except openai.APIStatusError as error:
                refusal = read_refusal(error.status_code, error.response.headers, error.response.text)
                words = f"{refusal.status}: {refusal.words}"
                self._refuse(refusal, creates)
                if creates == "batch" and refusal.status >= 500:
                    raise LostError(words) from error
                wait = wait if refusal.wait is None else refusal.wait
            except openai.APIConnectionError as error:
                words = str(error.__cause__ or error)
                if creates == "batch":
                    raise LostError(words) from error
            except Exception as error:
                is_cut = type(error).__module__.startswith("http")  # httpx, which has been renamed
                if not (is_cut or isinstance(error, ValueError)):  # or no JSON
                    raise
                words = str(error)
                if creates == "batch":
                    raise LostError(words) from error
            if attempt == _SILENT_ATTEMPTS:
                self._say(f"no answer from {self._server} ({words}); asking again")
            time.sleep(min(wait, _LONGEST_WAIT))
        raise InputError(f"no answer from {self._server}: {words}; the batches go on there, and {LATER}")

    def _refuse(self, refusal: Refusal, creates: str) -> None:
        """Raise what a refusal means, unless it may pass."""
        kind = refusal.kind
        if creates == "batch" and _NO_FILE_YET.search(refusal.words):  # one that was uploaded just now
            return
        if creates and kind not in (Kind.UNPAID, Kind.KEY) and (error := _too_much(refusal)) is not None:
            raise error
        if kind in (Kind.PASSING, Kind.DAILY):
            return
        if refusal.status in (404, 405, 501) and not creates:
            raise GoneError(refusal.words)
        if refusal.status in (404, 405, 501) and kind is not Kind.MODEL:
            raise InputError(_NO_BATCHES.format(server=self._server, words=refusal.words))
        raise InputError(self._explain(refusal))


def _too_much(refusal: Refusal) -> TooMuchError | None:
    """Read a refusal of a batch or a file; a rate limit without such words passes."""
    if refusal.status == 413:
        return TooMuchError(refusal.words)
    error = too_much(refusal.words) if refusal.status in (400, 422, 429) else None
    return error if error is None or error.is_full or refusal.status != 429 else None


def _object(response: Any) -> Object:
    value = response.http_response.json()
    if not isinstance(value, dict):
        raise InputError("the server's answer about a batch is no object of JSON")
    return value
