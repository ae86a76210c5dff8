"""Gold labels to look at again: how many of the listed ones are wrong, and how many of the wrong ones are listed?

    python benchmarks/doubtful_gold.py FOLDER [--draws 3] [--rows 3000] [--cache FOLDER]

For each case (see cases.py) 100 gold labels are drawn as `silr label --draw strata` draws them, and 5 % of them are
replaced by another class, drawn at random. The run is made with these labels. Precision is the share of replaced labels
among those listed, recall the share of listed ones among those replaced; both over all draws of a group. The tables'
own labels have errors too, which count as right here, so that precision is a lower bound. Drawn at random, 5 % of a
list would be replaced labels.

The threshold was chosen on the tables with a weak LLM: the lowest of which a third of the list is replaced labels.
Writes benchmarks/results/doubtful_gold.json and a table into docs/design/benchmarks.md.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from answers import gold_column
from cases import Case, find_cases
from compare_report import put_into_document
from feature_cache import default_folder, tfidf_features
from silr import LabelRefiner
from silr.io.files import write_json
from silr.refine.doubtful import unseen_scores
from silr.stats.doubtful import LARGEST_SHARE, THRESHOLD, doubtful_gold
from tables import draw_gold, split

RESULTS = Path(__file__).parent / "results" / "doubtful_gold.json"
MARK = "doubtful_gold.py"
N_GOLD, REPLACED = 100, 0.05
THRESHOLDS = (0.0, 0.1, THRESHOLD, 0.2, 0.3, 0.5)
GROUPS = {"weak": "weak LLM", "strong": "strong LLMs"}
METHODS = ("silr", "uu")


def one_draw(case: Case, method: str, seed: int, rows: int | None, cache: Path) -> dict[float, list[int]]:
    """By threshold: labels listed, replaced ones among them, replaced ones, gold labels."""
    part = split(case, seed, rows, cache)
    gold, weight = draw_gold(part, min(N_GOLD, len(part.truth[0])))
    places, K = np.flatnonzero(gold >= 0), len(part.classes)
    rng = np.random.default_rng(seed)
    replaced = rng.choice(places, round(REPLACED * len(places)), replace=False)
    gold[replaced] = (gold[replaced] + rng.integers(1, K, len(replaced))) % K
    words, _, _ = tfidf_features(part.texts[0], part.texts[1], cache)
    X = np.hstack([part.features[0], words]).astype(np.float32) if part.has_dense else words
    refiner = LabelRefiner.from_options(method=method, random_state=seed)
    refiner.fit(
        X,
        gold_column(part.llm[0]),
        gold_column(gold),
        llm_scores=None if part.scores is None else part.scores[0],
        gold_weight=weight,
        classes=np.arange(K),
    )
    result = refiner.result_
    scores = unseen_scores(result)
    if scores is None:  # the signal was lost
        return {}
    llm = None if result.is_posterior else result.iterations[0].labels
    counts = {}
    for threshold in THRESHOLDS:
        found = doubtful_gold(gold, scores, llm=llm, threshold=threshold)
        counts[threshold] = [len(found.rows), int(np.isin(found.rows, replaced).sum()), len(replaced), len(places)]
    return counts


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Counts of each method and group, added up over cases and draws."""
    results: dict[str, Any] = {}
    for method in METHODS:
        for group in GROUPS:
            total: dict[float, list[int]] = {}
            fits = 0
            for case in find_cases(options.folder, [group], None):  # type: ignore[list-item]
                if group == "strong" and case.features == "minilm":
                    continue
                for seed in range(options.draws):
                    try:
                        with threadpool_limits(1):
                            counts = one_draw(case, method, seed, options.rows, options.cache)
                    except ValueError as error:  # of the product: no signal, or one class only
                        print(f"{case.name} {seed}: {error}", flush=True)
                        continue
                    fits += bool(counts)
                    for threshold, values in counts.items():
                        total[threshold] = [a + b for a, b in zip(total.get(threshold, [0] * 4), values, strict=True)]
            results[f"{method}/{group}"] = {"fits": fits, "thresholds": {f"{t:g}": summed(v) for t, v in total.items()}}
            print(method, group, results[f"{method}/{group}"], flush=True)
    return results


def summed(counts: list[int]) -> dict[str, float]:
    listed, right, replaced, gold = counts
    return {
        "precision": round(right / max(listed, 1), 3),
        "recall": round(right / max(replaced, 1), 3),
        "listed": round(listed / max(gold, 1), 4),
    }


def markdown(results: dict[str, Any]) -> list[str]:
    lines = ["| method, tables | runs | least doubt | listed | of these replaced | of the replaced listed |"]
    lines.append("| --- " * 6 + "|")
    for key, cell in results.items():
        method, group = key.split("/")
        for threshold, row in cell["thresholds"].items():
            name = f"none (the top {LARGEST_SHARE:.0%})" if float(threshold) == 0 else threshold
            default = " (default)" * (float(threshold) == THRESHOLD)
            shares = [f"{100 * row[each]:.0f} %" for each in ("precision", "recall")]
            lines.append(
                f"| `{method}`, {GROUPS[group]} | {cell['fits']} | {name}{default} | {100 * row['listed']:.1f} % "  # type: ignore[index]
                f"| {shares[0]} | {shares[1]} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000, help="of each table")
    parser.add_argument("--cache", type=Path, default=default_folder())
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = measure(options)
    write_json(RESULTS, {"gold": N_GOLD, "replaced": REPLACED, "draws": options.draws, **results})
    lines = markdown(results)
    print("\n".join(lines))
    put_into_document(MARK, lines)


if __name__ == "__main__":
    main()
