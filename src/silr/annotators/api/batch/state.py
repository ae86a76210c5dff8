"""The folder of an annotation's batches: what was sent, as it survives a kill."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex

from silr.annotators.api.batch.lines import Limits, Request, read_requests, write_requests
from silr.annotators.api.batch.results import Failure
from silr.errors import InputError
from silr.io.files import read_json, write_json
from silr.io.resumable import Kind, resumable

KIND = Kind(
    "meta.json",
    "lock",
    busy="another process waits for the batches in {}; wait for it or stop it",
    other="holds batches of other texts, or of another model, prompt or server ({}): they are paid for; repeat that "
    "command to fetch their answers, or choose another output; or delete the folder",
)


@dataclass
class Part:
    """One file of requests, and its batch."""

    file: str  # in the folder
    name: str  # at the server, where a batch whose creation a kill interrupted is found by it
    requests: int
    characters: int
    made: float = field(default_factory=time.time)
    left_out: list[str] = field(default_factory=list)  # parameters that the server does not take
    upload: str | None = None  # the file's id at the server
    batch: str | None = None  # the batch's id
    sent: bool = False  # it may have been created, whether its id is known or not
    done: bool = False  # its answers are in the cache
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)  # status and words by request


class Batches:
    """All parts; every change is on the disk when its method returns."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, list[Part]()
        self.form: str | None = None  # of the answers
        self._path = folder / "state.json"
        if self._path.exists():
            state = read_json(self._path)
            self.parts, self.form = [Part(**part) for part in state["parts"]], state.get("form")
        if not self.open:  # the answers are in the cache; what failed is asked again by a new session
            self.parts = []

    @property
    def open(self) -> list[Part]:
        """Those whose answers are still to come."""
        return [part for part in self.parts if not part.done]

    @property
    def are_at_server(self) -> bool:
        """Whether some of these were uploaded, or perhaps sent."""
        return any(part.sent or part.upload is not None for part in self.open)

    def save(self) -> None:
        """Write what changed."""
        write_json(self._path, {"parts": [asdict(part) for part in self.parts], "form": self.form})

    def add(self, requests: Iterable[Request], limits: Limits, left_out: list[str]) -> int:
        """Write requests into new parts; all of them are there, or none. Return how many requests there are."""
        new = list(self._write(requests, limits, left_out))
        self.parts += new
        self.save()
        return sum(part.requests for part in new)

    def split(self, part: Part, n_requests: int) -> None:
        """Put smaller parts in the place of one that the server does not take."""
        new = list(self._write(read_requests(self.path(part)), Limits(requests=n_requests), part.left_out))
        place = self.parts.index(part)
        self.parts[place : place + 1] = new
        self.save()
        self.path(part).unlink(missing_ok=True)

    def path(self, part: Part) -> Path:
        """The file of its requests."""
        return self.folder / part.file

    def attempts(self) -> dict[str, int]:
        """In how many batches each request failed."""
        attempts = dict[str, int]()
        for part in self.parts:
            for key in part.failed:
                attempts[key] = attempts.get(key, 0) + 1
        return attempts

    def failures(self, most_attempts: int) -> dict[str, Failure]:
        """The last failure of each request, given up after so many."""
        attempts = self.attempts()
        pairs = (pair for part in self.parts for pair in part.failed.items())
        return {key: Failure(*said, given_up=attempts[key] >= most_attempts) for key, said in pairs}

    def _write(self, requests: Iterable[Request], limits: Limits, left_out: list[str]) -> Iterator[Part]:
        for written in write_requests(requests, self._new_paths(), limits):
            name = f"silr-{written.hash[:32]}-{token_hex(4)}"
            yield Part(written.path.name, name, written.requests, written.characters, left_out=left_out)

    def _new_paths(self) -> Iterator[Path]:
        known = [int(part.file.partition(".")[0]) for part in self.parts]
        number = max(known, default=0)
        while True:
            number += 1
            yield self.folder / f"{number:04}.jsonl"


def batches_path(output: str | Path, name: str = "") -> Path:
    """Return the folder: "labelled.csv.batch", or "labelled.csv.gpt5.batch" of the LLM called gpt5 among several."""
    output = Path(output)
    return output.with_name(f"{output.name}{f'.{name}' if name else ''}.batch")


@contextmanager
def opened(folder: Path, identity: Mapping[str, object]) -> Iterator[Batches]:
    """Open the batches of an annotation; InputError if others are there, or another process has them.

    An error leaves the folder only if the server has requests whose answers are still to come.
    """

    def begun() -> bool:
        return bool(_read(folder).open)

    def clear() -> None:
        for path in folder.iterdir():
            if path.name != KIND.lock:
                path.unlink()

    with resumable(folder, KIND, dict(identity), begun=begun, clear=clear):
        batches = _read(folder)
        try:
            yield batches
        except BaseException:
            if not batches.are_at_server:
                remove(batches)
            raise


def _read(folder: Path) -> Batches:
    try:
        return Batches(folder)
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / 'state.json'} is damaged ({error}); delete the folder and run again") from error


def remove(batches: Batches) -> None:
    """Remove the folder, whose answers are in the cache, what tells of it first."""
    (batches.folder / KIND.manifest).unlink(missing_ok=True)
    shutil.rmtree(batches.folder, ignore_errors=True)
