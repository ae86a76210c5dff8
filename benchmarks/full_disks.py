"""Fill the disk under each command of kills.py, give it room again, and compare with an undisturbed run.

The disk is a small file system of its own. A file leaves a part of what the command writes free, five parts in turn.
The command must end with exit code 2 and one line; the same command, once there is room, must end with the outputs of
an undisturbed one, to the byte, and leave no draft. A command that ends well fitted, or goes on without what it keeps.

    mount -t tmpfs -o size=64m tmpfs FOLDER
    python benchmarks/full_disks.py FOLDER [--only export ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from kills import DRAFTS, ROOT, SCRIPT, Case, answer, cases, chat_server, contents, fresh, lives, started

PARTS = (0.0, 0.05, 0.3, 0.6, 0.9)
LEFT_ALONE = 8192  # bytes that a label on the terminal takes at least: a part of nothing is no test


def end(case: Case, folder: Path, script: Path) -> tuple[int | None, str]:
    """Exit code and what it says of an error; of a terminal all that it shows."""
    with started(case, folder, script) as (process, terminal):
        if terminal is None:
            _, errors = process.communicate()
            return process.returncode, errors
        lives(process, terminal, 60)
        return process.poll(), ""


def size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def fill(disk: Path, left: int) -> Path:
    """A file that takes all but so many bytes of a disk."""
    state, path = os.statvfs(disk), disk / "filler"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(state.f_bavail * state.f_bsize - left, 1))
    return path


def trial(case: Case, disk: Path, script: Path, expected: dict[str, Any], left: int) -> dict[str, Any]:
    """One full disk, and the same command once there is room."""
    folder = fresh(case, disk / "run")
    filler = fill(disk, left)
    code, errors = end(case, folder, script)
    drafts = [name for path in folder.rglob("*") if DRAFTS.search(name := path.relative_to(folder).as_posix())]
    filler.unlink()
    whole = {"left": left, "code": code, "said": errors.strip().replace(str(disk), "DISK"), "drafts": drafts}
    again, errors = end(case, folder, script)
    if case.arguments[0] == "export" and not code:
        again, errors = 0, ""  # "exists already"
    found = contents(folder)
    differ = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    shutil.rmtree(folder)
    return {**whole, "again": again, "said_again": errors.strip() if again else "", "differ": differ}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("disk", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="cases whose names begin so")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, chat_server(answer) as (url, record):
        folder = Path(name)
        (script := folder / "silr_in_a_group.py").write_text(SCRIPT)
        for what, case in cases(folder, url, record).items():
            if options.only and not what.startswith(tuple(options.only)):
                continue
            reference = fresh(case, options.disk / "reference")
            before = size(reference)
            if end(case, reference, script)[0]:
                raise RuntimeError(what)
            expected, written = contents(reference), max(size(reference) - before, LEFT_ALONE)
            shutil.rmtree(reference)
            trials = [trial(case, options.disk, script, expected, int(part * written)) for part in PARTS]
            results[what] = trials
            print(what, written, *map(json.dumps, trials), sep="\n  ", flush=True)
    every = [each for trials in results.values() for each in trials]
    sums = {
        "trials": len(every),
        "refused": sum(each["code"] == 2 for each in every),
        "one line": sum(each["code"] == 2 and "\n" not in each["said"] for each in every),
        "ended well all the same": sum(each["code"] == 0 for each in every),
        "identical in the end": sum(not each["differ"] and not each["again"] for each in every),
    }
    print(sums)
    if not options.only:
        path = ROOT / "benchmarks" / "results" / "full_disks.json"
        path.write_text(json.dumps({**sums, "cases": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
