"""Whether the intervals of `silr estimate` hold, and how wide they are beside others', by simulation on real tables.

    python benchmarks/estimate_coverage.py FOLDER [--draws 500] [--jobs 1] [--only NAME] [--work ...]
    python benchmarks/estimate_coverage.py --report

FOLDER holds the tables that compare.py reads, and `strong/`. Of each table at most 2,000 random texts are the corpus.
Gold labels are drawn from the truth, 500 times at 50, 100 and 300 labels (at most 60 % of the corpus), at random and as
`silr label` draws them by strata. Every estimator sees the same gold labels and the LLM's labels, nothing else; the
rivals see the first 100 draws. The truth is that of the whole corpus. Records lie in --work, a line a case; a stopped
benchmark goes on with the next.

naive            counts the LLM's labels; Wald's interval
gold             weighted mean of the gold labels alone; the same interval as silr's
silr             `silr.estimate` of a table: predictions are how often each label is right, without the own gold label
ppi-python       ppi_py.ppi_mean_ci with power tuning, and with weights
glide-py         PPIMeanEstimator, or StratifiedPPIMeanEstimator by LLM label
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from silr.estimates.evidence import Evidence
from silr.estimates.quality import quality
from silr.estimates.shares import Shares
from silr.io.corpus import label_column, read_table
from silr.io.files import write_json
from silr.label.draw import Draw, gold_weights, make_strata
from silr.stats.label_table import expected_by_label
from silr.stats.prediction_powered import Parts, prediction_powered_means, share_limits

RESULTS = Path(__file__).parent / "results" / "estimate_coverage.json"
SIZES, DESIGNS, LARGEST = (50, 100, 300), ("random", "strata"), 2000
MOST_OF_CORPUS = 0.6
RIVALS = ("ppi-python", "glide-py")
ORDER = ("naive", "gold", "silr", "run", *RIVALS)
DRAWS_OF_RIVALS = 100  # at most
Limits = dict[str, tuple[float, float]]  # by cell


class Case:
    """A corpus with the labels of one LLM."""

    def __init__(self, path: Path, column: str) -> None:
        frame = read_table(path)
        self.rows = np.sort(np.random.default_rng(0).permutation(len(frame))[:LARGEST])
        frame = frame.iloc[self.rows].reset_index(drop=True)
        truth = label_column(frame, "truth", path)
        self.name = f"{path.name.split('.')[0]}, {column.removeprefix('llm_label').strip('_') or 'SmolLM2'}"
        self.classes = sorted(set(map(str, truth)))
        code = {name: number for number, name in enumerate(self.classes)}
        self.truth = np.array([code[str(label)] for label in truth])
        self.llm = np.array([code.get(str(label), -1) for label in label_column(frame, column, path)])
        length = frame["text"].str.len().to_numpy()
        order = length.argsort(kind="stable").argsort(kind="stable")
        n = len(frame)
        # by length, which errors of an LLM depend on, and by chance
        self.groups = {"length": order * 4 // n, "chance": np.random.default_rng(1).integers(0, 2, n)}
        self.cells = self._cells()
        self.strata = make_strata(self.llm, len(self.classes))

    def __len__(self) -> int:
        return len(self.truth)

    def _cells(self) -> dict[str, float]:
        """The truth of every quantity; of two classes the second alone."""
        cells, K = {}, len(self.classes)
        for k in range(1 if K == 2 else 0, K):
            is_k = self.truth == k
            cells[f"share {k}"] = is_k.mean()
            for name, groups in self.groups.items():
                first, *others = range(groups.max() + 1)
                for j in others:
                    cells[f"difference {k} {name}={j}"] = is_k[groups == j].mean() - is_k[groups == first].mean()
            cells[f"recall {k}"] = (self.llm[is_k] == k).mean()
            if (self.llm == k).any():
                cells[f"precision {k}"] = is_k[self.llm == k].mean()
                both = (is_k & (self.llm == k)).sum()
                cells[f"f1 {k}"] = 2 * both / (is_k.sum() + (self.llm == k).sum())
        cells["accuracy"] = (self.llm == self.truth).mean()
        return {name: float(value) for name, value in cells.items()}

    def order(self, seed: int) -> list[int]:
        """The texts that `silr label` asks about, in its order."""
        draw, drawn = Draw(self.strata, seed), []
        while len(drawn) < min(max(SIZES), int(MOST_OF_CORPUS * len(self))):
            drawn.append(draw.next(set(drawn), ()))
        return drawn

    def sample(self, design: str, n: int, seed: int, order: list[int] | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows with gold and for how many texts each speaks."""
        if design == "strata":
            rows = np.sort(np.array(order[:n]))
            weights = gold_weights(self.strata, rows)
            return rows, weights * (len(self) / weights.sum())
        rows = np.sort(np.random.default_rng([seed, 7]).permutation(len(self))[:n])
        return rows, np.full(n, len(self) / n)


