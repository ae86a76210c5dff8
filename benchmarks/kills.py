"""Kill each command with SIGKILL at random moments, start it again until it ends, and compare with an undisturbed one.

annotate (a server, a local model), label (the terminal), refine, estimate, predict on a table in pieces, and export.
Each is run once undisturbed. Then it is killed with all processes of its group, up to four times, at a random moment of
that time; started again; and in the end its outputs must be the same to the byte. No draft may be left, and the server
must not be asked again about a text whose answer it gave in full: at most those under way at a kill. The command line
starts from a process that has imported everything, so that the kills hit the work.

Run from anywhere: `python benchmarks/kills.py [--kills 100] [--minutes 60]`; some minutes on two cores. It adds to the
kills of the results file, at new moments, until there are so many; without that file it begins at none.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "kills.json"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "annotators" / "api")]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENAI_API_KEY", "sk-none")

from chat_server import Record, by_word, chat_server  # noqa: E402

from command_line import Process, shared  # noqa: E402
from pieces import in_pieces  # noqa: E402
from synthetic import make_corpus  # noqa: E402

SCRIPT = """
import os
if os.getpid() != os.getsid(0):  # that of a terminal has a group
    os.setpgrp()
from silr.cli.main import main
if __name__ == "__main__":
    main()
"""
AT_ONCE, GOLD, TEXTS = 8, 60, 300
DRAFTS = re.compile(r"(^|/)\.[^/]*\.(tmp|partial)(/|$)|\.partial(/|$)|(^|/)checkpoints/")
PASSING = ("run.json", "report.html", ".lock", "_silr.lock")  # they say when, or are the lock of a run
CLOCK = re.compile(rb'"(first|last|sessions|requests|prompt_tokens|completion_tokens|from_cache)": [^,\n}]+')


@dataclass
class Case:
    """A command to kill: its arguments and the input that it changes in a fresh folder."""

    arguments: list[str]
    copies: list[Path] = field(default_factory=list)
    terminal: bool = False
    record: Record | None = None


@dataclass
class Outcome:
    """What became of the runs of a case."""

    seconds: float
    runs: int = 0
    kills: int = 0
    identical: int = 0
    asked_again: int = 0
    under_way_at_most: int = 0
    killed_at: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def cases(folder: Path, url: str, record: Record) -> dict[str, Case]:
    """Make the inputs that all runs share; paths that a run makes are relative to its own folder."""
    call = partial(finished, folder)
    corpus = make_corpus(4000, n_gold=200)
    table = corpus.write(folder, "table.csv")
    asked = pd.DataFrame({"text": [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(TEXTS)]})
    asked.to_csv(folder / "asked.csv", index=False)
    call("refine", table, "-o", folder / "run", "--features", "tfidf")
    in_pieces(corpus.table()[["text", "llm_label"]], folder / "texts", [700, 1500, 2100, 2900, 3500])
    shutil.copytree(ROOT / "tests" / "made_by_0_1" / "model", folder / "model")
    unlabelled = corpus.table().drop(columns=["gold", "gold_weight"])
    unlabelled.to_csv(folder / "unlabelled.csv", index=False)
    classes = ["--classes", "negative,positive"]
    server = ["--model", "m", "--base-url", url, "--cache", "answers.sqlite", "--concurrency", str(AT_ONCE)]
    local = ["--model", str(folder / "model"), "--device", "cpu", "--dtype", "float32", "--question", "Is this good?"]
    run, asks = str(folder / "run"), str(folder / "asked.csv")
    label = ["label", "unlabelled.csv", "-n", str(GOLD), "--terminal", "--draw", "strata"]
    return {
        "annotate, server": Case(["annotate", asks, "-o", "out.csv", *server, *classes], record=record),
        "annotate, local": Case(["annotate", str(table), "-o", "out.csv", *local, *classes]),
        "label": Case(label, [folder / "unlabelled.csv"], terminal=True),
        "refine": Case(["refine", str(table), "-o", "run", "--features", "tfidf"]),
        "estimate --csv": Case(["estimate", run, "--csv", "tables"]),
        "estimate --dsl": Case(["estimate", run, "--dsl", "-o", "dsl.csv"]),
        "predict, pieces": Case(["predict", run, str(folder / "texts"), "-o", "scored"]),
        "export": Case(["export", run, "out"]),
        "export --distill": Case(["export", run, "out", "--distill"]),
    }


def finished(folder: Path, *arguments: object) -> None:
    done = shared()(*arguments, cwd=folder)
    if done.code:
        raise RuntimeError(done.err)


@contextmanager
def started(case: Case, folder: Path, script: Path) -> Iterator[tuple[Process, int | None]]:
    """The command in a process group of its own, with its terminal if it has one; all of it is dead at the end."""
    mine, theirs = pty.openpty() if case.terminal else (None, None)
    process = shared().start(*case.arguments, cwd=folder, script=script, terminal=theirs)
    if theirs is not None:
        os.close(theirs)
    try:
        yield process, mine
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        if mine is not None:
            os.close(mine)


def lives(process: Process, terminal: int | None, seconds: float) -> bool:
    """Whether it still runs after some seconds, in which a person answers what its terminal asks."""
    until, shown = time.monotonic() + seconds, ""
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        if terminal is None:
            time.sleep(min(0.005, max(0, until - time.monotonic())))
        elif select.select([terminal], [], [], 0.005)[0]:
            try:
                shown += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                continue
            if "Enter finish" in shown or "z save and stop\r\n" in shown:
                os.write(terminal, b"\r" if "Enter finish" in shown else b"1")
                shown = ""
    return True


def run_to_the_end(case: Case, folder: Path, script: Path) -> str:
    """Run it; what it says of an error, or nothing."""
    with started(case, folder, script) as (process, terminal):
        if terminal is not None:
            lives(process, terminal, 60)
            return "" if process.poll() == 0 else f"exit code {process.poll()}"
        _, errors = process.communicate()
        there = case.arguments[0] == "export" and "exists already" in errors  # it was killed after its last act
        return "" if process.returncode == 0 or there else errors.strip()


def fresh(case: Case, folder: Path) -> Path:
    folder.mkdir()
    for path in case.copies:
        shutil.copy(path, folder)
    return folder


def contents(folder: Path) -> dict[str, Any]:
    """The outputs by their names, without what says when they were made."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in PASSING]
    return {path.relative_to(folder).as_posix(): content(path) for path in paths if ".sqlite" not in path.name}


