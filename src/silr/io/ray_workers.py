"""Pieces made by the machines of a Ray cluster: Ray Data hands them out to workers, and again where one is lost.

Ray talks much, and ends the process that lost its cluster. So it runs in a process of its own: the reports of its
workers come as lines of JSON, all else goes to a log.
"""

from __future__ import annotations

import _thread
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import starmap
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from silr import __version__
from silr.errors import InputError
from silr.extras import needs
from silr.io.factories import Factory, plain
from silr.io.files import os_errors
from silr.io.pieces import FOLDER, Piece
from silr.io.workers import Missing, Report, Worker, watched

ADDRESS = "RAY_ADDRESS"  # of a cluster, as Ray itself reads it; without one, the processors of this machine
LOG = "_ray.log"  # in the output; stays where something went wrong
MODEL_CORES = 4  # of a worker that runs a model without a GPU
RETRIES = 3  # of a piece whose worker was lost
SECONDS = 5.0  # for the head node to answer at all, and for a shared folder to show a new file
CLOSING_SECONDS = 60.0  # for workers to end what they started themselves, such as an engine that holds a GPU
CONNECTED, CONNECTING_SECONDS = "connected", 120.0  # what the process of Ray says first, and how long that may take


class Job(NamedTuple):
    """What the process of Ray and its workers get: one line of JSON, and no object of Python."""

    make: Factory[Worker]
    missing: list[tuple[Piece, Path]]
    output: Path
    folder: Path  # in which relative paths begin
    version: str
    has_model: bool
    drives: bool = False  # the worker is made once and hands out the work by Ray Data itself

    def to_json(self) -> str:
        """One line; InputError if a setting is no value of JSON."""
        try:
            return json.dumps(self._asdict(), default=plain)
        except (TypeError, ValueError) as error:
            raise InputError(f"--engine ray takes settings as data: {error}; use the local engine") from None

    @classmethod
    def from_json(cls, line: str | bytes) -> Job:
        """Read the line again."""
        values = json.loads(line)
        values["make"] = Factory(*values["make"])
        values["missing"] = [(Piece(Path(file), *rest), Path(path)) for (file, *rest), path in values["missing"]]
        return cls(**{**values, "output": Path(values["output"]), "folder": Path(values["folder"])})


def work_on_ray(
    missing: Missing,
    make: Factory[Worker],
    name: str,
    *,
    output: Path,
    has_model: bool,
    drives: bool,
    quiet: bool,
    say: Callable[[str], None],
) -> str | None:
    """Make pieces as `silr.io.workers.work` does, by one worker a GPU, a group of cores or a core of a Ray cluster.

    The cluster is that of ``RAY_ADDRESS``, or this machine. `make` goes to other machines as JSON; they see the same
    folders. `has_model` says that a worker loads a language model, `drives` that it is a `Driver`.

    Raises InputError if Ray is missing, a setting is no value of JSON, the cluster cannot be reached or is lost, or a
    worker raises one.
    """
    with needs("ray", "--engine ray"):
        if find_spec("ray") is None:
            raise ModuleNotFoundError(name="ray")
    _check_reachable(os.environ.get(ADDRESS))
    pieces = [(piece._replace(path=piece.path.absolute()), path.absolute()) for piece, path in missing]
    job = Job(make, pieces, output.absolute(), Path.cwd(), __version__, has_model, drives)
    log = output / LOG
    with watched(missing, name, quiet=quiet, say=say) as watch:
        for number, report in _reports(job, log):
            piece, path = missing[number]
            _check_shared(path)
            watch.advance(piece.rows)
            watch.finish(report)
    log.unlink(missing_ok=True)
    return watch.caution


def _reports(job: Job, log: Path) -> Iterator[tuple[int, Report]]:
    """The number of each piece that is done, and its report, as they come from the process of Ray."""
    sent = job.to_json().encode() + b"\n"
    command = [sys.executable, "-P", "-c", "from silr.io.ray_workers import main; main()"]  # no module of this folder
    with os_errors(f"cannot write {log}"), log.open("wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words)
    assert process.stdin is not None and process.stdout is not None
    done, is_connected = 0, False
    deadline = threading.Timer(CONNECTING_SECONDS, process.kill)
    deadline.start()
    try:
        process.stdin.write(sent)
        process.stdin.flush()
        for line in process.stdout:
            said = json.loads(line)
            if CONNECTED in said:
                is_connected = True
                deadline.cancel()
                continue
            if "error" in said:
                raise InputError(said["error"])
            yield said["number"], Report(said["lines"], said["caution"])
            done += 1
    except BrokenPipeError:
        pass  # it ended at once
    finally:
        deadline.cancel()
        process.terminate()
        process.wait()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
    if done < len(job.missing):
        at = os.environ.get(ADDRESS)
        cluster = f"the Ray cluster at {at}" if at else "Ray"
        where = f"{cluster} was lost" if is_connected else f"{cluster} does not answer"
        raise InputError(f"{where}, see {log}; finished pieces stay, the same command goes on")


def _check_reachable(address: str | None) -> None:
    """Raise InputError if nobody listens at the address of a head node; Ray itself would wait for long."""
    if address is None or ":" not in address:
        return
    host, _, port = address.rpartition("//")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"no Ray cluster answers at {address} ({reason}): start its head node, or correct {ADDRESS}"
        ) from None