def silr(case: Case, rows: np.ndarray, weights: np.ndarray) -> Limits:
    gold, weight = np.full(len(case), -1), np.zeros(len(case))
    gold[rows], weight[rows] = case.truth[rows], weights
    K = len(case.classes)
    p = expected_by_label(case.llm, gold, weight, rows, K)
    evidence = Evidence("", pd.DataFrame(), list(map(str, range(K))), gold, weight, p, {"llm": case.llm})
    return of_evidence(case, evidence, "llm")


def of_evidence(case: Case, evidence: Evidence, column: str) -> Limits:
    shares = Shares(evidence)
    limits = {f"share {row.class_name}": (row.low, row.high) for row in shares.overall()}
    for name, groups in case.groups.items():
        _, differences = shares.of_groups(groups, [str(j) for j in range(groups.max() + 1)])
        for row in differences:
            if row.less == "0":
                limits[f"difference {row.class_name} {name}={row.group}"] = (row.low, row.high)
    for row in quality(evidence, column):
        limits[f"{row.measure} {row.class_name}" if row.class_name else row.measure] = (row.low, row.high)
    return limits


def gold_alone(case: Case, rows: np.ndarray, weights: np.ndarray) -> Limits:
    """Weighted shares of the gold labels, of a group or a label those of its texts."""
    truth, llm = case.truth[rows], case.llm[rows]

    def mean(values: np.ndarray, inside: np.ndarray, size: int) -> tuple[float, float, float, float]:
        u, w, m = values[inside].astype(float)[:, None], weights[inside], int(inside.sum())
        if m < 2:
            return 0.5, 0.0, 1.0, np.inf
        nothing = np.zeros_like(u)
        means = prediction_powered_means(Parts(u, nothing, nothing, w), np.zeros(1), size, 0.0)
        # without the model's word, which gold alone does not have
        variance = means.variance * (m + 5) / m
        low, high = share_limits(means.value, variance, m)
        return float(means.value[0]), float(low[0]), float(high[0]), float(variance[0])

    limits: Limits = {}
    every = np.ones(len(rows), dtype=bool)
    for k in range(len(case.classes)):
        is_k, said = truth == k, llm == k
        limits[f"share {k}"] = mean(is_k, every, len(case))[1:3]
        for name, groups in case.groups.items():
            of = [mean(is_k, groups[rows] == j, int((groups == j).sum())) for j in range(groups.max() + 1)]
            for j in range(1, len(of)):
                middle = of[j][0] - of[0][0]
                low = middle - np.hypot(of[j][0] - of[j][1], of[0][2] - of[0][0])
                high = middle + np.hypot(of[j][2] - of[j][0], of[0][0] - of[0][1])
                limits[f"difference {k} {name}={j}"] = (low, high)
        size = weights[is_k].sum()
        limits[f"recall {k}"] = mean(said, is_k, size)[1:3] if is_k.any() else (0.0, 1.0)
        limits[f"precision {k}"] = mean(is_k, said, max((case.llm == k).sum(), 1))[1:3]
    limits["accuracy"] = mean(truth == llm, every, len(case))[1:3]
    return limits


