"""Memory and time of `silr refine`, `estimate` and `predict` on tables in pieces, each command a process of its own.

    python benchmarks/larger_than_memory.py WORK [--rows 1000000 5000000 20000000] [--limit 6]

WORK is a folder for the tables, the runs and the results in pieces; one of 20 million rows takes 6 GB. A table is a
folder of parquet files of a million short texts each, with the labels of an LLM, 200 gold labels in all and a column of
groups. The features are a float16 file of 64 columns.

Peak memory is what a process holds of its own (RssAnon, looked at twenty times a second): pages of the memory-mapped
features are the system's, which takes them back when it likes. The limit, in GiB, is on such memory too (RLIMIT_DATA),
so that a command that wants more of it fails. Prints seconds of the processor and of the clock, peaks and bytes a row;
writes results/larger_than_memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "larger_than_memory.json"
PIECE, WIDTH, GOLD = 1_000_000, 64, 200
COMMANDS: dict[str, list[str]] = {
    "refine": ["refine", "texts", "-o", "run", "--features", "features.npy", "--quiet"],
    "estimate": ["estimate", "run", "--by", "party", "--json"],
    "predict": ["predict", "run", "texts", "-o", "predicted", "--features", "features.npy", "--quiet"],
}


def make_table(folder: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "texts").mkdir(parents=True)
    rng = np.random.default_rng(0)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (rows, WIDTH))
    direction = rng.normal(size=WIDTH).astype(np.float32) / 8
    parties = np.array(["left", "right", "centre"])
    for start in range(0, rows, PIECE):
        n = min(PIECE, rows - start)
        truth = rng.random(n) < 0.4
        features[start : start + n] = rng.standard_normal((n, WIDTH), np.float32) + np.outer(truth * 2 - 1, direction)
        llm = np.where(rng.random(n) < np.where(truth, 0.1, 0.4), ~truth, truth)
        gold = np.full(n, None, object)
        drawn = rng.choice(n, round(GOLD * n / rows), replace=False)
        gold[drawn] = np.where(truth[drawn], "yes", "no")
        numbers = rng.integers(1000, size=n).tolist()
        columns = {
            "text": [f"short text {start + row} of {number}" for row, number in enumerate(numbers)],
            "llm_label": np.where(llm, "yes", "no"),
            "gold": pa.array(gold, pa.string()),
            "party": parties[rng.integers(3, size=n)],
        }
        pq.write_table(pa.table(columns), folder / "texts" / f"part-{start // PIECE:05}.parquet")
    features.flush()


def measure(command: list[str], folder: Path, limit: float) -> dict[str, float]:
    """Run a command in a folder; InputError and the like end the benchmark."""
    most = int(limit * 2**30)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "silr", *command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_DATA, (most, most)),
    )
    peak = 0
    while True:
        peak = max(peak, own_memory(process.pid))
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.05)
    if status:
        raise SystemExit(f"silr {' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gib": round(peak / 2**30, 3),
        "resident_gib": round(used.ru_maxrss / 2**20, 3),
    }


def own_memory(pid: int) -> int:
    """Bytes of a process that are in no file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--limit", type=float, default=6.0, help="GiB of memory of its own that a command may take")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for rows in arguments.rows:
        folder = arguments.work / str(rows)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make_table(folder, rows)
            (folder / "made").touch()
        for name in arguments.commands:
            if name in ("refine", "predict"):
                shutil.rmtree(folder / ("run" if name == "refine" else "predicted"), ignore_errors=True)
            values = measure(COMMANDS[name], folder, arguments.limit)
            results = [each for each in results if (each["rows"], each["command"]) != (rows, name)]
            results.append({"rows": rows, "command": name, "limit_gib": arguments.limit, **values})
            seconds = f"{values['processor_seconds']:6.0f} s of the processor, {values['seconds']:6.0f} s"
            peak = f"peak {values['peak_gib']:.2f} GiB, {values['peak_gib'] * 2**30 / rows:4.0f} bytes a row"
            print(f"{rows:>10,} {name:9} {seconds}, {peak}", flush=True)
            RESULTS.write_text(json.dumps(sorted(results, key=lambda each: each["rows"]), indent=1) + "\n")


if __name__ == "__main__":
    main()