def _check_shared(path: Path) -> None:
    """Raise InputError if a piece that a worker has written is not on this machine."""
    until = time.monotonic() + SECONDS
    while not path.exists():
        if time.monotonic() > until:
            raise InputError(f"a worker wrote {path}, and this machine has no such file: {_SHARED}")
        time.sleep(0.1)


_SHARED = "all machines of the cluster need the run, the texts and the output in shared folders of the same paths"


class PieceMaker:
    """Makes pieces by their numbers, in an actor of Ray; what goes wrong with the input is part of the row."""

    def __init__(self, job: str) -> None:
        self._job = Job.from_json(job)
        self._worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Make a piece."""
        number = int(row["number"])
        try:
            report = self._make(*self._job.missing[number])
        except InputError as error:
            return {"said": json.dumps({"error": f"{error} (on {socket.gethostname()})"})}
        return {"said": _line(number, report)}

    def _make(self, piece: Piece, path: Path) -> Report:
        if self._job.version != __version__:
            raise InputError(f"silr {__version__} is installed here, the command is of {self._job.version}")
        for needed in (piece.path, self._job.output / FOLDER.manifest):
            if not needed.is_file():
                raise InputError(f"{needed} is missing: {_SHARED}")
        if self._worker is None:
            with suppress(OSError):
                os.chdir(self._job.folder)
            self._worker = self._job.make()
        return self._worker(piece, path, lambda rows: None)


class Driver(Protocol):
    """A worker that makes pieces by Ray Data as it likes, where Ray is driven."""

    def reports(
        self, ray: Any, missing: Missing, count: int, room: Mapping[str, float]
    ) -> Iterator[tuple[int, Report]]:
        """Make all pieces; yield the number of each that is done, and its report; `count` and `room` as of `_room`."""


def _line(number: int, report: Report) -> str:
    return json.dumps({"number": number, "lines": list(report.lines), "caution": report.caution})


def main() -> None:
    """Run Ray: the job comes on standard input, whose end ends this process; reports go to standard output."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        job = Job.from_json(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
        try:
            with _cluster() as ray:
                print(json.dumps({CONNECTED: True}), file=out, flush=True)
                for said in _rows(ray, job):
                    print(said, file=out, flush=True)
        except InputError as error:
            print(json.dumps({"error": str(error)}), file=out, flush=True)
        except Exception as error:
            import traceback

            traceback.print_exc()
            reason = str(error).strip().splitlines() or [type(error).__name__]
            line = f"Ray failed ({reason[0]}), see {job.output / LOG}; finished pieces stay, the same command goes on"
            print(json.dumps({"error": line}), file=out, flush=True)


def _end_with(stdin: BinaryIO) -> None:
    """End this process, and so its work on the cluster, with the one that started it."""
    stdin.read(1)
    _thread.interrupt_main()  # which ends Ray in order
    time.sleep(CLOSING_SECONDS)
    os._exit(1)


@contextmanager
def _cluster() -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if os.environ.get(ADDRESS):
        ray.init(logging_level=logging.WARNING)
    else:  # not by whatever cluster ran here before
        ray.init("local", include_dashboard=False, logging_level=logging.WARNING)
    try:
        yield ray
    finally:
        ray.shutdown()


def _rows(ray: Any, job: Job) -> Iterator[str]:
    """The reports of all pieces, from workers of which there are as many as the cluster has room for."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    count, room = _room([node["Resources"] for node in ray.nodes() if node["Alive"]], job.has_model)
    if job.drives:
        driver: Any = job.make()
        return starmap(_line, driver.reports(ray, job.missing, count, room))
    pool = ray.data.ActorPoolStrategy(size=min(count, len(job.missing)), max_tasks_in_flight_per_actor=1)
    numbers = [{"number": number} for number in range(len(job.missing))]
    table = ray.data.from_items(numbers, override_num_blocks=len(numbers))
    again = {"max_task_retries": RETRIES, "max_restarts": -1}
    made = table.map(PieceMaker, fn_constructor_args=(job.to_json(),), compute=pool, **again, **room)
    return (row["said"] for row in made.iter_rows())


def _room(nodes: Sequence[Mapping[str, float]], has_model: bool) -> tuple[int, dict[str, float]]:
    """How many workers there are room for, and what each takes: a GPU, a group of cores, or a core without a model."""
    if has_model and (gpus := int(sum(node.get("GPU", 0) for node in nodes))):
        return gpus, {"num_gpus": 1}
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    group = min(MODEL_CORES if has_model else 1, *cores) if cores else 1
    return max(1, sum(each // group for each in cores)), {"num_cpus": group}