def naive(case: Case) -> Limits:
    """Labels are counted as if they were true."""
    limits = {}

    def wald(share: float, n: int) -> tuple[float, float]:
        half = 1.96 * np.sqrt(share * (1 - share) / max(n, 1))
        return share - half, share + half

    for k in range(len(case.classes)):
        said = case.llm == k
        limits[f"share {k}"] = wald(said.mean(), len(case))
        for name, groups in case.groups.items():
            for j in range(1, groups.max() + 1):
                p, q = said[groups == j].mean(), said[groups == 0].mean()
                half = 1.96 * np.sqrt(p * (1 - p) / (groups == j).sum() + q * (1 - q) / (groups == 0).sum())
                limits[f"difference {k} {name}={j}"] = (p - q - half, p - q + half)
    return limits


def ppi_python(case: Case, rows: np.ndarray, weights: np.ndarray, design: str) -> Limits:
    from ppi_py import ppi_mean_ci

    others = np.setdiff1d(np.arange(len(case)), rows)
    limits = {}
    for k in range(len(case.classes)):
        said = (case.llm == k).astype(float)
        w = None if design == "random" else weights * len(rows) / weights.sum()
        low, high = ppi_mean_ci((case.truth[rows] == k).astype(float), said[rows], said[others], alpha=0.05, w=w)
        limits[f"share {k}"] = (float(np.squeeze(low)), float(np.squeeze(high)))
    return limits


def glide(case: Case, rows: np.ndarray, weights: np.ndarray, design: str) -> Limits:
    from glide.estimators import PPIMeanEstimator, StratifiedPPIMeanEstimator

    limits = {}
    for k in range(len(case.classes)):
        truth = np.full(len(case), np.nan)
        truth[rows] = case.truth[rows] == k
        said = (case.llm == k).astype(float)
        try:
            if design == "random":
                result = PPIMeanEstimator().estimate(truth, said)
            else:  # within a stratum the label is constant, which its power tuning refuses
                result = StratifiedPPIMeanEstimator().estimate(truth, said, case.llm, power_tuning=False)
        except ValueError:
            continue
        low, high = result.confidence_interval.lower_bound, result.confidence_interval.upper_bound
        limits[f"share {k}"] = (float(low), float(high))
    return limits


def estimators(rivals: list[str]) -> dict[str, Any]:
    known = {
        "naive": lambda case, rows, weights, design: naive(case),
        "gold": lambda case, rows, weights, design: gold_alone(case, rows, weights),
        "silr": lambda case, rows, weights, design: silr(case, rows, weights),
        "ppi-python": ppi_python,
        "glide-py": glide,
    }
    return {name: function for name, function in known.items() if name not in RIVALS or name in rivals}


