"""Whether the intervals of `silr estimate --formula` hold on real tables, by simulation.

    python benchmarks/estimate_regressions.py FOLDER [--draws 500] [--sizes 50 100 300] [--jobs 1] [--work ...]
    python benchmarks/estimate_regressions.py --report

As estimate_coverage.py, whose corpora these are. Two linear regressions for each pair of table and LLM: the last class
as the outcome, on the length of the text (standardised) and a group by chance; and the length as the outcome, on the
last class and the group. The truth is the same regression with the true labels of the whole corpus, so the target is
"corpus". `silr` reads the LLM's labels alone; `gold` is the weighted regression on the gold texts, `naive` the one on
the LLM's labels.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from estimate_coverage import DESIGNS, MOST_OF_CORPUS, SIZES, Case, options_of, simulate
from silr.errors import InputError
from silr.estimates.evidence import Evidence
from silr.estimates.regression import regress
from silr.io.corpus import read_table
from silr.stats.label_table import expected_by_label

RESULTS = Path(__file__).parent / "results" / "estimate_regressions.json"


def run_case(path: Path, column: str, draws: int, sizes: list[int]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    case = Case(path, column)
    K = len(case.classes)
    names = [f"class{k}" for k in range(K)]
    length = np.log1p(read_table(path)["text"].iloc[case.rows].str.len().to_numpy(dtype=float))
    length = (length - length.mean()) / length.std()
    frame = pd.DataFrame({"length": length, "group": case.groups["chance"].astype(float)})
    formulas = {"outcome": f"{names[-1]} ~ length + group", "regressor": f"length ~ {names[-1]} + group"}
    truth = {kind: true_coefficients(kind, frame, (case.truth == K - 1).astype(float)) for kind in formulas}
    cells: dict[str, Any] = defaultdict(lambda: [0, 0, 0.0])
    for seed in range(draws):
        order = case.order(seed)
        for design in DESIGNS:
            for n in sizes:
                if n > MOST_OF_CORPUS * len(case):
                    continue
                rows, weights = case.sample(design, n, seed, order)
                gold, weight = np.full(len(case), -1), np.zeros(len(case))
                gold[rows], weight[rows] = case.truth[rows], weights
                p = expected_by_label(case.llm, gold, weight, rows, K)
                evidence = Evidence("", frame, names, gold, weight, p, {"llm_label": case.llm})
                for kind, formula in formulas.items():
                    try:
                        found = regress(evidence, formula, target="corpus")
                    except InputError:  # no gold label of this class
                        continue
                    fits = {"silr": found.coefficients, "gold": found.gold_alone, "naive": found.naive["llm_label"]}
                    for name, coefficients in fits.items():
                        for true, coefficient in zip(truth[kind][1:], coefficients[1:], strict=False):  # no intercept
                            counts = cells[f"{name}|{design}|{n}|{kind} {coefficient.term}"]
                            counts[0] += 1
                            counts[1] += int(coefficient.low <= true <= coefficient.high)
                            counts[2] += coefficient.high - coefficient.low
    return {"case": case.name, "texts": len(case), "draws": draws, "cells": dict(cells)}


def true_coefficients(kind: str, frame: pd.DataFrame, is_class: np.ndarray) -> np.ndarray:
    """Least squares with the true labels, in the order of the formula."""
    outcome, first = (is_class, frame["length"]) if kind == "outcome" else (frame["length"], is_class)
    X = np.column_stack([np.ones(len(frame)), first, frame["group"]])
    return np.linalg.lstsq(X, np.asarray(outcome), rcond=None)[0]


def main() -> None:
    parser = options_of(__doc__, "estimate_regressions", 500)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    args = parser.parse_args()
    simulate(partial(run_case, draws=args.draws, sizes=args.sizes), args, RESULTS)


if __name__ == "__main__":
    main()
