"""Embeddings that were paid for, in the SQLite file of the answers: the same text is never paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.annotators.api.cache import AnswerCache

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, cut INTEGER NOT NULL) "
    "WITHOUT ROWID"
)

Half = NDArray[np.float16]


class Vector(NamedTuple):
    """The embedding of a text, shape (d,), and whether the server did not take the text's end."""

    values: Half
    cut: bool = False


class VectorCache(AnswerCache):
    """Embeddings by server, model, dimensions and text, as bytes of float16. Threads may share it."""

    def known(self, about: Mapping[str, object], texts: Iterable[str]) -> dict[str, Vector]:
        """The embeddings that are there, by text; `about` says who made them."""
        key, found = _Keys(about), {}
        with self._lock:
            self._execute(_SCHEMA)
            for text in texts:
                statement = "SELECT vector, cut FROM vectors WHERE key = ?"
                if (row := self._execute(statement, (key.of(text),)).fetchone()) is not None:
                    found[text] = Vector(np.frombuffer(row[0], "<f2"), bool(row[1]))
        return found

    def keep(self, about: Mapping[str, object], texts: Sequence[str], vectors: Sequence[Vector]) -> None:
        """Keep embeddings of texts, all at once; InputError if they cannot be written, as on a full disk."""
        key = _Keys(about)
        with self._lock:
            self._execute(_SCHEMA)
            self._execute("BEGIN IMMEDIATE")
            try:
                for text, vector in zip(texts, vectors, strict=True):
                    row = (key.of(text), vector.values.astype("<f2").tobytes(), int(vector.cut))
                    self._execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", row)
            except BaseException:
                self._connection.rollback()
                raise
            self._execute("COMMIT")


class _Keys:
    def __init__(self, about: Mapping[str, object]) -> None:
        self._start = blake2b(json.dumps(about, sort_keys=True).encode() + b"\0", digest_size=20)

    def of(self, text: str) -> bytes:
        whole = self._start.copy()
        whole.update(text.encode("utf-8", "surrogatepass"))
        return whole.digest()
