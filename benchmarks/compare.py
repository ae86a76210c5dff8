"""Methods x tables x seeds: what each method reaches on the relabelled corpus and on the untouched test part.

    pip install 'silr[bench]'
    python benchmarks/compare.py FOLDER [--tables ...] [--methods ...] [--gold 100] [--jobs 2]
    python benchmarks/compare.py FOLDER --gold 0 25 50 100 200 500 --tables amazon nyt
    python benchmarks/compare.py FOLDER --quick

FOLDER holds ``NAME.csv.gz`` with the columns text, truth, llm_label and llm_score_<class>, and ``NAME.features.npy``
with the annotator's hidden states (TF-IDF of the corpus is used where that file is missing). For each seed the table is
split 8:2 into corpus and test part, and the corpus 7:1 into training and validation; gold labels are drawn from the
corpus as `silr label` draws them. Every method gets the same texts, features, LLM labels and gold labels. Labels of
the corpus are scored where there is no gold label: a classifier may know those by heart.

Results go into benchmarks/results/compare/TABLE.json as soon as they are there, and what is there is not computed
again (--again METHOD does); at the end, tables and plots of all results go into docs/benchmarks.md. --quick takes 300
rows and one seed, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from compare_report import RESULTS, cell, write_report
from methods import METHODS, Gold
from silr.errors import InputError, NoSignalError
from silr.files import write_json
from tables import TABLES, draw_gold, score, split

PACKAGES = ("silr", "torch", "scikit-learn", "numpy", "cleanlab")
QUICK_ROWS = 300


def one_cell(table: Path, method: str, seed: int, n_gold: int, rows: int | None) -> dict[str, Any]:
    """Scores of one method on one split, on one thread: there are as many processes as cores."""
    import torch

    torch.set_num_threads(1)
    part = split(table, seed, rows)
    began = time.monotonic()
    gold = Gold(*draw_gold(part, n_gold))
    scored = gold.labels < 0, slice(None)  # texts of the corpus, and of the test part
    try:
        with threadpool_limits(1):
            found = METHODS[method].run(part, gold)
    except (NoSignalError, InputError) as error:
        return {"refused": str(error)}
    by_iteration = [
        {name: score(part.truth[i][scored[i]], labels[i][scored[i]]) for i, name in enumerate(("corpus", "test"))}
        for labels in found
    ]
    return {**by_iteration[-1], "iterations": by_iteration, "seconds": round(time.monotonic() - began, 2)}


def missing(found: dict[str, Any], options: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """(table, method, seed, gold labels) of what is to be computed."""
    for table in options.tables:
        for n_gold in options.gold:
            for seed in range(options.seeds):
                for method in options.methods:
                    cell = found[table]["cells"].get(str(n_gold), {}).get(method, {})
                    if (n_gold or not METHODS[method].needs_gold) and str(seed) not in cell:
                        yield table, method, seed, n_gold


def main() -> None:
    options = parse()
    path = {table: RESULTS / f"{table}.json" for table in options.tables}
    found: dict[str, Any] = {table: {"cells": {}} for table in options.tables}
    for table in options.tables:
        if path[table].exists() and not options.quick:
            found[table] = json.loads(path[table].read_text())
        for cells in found[table]["cells"].values():
            for method in options.again:
                cells.pop(method, None)
    work = list(missing(found, options))
    print(f"{len(work):,} cells to compute on {options.jobs} cores")
    RESULTS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    rows = QUICK_ROWS if options.quick else None
    pool = ProcessPoolExecutor(options.jobs)
    try:
        jobs = {
            pool.submit(one_cell, options.folder / f"{table}.csv.gz", method, seed, n_gold, rows): (
                table, method, seed, n_gold,
            )
            for table, method, seed, n_gold in work
        }  # fmt: skip
        for done, job in enumerate(as_completed(jobs), start=1):
            table, method, seed, n_gold = jobs[job]
            if (error := job.exception()) is not None:
                raise RuntimeError(f"{table}, {method}, seed {seed}, {n_gold} gold labels") from error
            found[table]["cells"].setdefault(str(n_gold), {}).setdefault(method, {})[str(seed)] = job.result()
            found[table]["machine"] = machine()
            if not options.quick:
                write_json(path[table], found[table])
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done}/{len(work)}, {left:.0f} s left ", end="", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    for n_gold in options.gold:
        print(f"\n\nTest accuracy, {n_gold} gold labels, {options.seeds} seeds\n")
        chosen = {table: found[table]["cells"].get(str(n_gold), {}) for table in options.tables}
        print(markdown(chosen, options.methods))
    if not options.quick:
        write_report(list(METHODS))


def markdown(tables: dict[str, Any], methods: list[str]) -> str:
    """One row a method, one column a table: mean and deviation of the test accuracy over the seeds."""
    lines = ["| | " + " | ".join(tables) + " |", "| --- |" + " --- |" * len(tables)]
    for method in methods:
        lines.append(f"| {method} | " + " | ".join(cell(found.get(method, {})) for found in tables.values()) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--again", nargs="+", choices=METHODS, default=[], metavar="METHOD", help="compute anew")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--gold", nargs="+", type=int, default=[100])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="a smoke test: 300 rows, one seed, nothing is written")
    options = parser.parse_args()
    if options.quick:
        options.seeds = 1
    return options


if __name__ == "__main__":
    main()
