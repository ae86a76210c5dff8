"""Kill `silr refine` at random moments, start it again until it ends, and compare with a run that nobody disturbed."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from command_line import Process, shared


@dataclass(frozen=True)
class Reference:
    """A table, and the run of it that nobody disturbed.

    `seconds` is how long its process lived, `work` the part of it after the first line that it printed.
    """

    table: Path
    run: Path
    options: list[str]
    seconds: float
    work: float


@dataclass
class Outcome:
    """One run: when it was killed (seconds after each first line), how much was finished then, and what is wrong."""

    killed: list[float] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def start(table: Path, run: Path, options: list[str]) -> Process:
    """Start refining, and wait for its first line: it has read the table."""
    process = shared().start("refine", table, "-o", run, *options)
    process.stdout.readline()
    return process


def undisturbed(table: Path, run: Path, options: list[str]) -> Reference:
    clock = time.monotonic()
    process = start(table, run, options)
    began = time.monotonic()
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors)
    return Reference(table, run, options, time.monotonic() - clock, time.monotonic() - began)


def killed_at_random(reference: Reference, run: Path, kills: int, rng: np.random.Generator) -> Outcome:
    """Send up to `kills` SIGKILLs, each at a random moment of the work that is left, then let it end."""
    outcome = Outcome()
    for _ in range(kills):
        process = start(reference.table, run, reference.options)
        left = 1 - finished(run) / (finished(reference.run) + 1)
        seconds = rng.uniform(0, reference.work * left)
        time.sleep(seconds)
        before = iterations(run)
        process.kill()
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:  # it was faster
            if process.returncode:
                outcome.wrong.append(errors)
            break
        outcome.killed.append(round(seconds, 2))
        outcome.finished.append(finished(run))
        if before.items() - iterations(run).items():
            outcome.wrong.append("a finished iteration was lost")
    before = iterations(run)
    last = start(reference.table, run, reference.options)
    _, errors = last.communicate()
    if last.returncode:
        outcome.wrong.append(errors)
    if before.items() - iterations(run).items():
        outcome.wrong.append("a finished iteration was done again")
    outcome.wrong += differences(reference.run, run)
    return outcome


def finished(run: Path) -> int:
    """How many iterations are there, the annotator's labels among them."""
    return len(list(run.glob("iteration-*")))


def iterations(run: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, modification time and size of all that lies in finished iterations."""
    found = {}
    for path in [*run.glob("iteration-*"), *run.glob("iteration-*/*")]:
        status = path.stat()
        found[str(path.relative_to(run))] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


def differences(expected: Path, run: Path) -> list[str]:
    """Files of the results that are not the same to the byte, and what no finished run should hold."""
    names = [path.relative_to(expected) for path in expected.rglob("*") if path.is_file()]
    names = [name for name in names if name.suffix in (".safetensors", ".npy", ".csv") or name.name == "iteration.json"]
    wrong = [f"{name} differs" for name in names if not same(expected / name, run / name)]
    wrong += [f"{path.relative_to(run)} is left" for path in run.rglob(".iteration-*")]
    return wrong


def same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()
