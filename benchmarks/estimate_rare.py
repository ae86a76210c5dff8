"""Whether `silr estimate` tells the share of a rare class, by simulation: few gold labels, or none, are of it.

    python benchmarks/estimate_rare.py [--draws 400]

Corpora of 5,000 texts. The LLM finds 80 % of the rare class and calls 1 or 5 % of the others so. Results are in
results/estimate_rare.json: coverage of the 95 % interval, its mean width, and the mean width of gold labels alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from estimate_coverage import DESIGNS, Case, gold_alone
from silr.estimates.evidence import Evidence
from silr.estimates.shares import Shares
from silr.io.files import write_json
from silr.label.draw import make_strata
from silr.stats.label_table import expected_by_label

RESULTS = Path(__file__).parent / "results" / "estimate_rare.json"
TEXTS, FOUND = 5_000, 0.8
SHARES, FALSE_ALARMS, SIZES = (0.005, 0.01, 0.02, 0.05), (0.01, 0.05), (50, 100, 300)


def corpus(share: float, false_alarms: float) -> Case:
    case = Case.__new__(Case)
    rng = np.random.default_rng(0)
    case.truth = (rng.random(TEXTS) < share).astype(int)
    case.llm = (rng.random(TEXTS) < np.where(case.truth == 1, FOUND, false_alarms)).astype(int)
    case.classes, case.groups = ["common", "rare"], {}
    case.strata = make_strata(case.llm, 2)
    return case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=400)
    args = parser.parse_args()
    results = []
    for share in SHARES:
        for false_alarms in FALSE_ALARMS:
            case = corpus(share, false_alarms)
            truth = case.truth.mean()
            found = {(design, n): [] for design in DESIGNS for n in SIZES}
            for seed in range(args.draws):
                order = case.order(seed)
                for (design, n), limits in found.items():
                    rows, weights = case.sample(design, n, seed, order)
                    gold, weight = np.full(TEXTS, -1), np.zeros(TEXTS)
                    gold[rows], weight[rows] = case.truth[rows], weights
                    p = expected_by_label(case.llm, gold, weight, rows, 2)
                    row = Shares(Evidence("", pd.DataFrame(), case.classes, gold, weight, p, {})).overall()[1]
                    alone = gold_alone(case, rows, weights)["share 1"]
                    limits.append((row.low, row.high, alone[0], alone[1]))
            for (design, n), limits in found.items():
                low, high, gold_low, gold_high = np.array(limits).T
                results.append(
                    {
                        **{"share": share, "false_alarms": false_alarms, "draw": design, "gold": n},
                        "covered": float(((low <= truth) & (truth <= high)).mean()),
                        "width": float((high - low).mean()),
                        "widest": float((high - low).max()),
                        "gold_alone_covered": float(((gold_low <= truth) & (truth <= gold_high)).mean()),
                        "gold_alone_width": float((gold_high - gold_low).mean()),
                    }
                )
                print(*results[-1].values(), flush=True)
    write_json(RESULTS, {"draws": args.draws, "cells": results})


if __name__ == "__main__":
    main()
