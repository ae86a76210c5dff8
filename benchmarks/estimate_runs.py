"""Whether the intervals of `silr estimate` of a run hold: the whole procedure, with a refinement for each draw.

    python benchmarks/estimate_runs.py FOLDER [--draws 100] [--sizes 100] [--only NAME] [--work ...]
    python benchmarks/estimate_runs.py --report

As estimate_coverage.py, whose corpora and quantities these are; gold labels are drawn by strata. Each draw is refined
by the default method on TF-IDF and the LLM's labels. `run` is what `silr estimate RUN` gives; `gold` and `silr` are the
gold labels alone and the estimate without a refinement, from the same draws. `refined` is the accuracy of
the refined labels of texts without gold label, as the run's summary has it; `delta` the same by the delta method.
Records lie in --work, a line a case.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from estimate_coverage import MOST_OF_CORPUS, Case, gold_alone, of_evidence, options_of, silr, simulate
from silr.estimates.evidence import Evidence
from silr.features.tfidf import TfidfFeatures
from silr.io.corpus import read_table
from silr.refine.posterior import refine_posterior
from silr.refine.posterior_step import of_other_texts
from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_labels import GoldLabels
from silr.stats.priors import priors_from_gold
from silr.stats.ridge import StandardisedMatrix

RESULTS = Path(__file__).parent / "results" / "estimate_runs.json"
DESIGN = "strata"


def run_case(path: Path, column: str, draws: int, sizes: list[int]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    case = Case(path, column)
    texts = read_table(path)["text"].iloc[case.rows].tolist()
    matrix = np.asarray(TfidfFeatures().fit_transform(texts))
    X, groups = StandardisedMatrix(matrix), [[slice(0, matrix.shape[1])]]
    cells: dict[str, Any] = defaultdict(lambda: [0, 0, 0.0])
    for seed in range(draws):
        order = case.order(seed)
        for n in sizes:
            if n > MOST_OF_CORPUS * len(case):
                continue
            rows, weights = case.sample(DESIGN, n, seed, order)
            limits = {
                "gold": gold_alone(case, rows, weights),
                "silr": silr(case, rows, weights),
                "run": of_run(case, X, groups, rows, weights, seed),
            }
            for name, found in limits.items():
                for cell, truth in case.cells.items():
                    if cell in found and np.isfinite(found[cell][0]):
                        low, high = found[cell]
                        counts = cells[f"{name}|{DESIGN}|{n}|{cell}"]
                        counts[0] += 1
                        counts[1] += int(low - 1e-12 <= truth <= high + 1e-12)
                        counts[2] += high - low
    return {"case": case.name, "texts": len(case), "draws": draws, "cells": dict(cells)}


def of_run(
    case: Case, X: StandardisedMatrix, groups: Any, rows: np.ndarray, weights: np.ndarray, seed: int
) -> dict[str, tuple[float, float]]:
    """Limits by a refinement with these gold labels; its accuracy is that of the refined labels, of other texts too."""
    K, n = len(case.classes), len(case)
    gold, weight = np.full(n, -1), np.zeros(n)
    gold[rows], weight[rows] = case.truth[rows], weights
    llm = [Annotator(case.llm.astype(np.int16))]
    refined = refine_posterior(X, groups, llm, GoldLabels.of(gold, weight, K), seed)
    p = refined.cross_fitted
    labels_of = refined.probabilities.argmax(axis=1)
    names = list(map(str, range(K)))
    labels = {"llm": case.llm, "refined": labels_of}
    evidence = Evidence("", pd.DataFrame(), names, gold, weight, p, labels, learned=("refined",))
    limits = of_evidence(case, evidence, "llm")
    of_refined = of_evidence(case, evidence, "refined")
    others = gold < 0
    case.cells["refined accuracy"] = case.cells["delta accuracy"] = float((labels_of == case.truth)[others].mean())
    # as the run's summary has it
    priors = priors_from_gold(labels_of, gold, K, weight, np.where(case.llm < 0, K, case.llm))
    low, high = of_other_texts(priors, len(rows), n).accuracy_interval.tolist()
    return {**limits, "refined accuracy": (low, high), "delta accuracy": of_refined["accuracy"]}


def main() -> None:
    parser = options_of(__doc__, "estimate_runs", 100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100])
    args = parser.parse_args()
    simulate(partial(run_case, draws=args.draws, sizes=args.sizes), args, RESULTS, "run")


if __name__ == "__main__":
    main()
