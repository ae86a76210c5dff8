"""Many classes: do the estimated accuracies hold, is the result never below the LLM, and what does it cost?

    python benchmarks/many_classes.py [--draws 60] [--fits 1] [--jobs 2]

Simulated corpora of 3,000 texts with 2 to 150 classes of uneven size, and an LLM that is right on 30 to 95 % of them,
on each class more or less often. Gold labels are drawn by strata, as `silr label --draw strata` does, or at random
without weights. The LLM's estimate needs no fit and has many draws. The result's has few, with features that tell the
classes apart on most texts, and with features that tell nothing. The time is that of 20,000 texts with 100 gold labels,
a class at least one, as a ratio to two classes in the same run.

Writes benchmarks/results/many_classes.json and a table into docs/design/benchmarks.md; what is there is not
computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from compare_report import put_into_document
from silr import LabelRefiner
from silr.io.files import write_json
from silr.label.draw import draw_texts
from silr.stats.priors import priors_from_gold

RESULTS = Path(__file__).parent / "results" / "many_classes.json"
MARK = "many_classes.py"
CLASSES, RIGHT, GOLD, DESIGNS = (2, 5, 20, 77, 150), (0.3, 0.6, 0.8, 0.95), (50, 100, 300), ("strata", "random")
FEATURES = {"telling": 1.0, "noise": 0.0}
N, WIDTH = 3000, 64


def corpus(K: int, right: float, rng: np.random.Generator, n: int = N) -> tuple[Any, Any]:
    """True and LLM labels. Accuracies of the classes have a deviation of 0.15; wrong labels are spread evenly."""
    truth = rng.choice(K, n, p=rng.dirichlet(np.full(K, 2.0)))
    of_class = np.clip(right + rng.normal(0, 0.15, K), 0.02, 1)
    wrong = (truth + rng.integers(1, K, n)) % K
    return truth, np.where(rng.random(n) < of_class[truth], truth, wrong)


def drawn(truth: Any, llm: Any, n_gold: int, design: str, seed: int) -> tuple[Any, Any]:
    """Gold labels, -1 where there is none, and their weights, None if they were drawn at random."""
    gold, weight = np.full(len(truth), -1), None
    if design == "random":
        rows = np.random.default_rng(seed).choice(len(truth), n_gold, replace=False)
    else:
        rows, of_rows = draw_texts(llm, n_gold, seed)
        weight = np.full(len(truth), np.nan)
        weight[rows] = of_rows
    gold[rows] = truth[rows]
    return gold, weight


def possible(llm: Any, n_gold: int, design: str) -> bool:
    """`silr label` draws each LLM label once at least."""
    return design == "random" or len(np.unique(llm)) <= n_gold


def llm_draws(K: int, right: float, n_gold: int, design: str, draws: int) -> dict[str, float]:
    """How often the interval of the LLM's accuracy holds it, and its mean width."""
    held, widths = [], []
    for seed in range(draws):
        truth, llm = corpus(K, right, np.random.default_rng(seed))
        if possible(llm, n_gold, design):
            gold, weight = drawn(truth, llm, n_gold, design, seed)
            low, high = priors_from_gold(llm, gold, K, weight, llm).accuracy_interval
            held.append(holds(float((llm == truth).mean()), low, high))
            widths.append(high - low)
    return {"draws": len(held), **({"covered": np.mean(held), "width": np.mean(widths)} if held else {})}


def holds(value: float, low: float, high: float) -> bool:
    return bool(low - 1e-9 <= value <= high + 1e-9)


def fit(K: int, right: float, n_gold: int, design: str, features: str, seed: int) -> dict[str, float] | None:
    """Accuracy of the refined labels of texts without gold label, what is estimated of it, and the LLM's."""
    rng = np.random.default_rng(seed)
    truth, llm = corpus(K, right, rng)
    if not possible(llm, n_gold, design):
        return None
    gold, weight = drawn(truth, llm, n_gold, design, seed)
    centres = rng.normal(0, FEATURES[features] * 5 / np.sqrt(WIDTH), (K, WIDTH))
    X = (centres[truth] + rng.normal(0, 1, (len(truth), WIDTH))).astype(np.float32)
    refiner = LabelRefiner(random_state=0)
    with threadpool_limits(1):
        refiner.fit(X, llm, gold=np.where(gold < 0, None, gold), gold_weight=weight, classes=np.arange(K))
    free = gold < 0
    low, high = refiner.priors_.accuracy_interval
    return {
        "truth": float((refiner.labels_ == truth)[free].mean()),
        "value": refiner.priors_.accuracy,
        "low": float(low),
        "high": float(high),
        "LLM": float((llm == truth)[free].mean()),
    }