def content(path: Path) -> Any:
    """The bytes of a file; of a record without counts of requests; of skops the arrays, without the ids."""
    if path.suffix == ".skops":
        with zipfile.ZipFile(path) as archive:
            return sorted((each.CRC, each.file_size) for each in archive.infolist() if each.filename != "schema.json")
    return CLOCK.sub(b"", path.read_bytes()) if path.name.endswith(".annotator.json") else path.read_bytes()


def disturbed(case: Case, outcome: Outcome, folder: Path, script: Path, expected: Any, seed: int) -> None:
    """One run with up to four kills."""
    rng, kills = np.random.default_rng(seed), 1 + seed % 4
    before, wrong, done = case.record.requests if case.record else 0, "", 0
    for _ in range(kills):
        with started(case, folder, script) as (process, terminal):
            moment = rng.uniform(0, outcome.seconds)
            if not lives(process, terminal, moment):
                break
        outcome.killed_at.append(round(moment, 2))
        done += 1
    wrong = run_to_the_end(case, folder, script)
    found = contents(folder)
    differ = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    left = [name for path in folder.rglob("*") if DRAFTS.search(name := path.relative_to(folder).as_posix())]
    if case.record is not None:
        outcome.asked_again += case.record.requests - before - TEXTS
        outcome.under_way_at_most += done * AT_ONCE
    outcome.runs, outcome.kills = outcome.runs + 1, outcome.kills + done
    outcome.identical += not (wrong or differ or left)
    said = [wrong] * bool(wrong) + [f"differs: {name}" for name in differ] + [f"is left: {name}" for name in left]
    outcome.wrong += [f"run {seed}: {each}" for each in said]


def undisturbed(case: Case, folder: Path, script: Path) -> tuple[Outcome, dict[str, Any]]:
    """How long it takes, and its outputs."""
    folder.mkdir()
    began = time.monotonic()
    reference = fresh(case, folder / "reference")
    if wrong := run_to_the_end(case, reference, script):
        raise RuntimeError(wrong)
    return Outcome(round(time.monotonic() - began, 2)), contents(reference)


def answer(body: dict[str, Any]) -> str:
    time.sleep(0.02)
    return by_word(body)


def kept(name: str, seconds: float) -> Outcome:
    """What earlier runs of a case left in the results file; the time is that of now."""
    cases = json.loads(RESULTS.read_text())["cases"] if RESULTS.exists() else {}
    return Outcome(**{**cases.get(name, {}), "seconds": seconds})


def sums(outcomes: dict[str, Outcome]) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in outcomes.values()) for name in ("kills", "runs", "identical")}


def write(outcomes: dict[str, Outcome]) -> None:
    values = {**sums(outcomes), "cases": {name: vars(each) for name, each in outcomes.items()}}
    (beside := RESULTS.with_suffix(".tmp")).write_text(json.dumps(values, indent=2) + "\n")
    beside.replace(RESULTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="at least so many in all")
    parser.add_argument("--minutes", type=float, default=60, help="begin no more runs after so many")
    parser.add_argument("--only", nargs="*", default=[], help="cases whose names begin so")
    options = parser.parse_args()
    wanted: Callable[[str], bool] = lambda name: not options.only or name.startswith(tuple(options.only))  # noqa: E731
    with tempfile.TemporaryDirectory() as name, chat_server(answer) as (url, record):
        folder = Path(name)
        (script := folder / "silr_in_a_group.py").write_text(SCRIPT)
        chosen = {name: case for name, case in cases(folder, url, record).items() if wanted(name)}
        folders = {name: folder / f"case-{number}" for number, name in enumerate(chosen)}
        first = {name: undisturbed(case, folders[name], script) for name, case in chosen.items()}
        outcomes = {name: kept(name, outcome.seconds) for name, (outcome, _) in first.items()}
        until = time.monotonic() + 60 * options.minutes
        while sum(each.kills for each in outcomes.values()) < options.kills and time.monotonic() < until:
            for name, case in chosen.items():
                seed = outcomes[name].runs
                run = fresh(case, folders[name] / f"run-{seed}")
                disturbed(case, outcomes[name], run, script, first[name][1], seed)
                print(f"{name}: {json.dumps(vars(outcomes[name]))}", flush=True)
                if not options.only:
                    write(outcomes)
    print(total := sums(outcomes))
    sys.exit(total["runs"] != total["identical"])


if __name__ == "__main__":
    main()