def run_case(path: Path, column: str, draws: int, rivals: list[str]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    case = Case(path, column)
    cells: dict[str, Any] = defaultdict(lambda: [0, 0, 0.0])  # draws with an interval, covered, width
    for seed in range(draws):
        order = case.order(seed)
        for design in DESIGNS:
            for n in SIZES:
                if n > MOST_OF_CORPUS * len(case):
                    continue
                rows, weights = case.sample(design, n, seed, order)
                for name, function in estimators(rivals if seed < DRAWS_OF_RIVALS else []).items():
                    limits = function(case, rows, weights, design)
                    for cell, truth in case.cells.items():
                        if cell in limits and np.isfinite(limits[cell][0]):
                            low, high = limits[cell]
                            counts = cells[f"{name}|{design}|{n}|{cell}"]
                            counts[0] += 1
                            counts[1] += int(low - 1e-12 <= truth <= high + 1e-12)
                            counts[2] += high - low
    return {"case": case.name, "texts": len(case), "draws": draws, "cells": dict(cells)}


def cases(folder: Path) -> Iterator[tuple[Path, str]]:
    """Tables and up to two LLMs of each."""
    for path in sorted([*folder.glob("*.csv.gz"), *(folder / "strong").glob("*.csv.gz")]):
        columns = [name for name in read_table(path).columns if name.startswith("llm_label")]
        for column in columns[:2]:
            yield path, column


def available() -> list[str]:
    names = []
    for name, module in zip(RIVALS, ("ppi_py", "glide"), strict=True):
        try:
            __import__(module)
            names.append(name)
        except ImportError:
            print(f"{name} is not installed: left out")
    return names


def summary(records: list[dict[str, Any]], own: str = "silr") -> dict[str, Any]:
    """By kind, drawing, gold labels and estimator: coverage of cells, and widths beside those of `own`."""
    groups: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)  # coverage and width by cell
    for record in records:
        for key, (count, covered, width) in record["cells"].items():
            name, design, n, cell = key.split("|")
            asked = min(record["draws"], DRAWS_OF_RIVALS) if name in RIVALS else record["draws"]
            if count >= 0.5 * asked:
                group = "|".join((cell.split()[0], design, n, name))
                groups[group][f"{record['case']}: {cell}"] = covered / count, width / count
    values = {}
    for key, cells in sorted(groups.items()):
        kind, design, n, _ = key.split("|")
        ours = groups["|".join((kind, design, n, own))]
        both = [(ours[cell][1], width) for cell, (_, width) in cells.items() if cell in ours]
        own_width, width = np.sum(both, axis=0) if both else (0.0, 0.0)
        least = min(cells, key=lambda cell: cells[cell][0])
        values[key] = {
            "coverage": round(float(np.mean([covered for covered, _ in cells.values()])), 4),
            "least": round(cells[least][0], 3),
            "least_cell": least,
            "below_90": sum(covered < 0.9 for covered, _ in cells.values()),
            "cells": len(cells),
            "width": round(float(np.mean([width for _, width in cells.values()])), 4),
            "own_width": round(float(own_width / width), 3) if width else None,
        }
    return values


def report(values: dict[str, Any]) -> None:
    print(
        "| quantity | drawn | gold | estimator | coverage | least | cells below 90 % | width | silr's width, of this |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    keys = [key.split("|") for key in values]
    for kind, design, n, name in sorted(keys, key=lambda key: (*key[:2], int(key[2]), ORDER.index(key[3]))):
        row = values["|".join((kind, design, n, name))]
        print(
            f"| {kind} | {design} | {n} | {name} | {100 * row['coverage']:.1f} | {100 * row['least']:.1f} | "
            f"{row['below_90']} of {row['cells']} | {row['width']:.3f} | {_ratio(row['own_width'])} |"
        )


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def options_of(doc: str | None, name: str, draws: int) -> argparse.ArgumentParser:
    """Options that the benchmarks of estimates share; records lie in `name`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=draws)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", type=Path, default=Path("build") / f"{name}.jsonl")
    parser.add_argument("--report", action="store_true")
    return parser


def simulate(run: Callable[..., dict[str, Any]], args: argparse.Namespace, results: Path, own: str = "silr") -> None:
    """Do the open cases with `run(path, column)`; print the summary, and write it unless it is of `--only` some."""
    if args.report:
        report(json.loads(results.read_text())["summary"])
        return
    args.work.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in args.work.read_text().splitlines()] if args.work.exists() else []
    names = {record["case"] for record in done}
    todo = [each for each in cases(args.folder) if args.only in each[0].name and Case(*each).name not in names]
    with ProcessPoolExecutor(args.jobs) as pool, args.work.open("a") as out:
        for record in pool.map(run, *zip(*todo, strict=True)) if todo else ():
            out.write(json.dumps(record) + "\n")
            out.flush()
            done.append(record)
            print(record["case"], flush=True)
    values = {"draws": args.draws, "cases": [record["case"] for record in done], "summary": summary(done, own)}
    if not args.only:
        write_json(results, values)
    report(values["summary"])


def main() -> None:
    args = options_of(__doc__, "estimate_coverage", 500).parse_args()
    rivals = [] if args.report else available()
    simulate(partial(run_case, draws=args.draws, rivals=rivals), args, RESULTS)


if __name__ == "__main__":
    main()
