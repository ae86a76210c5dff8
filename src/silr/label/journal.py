"""What a person did, one line an action, on the disk before anything else happens."""

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from silr.errors import InputError
from silr.io.files import check_writable, os_errors, sync
from silr.io.locks import locked

Event = dict[str, Any]  # JSON values


def journal_path(table: Path) -> Path:
    """Return where the labels lie until they are in the table: "labelled.csv.gold.jsonl" beside "labelled.csv"."""
    return table.with_name(f"{table.name}.gold.jsonl")


class LabelJournal:
    """An append-only file of JSON lines; each is flushed to the disk (fsync) before `append` returns.

    The first line has the hash of its `texts`. A last line without its end was never acknowledged, and is cut off. One
    process at a time: it holds a lock file beside the journal. `events` are what an earlier process left. An InputError
    says that it holds labels of other texts, is damaged or in use, or cannot be written.
    """

    def __init__(self, path: Path, texts: str) -> None:
        self.path = path
        self._header = {"silr": "gold journal", "texts": texts}
        check_writable(path)
        busy = f"another silr label is at work on {path.name}; finish that one first"
        with os_errors(f"cannot write {path}"), ExitStack() as held:
            held.enter_context(locked(path.with_name(f"{path.name}.lock"), busy, remove=True))
            self._file = held.enter_context(path.open("a+b", buffering=0))
            self.events = self._read()
            if not self._size():
                self._write([self._header])
                sync(path.parent)
            self._held = held.pop_all()

    def append(self, event: Event) -> None:
        """Add an event, which then survives a power cut; after an InputError, as on a full disk, none of it stays."""
        size = self._size()
        with os_errors(f"cannot write {self.path}", "; the last action is not kept"):
            try:
                self._write([event])
            except OSError:
                with suppress(OSError):
                    self._file.truncate(size)
                raise

    def shorten(self, events: Iterable[Event]) -> None:
        """Keep these events only: the others are in the table."""
        with os_errors(f"cannot write {self.path}"):
            self._file.truncate(0)
            self._write([self._header, *events])

    def close(self) -> None:
        """Close it, and remove it if it holds no event."""
        with suppress(OSError):
            empty = self._size() <= len(_line(self._header))
            self._file.close()  # Windows removes no open file
            if empty:
                self.path.unlink()
        self._held.close()

    def _read(self) -> list[Event]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        events: list[Event] = []
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if not isinstance(event, dict):
                raise InputError(f"{self.path}, line {number}: not a journal of silr label; move the file away")
            events.append(event)
        if events and events[0] != self._header:
            if number := sum(event.get("do") == "label" for event in events):
                labels = f"{number:,} label{'s' * (number > 1)} of other texts, or of these in another order"
                advice = "bring that table back and run again; only if they are not wanted, move the file away"
                raise InputError(f"{self.path} holds {labels}: {advice}")
            self._file.truncate(0)
            return []
        return events[1:]

    def _write(self, events: Iterable[Event]) -> None:
        data = b"".join(map(_line, events))
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


def _line(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"
