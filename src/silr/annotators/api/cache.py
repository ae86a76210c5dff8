"""Answers that were paid for, in an SQLite file: the same question is never paid for twice."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from silr.annotators.api.replies import Object
from silr.errors import InputError
from silr.io.cache import cache_folder
from silr.io.files import make_folder

_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
_CANONICAL = json.JSONEncoder(sort_keys=True)
_ROWS = 400  # of one statement: SQLite takes some 999 values
_KEPT = "; the answers in it are kept, and the same command goes on from there"
_LOG_PAGES = 4000  # of the write-ahead log, after which its content moves to the file, which takes a moment


class AnswerCache:
    """Answers by the hash of what was asked. Threads may share it.

    Each is on the disk before `put` returns, except in a block of `grouped`: there before `sync` returns, which takes
    as long for many answers as for one.

    An InputError says that the file is no such cache, or cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "answers.sqlite"
        self._lock, self._group_lock = threading.Lock(), threading.Lock()
        self._group: dict[str, str] | None = None  # answers that are not written yet, by hash; None: written at once
        self._written = dict[str, str]()  # just being written
        self._recent, self._older = dict[str, str | None](), dict[str, str | None]()  # looked up; None: not known
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            reason = _of_full_disk(error) or f"{error}; delete it"
            raise InputError(f"cannot use {self.path} as the cache of answers: {reason}, or name another") from error

    def _connect(self) -> sqlite3.Connection:
        make_folder(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")  # another process may annotate with the same file
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(_SCHEMA)
        return connection

    def get(self, question: Mapping[str, object] | str) -> Object | None:
        """Return the answer to a question, or to its hash; None if it is not known."""
        key = key_hash(question)
        with self._group_lock:
            row = (self._group or {}).get(key) or self._written.get(key)
            looked_up = self._recent if key in self._recent else self._older if key in self._older else None
            if row is None and looked_up is not None and (row := looked_up.pop(key)) is None:
                return None
        if row is None:
            with self._lock:
                row = next(self._execute("SELECT answer FROM answers WHERE key = ?", (key,)), (None,))[0]
        answer: Object | None = None if row is None else json.loads(row)
        return answer

    def put(self, question: Mapping[str, object] | str, answer: Mapping[str, object]) -> None:
        """Keep the answer to a question, or to its hash; InputError if it cannot be written, as on a full disk."""
        key, text = key_hash(question), json.dumps(answer)
        with self._group_lock:
            if self._group is not None:
                self._group[key] = text
                return
        self._write([(key, text)])

    def put_all(self, answers: Iterable[tuple[str, Mapping[str, object]]]) -> None:
        """Keep many answers at once, by the hashes of their questions; see `key_hash`."""
        rows = [(key, json.dumps(answer)) for key, answer in answers]
        with self._group_lock:
            self._recent, self._older = {}, {}
        self._write(rows)

    def look_up(self, questions: Iterable[Mapping[str, object]]) -> None:
        """Read the answers to questions that are soon asked for, at once; one by one it takes several times as long."""
        keys = list(map(key_hash, questions))
        found = dict[str, str | None].fromkeys(keys)
        for start in range(0, len(keys), _ROWS):
            part = tuple(keys[start : start + _ROWS])
            places = ",".join("?" * len(part))
            with self._lock:
                rows = self._execute(f"SELECT key, answer FROM answers WHERE key IN ({places})", part).fetchall()
            found.update(rows)
        with self._group_lock:
            self._recent, self._older = found, self._recent

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Within this block, answers are written by `sync`, and at its end."""
        self._group = {}
        try:
            yield
        finally:
            self.sync()
            self._group = None

    def sync(self) -> None:
        """Write the answers that came since the last time."""
        with self._group_lock:
            if not self._group:
                return
            self._written, self._group = self._group, {}
        self._write(list(self._written.items()))
        self._written = {}

    def _write(self, rows: list[tuple[str, str]]) -> None:
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            places = ", ".join(["(?, ?)"] * len(part))
            with self._lock:
                self._execute(f"INSERT OR REPLACE INTO answers VALUES {places}", tuple(chain.from_iterable(part)))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            reason = _of_full_disk(error) or str(error)
            raise InputError(f"cannot use the cache of answers {self.path}: {reason}{_KEPT}") from error


def _of_full_disk(error: sqlite3.Error) -> str | None:
    """What SQLite says of a full disk, in words that say what to do; None for other errors."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what it was busy with
    return {
        sqlite3.SQLITE_FULL: "the disk is full; make room",
        sqlite3.SQLITE_IOERR: f"{error}, perhaps of a full disk; make room",
    }.get(code)


def key_hash(question: Mapping[str, object] | str) -> str:
    """Return what stands for a question in the file; a hash stands for itself."""
    if isinstance(question, str):
        return question
    return hashlib.sha256(_CANONICAL.encode(question).encode()).hexdigest()
