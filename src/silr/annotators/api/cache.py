"""Answers that were paid for, in an SQLite file: the same question is never paid for twice."""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

from silr.annotators.api.replies import Object
from silr.errors import InputError
from silr.io.cache import cache_folder
from silr.io.files import make_folder, os_errors, sync

_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
_KEPT = "; the answers in it are kept, and the same command goes on from there"
_LOG_PAGES = 4000  # of the write-ahead log, after which its content moves to the file, which takes a moment


class AnswerCache:
    """Answers by the hash of what was asked. Threads may share it.

    A killed process loses no answer after its `put`, a machine without power none after `sync`: that takes as long for
    many answers as for one.

    An InputError says that the file is no such cache, or cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path = path or cache_folder() / "answers.sqlite"
        make_folder(path.parent)
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
            # another process may annotate with the same file
            mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()
            self._log = Path(f"{path}-wal") if mode == ("wal",) and os.name != "nt" else None
            self._connection.execute(f"PRAGMA synchronous={'FULL' if self._log is None else 'NORMAL'}")
            self._connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
            self._connection.execute(_SCHEMA)
        except sqlite3.Error as error:
            reason = f"cannot use {path} as the cache of answers: {error}; delete it or name another"
            raise InputError(reason) from error

    def get(self, question: Mapping[str, object]) -> Object | None:
        """Return the answer to a question, None if it is not known."""
        with self._lock:
            row = self._execute("SELECT answer FROM answers WHERE key = ?", (_key(question),)).fetchone()
        answer: Object | None = None if row is None else json.loads(row[0])
        return answer

    def put(self, question: Mapping[str, object], answer: Mapping[str, object]) -> None:
        """Keep an answer; InputError if it cannot be written, as on a full disk."""
        with self._lock:
            self._execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (_key(question), json.dumps(answer)))

    def sync(self) -> None:
        """Wait until all answers are on the disk."""
        if self._log is not None:
            with os_errors(f"cannot use the cache of answers {self.path}", _KEPT):
                sync(self._log)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise InputError(f"cannot use the cache of answers {self.path}: {error}{_KEPT}") from error


def _key(question: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
