"""Annotations on disk as they come, so that a killed annotation goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from io import BufferedWriter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.annotators.cost import COUNTS, WIDTH, Cost
from silr.annotators.provenance import Provenance
from silr.annotators.said import Said, SaidFile
from silr.errors import InputError
from silr.io.files import atomic_write, os_errors
from silr.io.resumable import Kind, resumable

KIND = Kind(
    "meta.json",
    "lock",
    busy="another process is annotating into {}; wait for it or stop it",
    other="holds an unfinished annotation of other texts, or by another model or prompt (or server); repeat that "
    "command to finish it, delete the folder, or choose another output",
)
_SYNC_SECONDS, _FLUSH_SECONDS = 5.0, 0.05
_COST_BYTES = 8 * (WIDTH + 2)
_CHUNK = 8192  # rows of features put in order at a time


def begun_in(folder: Path) -> object:
    """What the annotation in a folder is of, if it has records; None if there is none, or if that cannot be read."""
    scores = folder / "scores"
    try:
        return json.loads((folder / "meta.json").read_bytes()) if scores.stat().st_size else None
    except (OSError, ValueError):
        return None


class Journal:
    """An append-only folder: `meta.json` says what is annotated, `scores` and `features` hold a record a text.

    Records come in the order of reading; that of `scores` begins with the text's number. A record is there once both
    files have the whole of it; opening the folder again cuts off the rest. `cut` has the numbers of texts that the
    server did not take whole, `answers` says who answered, and `said` what was said beside the labels. Records are
    written within a twentieth of a second where many come, and go to the disk (fsync) every five seconds and at the
    end. A folder without `meta.json` or records was not begun or is all used, and is emptied. One that an error leaves
    without records goes, unless something was paid for.

    An InputError says that the folder holds another annotation (`meta` differs), is in use, or cannot be written.
    """

    def __init__(self, folder: Path, meta: Mapping[str, object], n_classes: int, n_features: int) -> None:
        self.folder = folder
        self._score_type = np.dtype([("text", "<i8"), ("scores", "<f4", (n_classes,))])
        self._feature_type = np.dtype(("<f2", (n_features,)))
        self._synced, self._flushed, self._session = time.monotonic(), 0.0, 0.0
        self._cost: Cost | None = None
        self._added = 0  # records of this session
        with os_errors(f"cannot write {folder}"), ExitStack() as held:
            folder.mkdir(exist_ok=True)
            held.enter_context(resumable(folder, KIND, meta, stored=self._meta, begun=self._begun, clear=self._clear))
            self._scores = held.enter_context((folder / "scores").open("a+b"))
            self._features = held.enter_context((folder / "features").open("a+b"))
            self._cut_torn_end()
            self._said = SaidFile(folder / "said")
            self._held = held.pop_all()
        self._answers: BufferedWriter | None = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError, InputError):
            self._sync()
            if kind is not None and self.is_empty():
                self.remove()
        with suppress(OSError):
            self._held.close()

    def append(self, texts: NDArray[np.int64], scores: NDArray[np.float32], features: NDArray[np.float16]) -> None:
        """Add records; after an InputError, as on a full disk, the earlier ones stay."""
        records = np.empty(len(texts), self._score_type)
        records["text"], records["scores"] = texts, scores
        with self._writing():
            for file, data in ((self._scores, records), (self._features, features.astype("<f2"))):
                file.write(data.tobytes())
            self._added += len(texts)
            if (now := time.monotonic()) - self._flushed > _FLUSH_SECONDS:
                self._flush()
                self.note_cost()
                self._flushed = now
            if now - self._synced > _SYNC_SECONDS:
                self._sync()

    def read(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the texts' numbers (n,) and scores (n, K), record by record."""
        with self._writing():
            self._flush()
            records = np.fromfile(self.folder / "scores", self._score_type)
        return records["text"], records["scores"]

    def note_cut(self, texts: NDArray[np.int64]) -> None:
        """Remember texts whose end was left out; best before their records are added."""
        if len(texts):
            with self._writing(), (self.folder / "cut").open("ab") as file:
                file.write(texts.astype("<i8").tobytes())

    def cut(self) -> NDArray[np.int64]:
        """Return the numbers of such texts, some perhaps twice."""
        path = self.folder / "cut"
        data = path.read_bytes() if path.exists() else b""
        return np.frombuffer(data[: len(data) // 8 * 8], "<i8")

    @contextmanager
    def session(self, cost: Cost | None) -> Iterator[None]:
        """Keep what this session costs, as it grows with each record and at the end of the block."""
        earlier = self.costs()
        self._cost, self._session = cost, float(len(earlier))
        try:
            yield
        finally:
            self.note_cost()
            self._cost = None

    def costs(self, recorded: bool = False) -> list[list[float]]:
        """Return what each session cost, as `Cost.numbers`; with `recorded` this one and those that added records.

        The answers of others, as of one that waited for batches, are read from the cache by a later one.
        """
        path = self.folder / "costs"
        data = path.read_bytes() if path.exists() else b""
        rows = np.frombuffer(data[: len(data) // _COST_BYTES * _COST_BYTES], "<f8").reshape(-1, WIDTH + 2)
        last = {row[0]: row for row in rows.tolist()}
        return [values for number, added, *values in last.values() if added or number == self._session or not recorded]

    def note_cost(self) -> None:
        """Keep what this session has cost so far."""
        if self._cost is not None and (self._cost.requests or self._cost.cached):
            numbers = np.array([self._session, self._added, *self._cost.numbers()], "<f8")
            with self._writing(), (self.folder / "costs").open("ab") as file:
                file.truncate(file.tell() // _COST_BYTES * _COST_BYTES)  # of a kill in the middle
                file.write(numbers.tobytes())

    def note_said(self, said: Mapping[int, Said | None], form: str | None) -> None:
        """Remember what was said beside the labels of texts, and the form of the answers; best before the records."""
        with self._writing():
            self._said.add(said, form)

    def said(self) -> dict[int, Said]:
        """Return what was said of texts by their numbers."""
        return self._said.read()

    def form(self) -> str | None:
        """Return the form of the answers, None if there is none yet; version 0.1 asked for free ones."""
        return self._said.form() or ("free" if self._begun() else None)

    def note_provenance(self, text: int, provenance: Provenance) -> None:
        """Remember who answered about a text; best before its record is added."""
        line = json.dumps({"text": text, **provenance.to_json()})
        with self._writing():
            if self._answers is None:
                self._answers = self._held.enter_context((self.folder / "answers").open("ab"))
            self._answers.write(f"\n{line}".encode())  # the end of the one before may be torn

    def provenance(self) -> Iterator[tuple[int, Provenance]]:
        """Yield texts and who answered about each, where that is known; one by one, as they may be many."""
        with self._writing():
            self._flush()
        path, noted = self.folder / "answers", dict[int, str]()
        with path.open(encoding="ascii", errors="replace") if path.exists() else nullcontext(()) as lines:
            for line in lines:
                with suppress(ValueError, KeyError, TypeError):  # a kill has torn it
                    noted[int(json.loads(line)["text"])] = line
        for text, line in noted.items():
            yield text, Provenance.from_json(json.loads(line))

    def write_features(self, path: Path, records: NDArray[np.int64]) -> None:
        """Write a float16 `.npy` whose row i is the feature record `records[i]`, atomically, little at a time."""
        source = np.memmap(self.folder / "features", self._feature_type, "r")
        header = {"descr": "<f2", "fortran_order": False, "shape": (len(records), *self._feature_type.shape)}
        with atomic_write(path) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(records), _CHUNK):
                file.write(source[records[start : start + _CHUNK]].tobytes())

    def is_empty(self) -> bool:
        """Whether there is no record, and no session has paid for anything."""
        self._flush()
        paid = COUNTS.index("prompt_tokens"), COUNTS.index("completion_tokens"), COUNTS.index("uncounted")
        return not self._begun() and not any(session[count] for session in self.costs() for count in paid)

    def remove(self) -> None:
        """Remove the folder, `meta.json` first: what is left without it is no annotation."""
        with self._writing():
            (self.folder / "meta.json").unlink(missing_ok=True)
        self._cost = None  # nothing is kept any more
        shutil.rmtree(self.folder, ignore_errors=True)

    def _meta(self) -> object:
        """What is annotated here; None if that cannot be read."""
        try:
            return json.loads((self.folder / "meta.json").read_bytes())
        except ValueError:
            return None

    def _begun(self) -> bool:
        scores = self.folder / "scores"
        return scores.exists() and scores.stat().st_size >= self._score_type.itemsize

    def _clear(self) -> None:
        for name in ("scores", "features", "cut", "answers", "said", "costs"):
            (self.folder / name).unlink(missing_ok=True)

    def _cut_torn_end(self) -> None:
        files = ((self._scores, self._score_type), (self._features, self._feature_type))
        records = min(os.fstat(file.fileno()).st_size // kind.itemsize for file, kind in files if kind.itemsize)
        for file, kind in files:
            file.truncate(records * kind.itemsize)

    def _flush(self) -> None:
        if self._answers is not None:
            self._answers.flush()
        self._scores.flush()
        self._features.flush()

    def _sync(self) -> None:
        self._flush()
        for file in (self._scores, self._features):
            os.fsync(file.fileno())
        self._synced = time.monotonic()

    def _writing(self) -> AbstractContextManager[None]:
        advice = "; what is annotated is kept, and the same command goes on from there"
        return os_errors(f"cannot write {self.folder}", advice)