def seconds(K: int, n: int = 20_000) -> float:
    """Of one fit on one core."""
    rng = np.random.default_rng(0)
    truth, llm = corpus(K, 0.8, rng, n)
    gold, _ = drawn(truth, llm, max(100, K), "random", 0)
    X = rng.normal(0, 1, (n, WIDTH)).astype(np.float32)
    began = time.process_time()
    with threadpool_limits(1):
        LabelRefiner(random_state=0).fit(X, llm, gold=np.where(gold < 0, None, gold), classes=np.arange(K))
    return time.process_time() - began


def markdown(cells: dict[str, Any]) -> list[str]:
    """One row a number of classes, design and number of gold labels; means over the accuracies of the LLM."""
    lines = [
        "| classes | gold labels | drawn | LLM: covered | of four LLMs, least and most | width "
        "| result: covered | gain, telling features | gain, noise | least gain of a draw |"
    ]
    lines.append("| --- " * 10 + "|")
    for K, n_gold, design in product(CLASSES, GOLD, DESIGNS):
        key = [f"{K}/{right}/{n_gold}/{design}" for right in RIGHT]
        of_llm = [found for each in key if "covered" in (found := cells["llm"].get(each, {}))]
        if not of_llm:
            continue
        share = [each["covered"] for each in of_llm]
        width = np.mean([each["width"] for each in of_llm])
        row = [str(K), str(n_gold), design, f"{100 * np.mean(share):.0f} %"]
        row += [f"{100 * min(share):.0f} to {100 * max(share):.0f} %", f"{100 * width:.0f}"]
        fits = {
            name: [d for each in key for d in cells["fits"].get(f"{each}/{name}", {}).values()] for name in FEATURES
        }
        every = [each for found in fits.values() for each in found]
        held = [holds(each["truth"], each["low"], each["high"]) for each in every]
        row.append(f"{100 * np.mean(held):.0f} %" if every else "-")
        for found in fits.values():
            gains = [each["truth"] - each["LLM"] for each in found]
            error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
            row.append(f"{100 * np.mean(gains):+.1f} ± {100 * error:.1f}" if gains else "-")
        row.append(f"{100 * min(each['truth'] - each['LLM'] for each in every):+.1f}" if every else "-")
        lines.append("| " + " | ".join(row) + " |")
    if times := cells.get("seconds"):
        ratios = ", ".join(f"{K} classes {times[K] / times['2']:.1f}" for K in times if K != "2")
        lines += ["", f"Time of 20,000 texts as a multiple of that with two classes: {ratios}."]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=60, help="for the LLM's estimate")
    parser.add_argument("--fits", type=int, default=1, help="draws for the result, each with either kind of features")
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"llm": {}, "fits": {}}
    cells["llm"] = {cell: each for cell, each in cells["llm"].items() if each["asked"] == options.draws}
    work: list[tuple[str, str, int, Any, tuple[Any, ...]]] = []
    for K, right, n_gold, design in product(options.classes, RIGHT, GOLD, DESIGNS):
        cell = f"{K}/{right}/{n_gold}/{design}"
        if cell not in cells["llm"]:
            work.append(("llm", cell, options.draws, llm_draws, (K, right, n_gold, design, options.draws)))
        for name, seed in product(FEATURES, range(options.fits)):
            if str(seed) not in cells["fits"].setdefault(f"{cell}/{name}", {}):
                work.append(("fits", f"{cell}/{name}", seed, fit, (K, right, n_gold, design, name, seed)))
    print(f"{len(work):,} cells and fits to compute", flush=True)
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(run, *arguments): where for *where, run, arguments in work}
        for done, job in enumerate(as_completed(jobs), start=1):
            kind, cell, number = jobs[job]
            if (found := job.result()) is not None:
                values = {name: round(float(value), 4) for name, value in found.items()}
                if kind == "llm":
                    cells["llm"][cell] = {"asked": number, **values}
                else:
                    cells["fits"][cell][str(number)] = values
            write_json(RESULTS, cells)
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done:,}/{len(work):,}, {left:.0f} s left ", end="", flush=True)
    if "seconds" not in cells:
        cells["seconds"] = {str(K): round(seconds(K), 2) for K in (2, 20, 77, 150)}
    write_json(RESULTS, cells)
    lines = markdown(cells)
    print("\n" + "\n".join(lines))
    put_into_document(MARK, lines)


if __name__ == "__main__":
    main()
