"""Batches from their submission to the answers in the cache."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

from silr.annotators.api.batch.client import MOST_ATTEMPTS, BatchClient
from silr.annotators.api.batch.lines import read_requests
from silr.annotators.api.batch.results import Failure, Tokens, batched, read_rows
from silr.annotators.api.batch.server import BatchServer, GoneError, LostError, Object, TooMuchError, too_much
from silr.annotators.api.batch.state import Batches, Part
from silr.annotators.api.exchange import LATER
from silr.annotators.api.refusals import Kind, read_refusal
from silr.annotators.api.replies import Reply
from silr.errors import InputError
from silr.io.progress import Advance, duration, progress

SECONDS = "SILR_BATCH_SECONDS"  # environment variable: the longest wait between two looks
_SECONDS, _FIRST = 60.0, 5.0
_ENDED = ("completed", "failed", "expired", "cancelled")
_CLOCKS = 24 * 3600.0  # seconds that the server's clock may be behind
_PATIENCE = 10  # times as long a wait where the server's queue is full of other batches
_CHUNK = 1000  # answers written to the cache at a time
_TOKENS_A_CHARACTER = 0.4  # at most, in most languages; for limits that a server counts in tokens
_FEWEST = 10  # requests, below which a batch is not made smaller but waits
_WAITS = "the answers come within 24 hours; Ctrl-C stops the waiting and not the batches, and the same command goes on"


class Sending:
    """Submits the parts of an annotation, waits for them and puts their answers into the cache.

    Each step is on the disk before the next, and what a kill may have hidden is looked for at the server: no request is
    sent twice.
    """

    def __init__(
        self,
        client: BatchClient,
        batches: Batches,
        *,
        quiet: bool = False,
        note_cost: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._batches, self._quiet, self.note_cost = client, batches, quiet, note_cost
        self._seconds = _seconds()
        self._server = BatchServer(client.connection, client.server, client.explain, self._seconds, client.say)
        self._first = min(_FIRST, self._seconds)
        self._is_full = False  # the server takes no batch before another ends
        self._counts = dict[str, tuple[int, int]]()  # completed and failed requests by batch
        self._statuses = dict[str, str]()

    def finish(self) -> None:
        """Submit what is not submitted, and wait until all answers are in the cache."""
        if not self._batches.open:
            return
        began, wait = time.monotonic(), self._first
        try:
            with progress("Batch", self._total(), "answers", state=self._state(began), quiet=self._quiet) as advance:
                while self._batches.open:
                    self._submit()
                    if self._look(advance, began):
                        wait = self._first
                    elif self._batches.open:
                        is_idle = self._is_full and not self._running  # batches of others are in the way
                        time.sleep(_PATIENCE * wait if is_idle else wait)
                        self._is_full &= not is_idle
                        wait = min(1.5 * wait, self._seconds)
        except KeyboardInterrupt:
            if under_way := [part.batch for part in self._batches.open if part.batch]:
                names = ", ".join(under_way[:3]) + (" ..." if len(under_way) > 3 else "")
                line = f"The batches go on at the server ({names}); the same command fetches their answers."
                print(line, file=sys.stderr, flush=True)
            raise

    # --- submission ---------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> list[Part]:
        return [part for part in self._batches.open if part.batch]

    def _submit(self) -> None:
        """Submit parts until the server takes no more."""
        while not self._is_full and (waiting := [part for part in self._batches.open if part.batch is None]):
            try:
                self._submit_part(waiting[0])
            except TooMuchError as error:
                self._make_room(waiting[0], error)

    def _submit_part(self, part: Part) -> None:
        """Find the batch of a part at the server, or create it."""
        if part.sent:
            part.batch = self._find(part)
        if part.batch is None:
            if part.upload is None:
                part.upload = self._server.upload(self._batches.path(part), f"{part.name}.jsonl")
                self._batches.save()
            part.sent = True
            self._batches.save()
            try:
                part.batch = self._server.create(part.upload, part.name)
            except LostError as error:
                self._client.say(f"no answer to the creation of a batch ({error}); looking for it at the server")
                return  # the next turn finds it, or creates it
            except TooMuchError:
                part.sent = False
                self._batches.save()
                raise
        part.sent = True
        self._batches.save()
        self._client.say(f"sent the batch {part.batch}; requests: {part.requests:,}")
        self._client.say(_WAITS)

    def _find(self, part: Part) -> str | None:
        """Look for the batch of a part that may have been created; twice, as it may be on its way."""
        for attempt in range(2):
            time.sleep(attempt * self._first)
            try:
                known = self._server.find(part.name, part.made - _CLOCKS)
            except GoneError as error:
                raise InputError(
                    f"the server does not list its batches ({error}), and {self._batches.path(part)} may have been "
                    "sent; if its own page shows no such batch, delete the folder and run again"
                ) from error
            if known is not None:
                return known
        return None

    def _make_room(self, part: Part, error: TooMuchError) -> None:
        """Wait until another batch ends, or make the part smaller."""
        part.batch, part.sent = None, False
        self._batches.save()
        tokens = _TOKENS_A_CHARACTER * part.characters
        fits = error.tokens is not None and tokens <= error.tokens
        if (error.is_full and (self._running or fits)) or part.requests <= (_FEWEST if error.is_full else 1):
            if not error.is_full:
                raise InputError(f"the server does not take a batch of one request: {self._client.words(error.words)}")
            self._is_full = True
            self._client.say(f"the server takes no more batches now ({self._client.words(error.words)}); waiting")
            return
        share = 0.5 if not error.tokens or fits else min(0.5, error.tokens / tokens)
        smaller = ceil(share * part.requests)
        self._client.say(
            f"the server takes no batch of {part.requests:,} requests ({self._client.words(error.words)}); smaller ones"
        )
        self._batches.split(part, smaller)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _look(self, advance: Advance, began: float) -> bool:
        """Look at the batches under way and take in those that ended; return whether one brought something."""
        ended = False
        for part in self._running:
            assert part.batch
            try:
                seen = self._server.look(part.batch)
            except GoneError as error:
                folder = self._batches.folder
                raise InputError(
                    f"the server does not know the batch {part.batch} ({error}): use the key and the address that it "
                    f"was sent with, or delete {folder} to send its requests again"
                ) from error
            before = sum(self._counts.get(part.batch, (0, 0)))
            counts = seen.get("request_counts") or {}
            self._counts[part.batch] = (int(counts.get("completed") or 0), int(counts.get("failed") or 0))
            self._statuses[part.batch] = seen["status"] = str(seen.get("status")).lower()
            new = sum(self._counts[part.batch]) - before
            advance(new, max(0, new), self._state(began))
            if seen["status"] in _ENDED:
                ended |= self._end(part, seen)
        self._is_full &= not ended
        return ended

    def _state(self, began: float) -> str:
        completed, failed = (sum(each) for each in zip(*self._counts.values(), strict=True)) if self._counts else (0, 0)
        words = f"{completed:,} completed, {failed:,} failed of {self._total():,}"
        if statuses := sorted({self._statuses.get(part.batch or "", "not sent yet") for part in self._batches.open}):
            words += f" ({', '.join(statuses)})"
        return f"{words}, {duration(time.monotonic() - began)}"

    def _total(self) -> int:
        known = [part for part in self._batches.parts if not part.done or part.batch in self._counts]
        return sum(part.requests for part in known)

    # --- the end of a batch -------------------------------------------------------------------------------------------

    def _end(self, part: Part, seen: Object) -> bool:
        """Take in what a batch that ended brought; return False if the server did not begin it."""
        files = [str(seen[name]) for name in ("output_file_id", "error_file_id") if seen.get(name)]
        status = seen["status"]
        if status == "failed" and not files:
            self._failed(part, seen)
            return False
        self._take_in(part, files)
        if status == "cancelled":
            answered = part.requests - len(part.failed)
            raise InputError(
                f"the batch {part.batch} was cancelled at the server; {answered:,} of {part.requests:,} answers came "
                "and are kept; the same command sends the others in a new batch"
            )
        if status == "expired":
            self._client.say(
                f"the batch {part.batch} expired after 24 hours; those of its requests without an answer are sent again"
            )
        return True

    def _failed(self, part: Part, seen: Object) -> None:
        """A batch that the server did not begin: it is too large, or something is wrong with all requests."""
        errors = (seen.get("errors") or {}).get("data") or []
        refusal = read_refusal(400, {}, json.dumps({"error": errors}))
        code = " ".join(str(error.get("code")) for error in errors)
        error = too_much(f"{code} {refusal.words}") if refusal.kind is not Kind.UNPAID else None
        self._counts.pop(part.batch or "", None)
        part.batch, part.sent = None, False
        self._batches.save()
        if error is None:
            raise InputError(f"the server did not begin the batch: {self._client.words(refusal.words)}; {LATER}")
        error.words = refusal.words
        self._make_room(part, error)

    def _take_in(self, part: Part, files: Sequence[str]) -> None:
        """Put a batch's answers into the cache and close its part; InputError if something hit all its requests."""
        asked = {request.key for request in read_requests(self._batches.path(part))}
        failed, answered, tokens = dict[str, Failure](), set[str](), Tokens()
        for file in files:
            path = self._batches.folder / f"{part.file}.results"
            try:
                self._server.fetch(file, path)
            except GoneError as error:
                raise InputError(
                    f"the server does not have the file {file} with answers of the batch {part.batch} ({error}); run "
                    f"again later, or delete {self._batches.folder} to send its requests again"
                ) from error
            with path.open("rb") as lines:
                rows = (row for row in read_rows(lines) if row.key in asked)
                for chunk in batched(rows, _CHUNK):
                    tokens.add(Tokens.of(chunk))
                    failed |= {row.key: row.result for row in chunk if isinstance(row.result, Failure)}
                    replies = {row.key: row.result for row in chunk if isinstance(row.result, Reply)}
                    left_out = tuple(part.left_out)
                    answers = {key: replace(reply, left_out=left_out) for key, reply in replies.items()}
                    self._client.cache.put_all((key, reply.to_json()) for key, reply in answers.items())
                    answered |= answers.keys()
            path.unlink()
        failed |= dict.fromkeys(asked - failed.keys(), Failure(500, "the batch ended without an answer"))
        failed = {key: failed[key] for key in sorted(asked - answered)}
        stops = [failure for failure in failed.values() if failure.hits_all]
        is_stop = len(stops) == len(asked) or any(failure.refusal.kind is Kind.UNPAID for failure in stops)
        kept = {} if is_stop else failed  # what hits all requests is no failure of theirs
        part.failed = {key: (failure.status, failure.body) for key, failure in kept.items()}
        part.done = True
        self._batches.save()
        self._client.failures = self._batches.failures(MOST_ATTEMPTS)
        self._client.take_in(answered, part.requests, part.characters, tokens)
        self.note_cost()
        self._batches.path(part).unlink(missing_ok=True)
        if is_stop:
            raise InputError(self._client.explain(stops[0].refusal))


def _seconds() -> float:
    """The longest wait between two looks."""
    try:
        return max(0.001, float(os.environ.get(SECONDS) or _SECONDS))
    except ValueError:
        raise InputError(f"{SECONDS} must be a number of seconds, got {os.environ[SECONDS]!r}") from None
