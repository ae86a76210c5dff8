"""Whether the constants of `silr estimate`'s intervals earn their place: each one changed, on eight real tables.

    python benchmarks/estimate_constants.py FOLDER [--draws 100]

Corpora, quantities and draws are those of estimate_coverage.py, with 50 and 100 gold labels. MODEL_LABELS is how many
gold labels the model's own word on its errors is worth. FEWEST_OF_A_KIND is how many right and wrong labels the delta
method needs. FEWEST_ERRORS is how many errors of a kind a limit of a share needs, or it allows for unseen ones. Results
are in results/estimate_constants.json.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from estimate_coverage import DESIGNS, Case, silr
from silr.estimates import quality
from silr.io.files import write_json
from silr.stats import prediction_powered, unseen_errors

RESULTS = Path(__file__).parent / "results" / "estimate_constants.json"
CASES = (
    ("amazon", "llm_label"),
    ("nyt", "llm_label"),
    ("offensive", "llm_label"),
    ("strong/babe", "llm_label_gpt_4"),
    ("strong/emotion", "llm_label_flan_ul2"),
    ("strong/semeval_stance", "llm_label_chatgpt"),
    ("strong/mrf", "llm_label_flan_ul2"),
    ("strong/reddit_humor", "llm_label_chatgpt"),
)
VARIANTS = {  # MODEL_LABELS, FEWEST_OF_A_KIND, FEWEST_ERRORS
    "as it is": (2.0, 2, 2),
    "MODEL_LABELS 0": (0.0, 2, 2),
    "MODEL_LABELS 5": (5.0, 2, 2),
    "FEWEST_OF_A_KIND 0": (2.0, 0, 2),
    "FEWEST_OF_A_KIND 5": (2.0, 5, 2),
    "FEWEST_ERRORS 0": (2.0, 2, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cells: dict[tuple[str, int, str], dict[str, Any]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0.0]))
    for name, column in CASES:
        case = Case(args.folder / f"{name}.csv.gz", column)
        for seed in range(args.draws):
            order = case.order(seed)
            for design in DESIGNS:
                for n in (50, 100):
                    rows, weights = case.sample(design, n, seed, order)
                    for variant, constants in VARIANTS.items():
                        prediction_powered.MODEL_LABELS, quality.FEWEST_OF_A_KIND = constants[:2]
                        unseen_errors.FEWEST_ERRORS = constants[2]
                        limits = silr(case, rows, weights)
                        for cell, truth in case.cells.items():
                            low, high = limits.get(cell, (np.nan, np.nan))
                            if np.isfinite(low):
                                counts = cells[cell.split()[0], n, variant][f"{case.name}, {design}: {cell}"]
                                counts[0] += 1
                                counts[1] += int(low - 1e-12 <= truth <= high + 1e-12)
                                counts[2] += high - low
    table = []
    for (kind, n, variant), by_cell in sorted(cells.items(), key=lambda item: item[0][:2]):
        covered = [right / count for count, right, _ in by_cell.values()]
        row = {
            "quantity": kind,
            "gold": n,
            "variant": variant,
            "coverage": round(float(np.mean(covered)), 4),
            "least": round(min(covered), 3),
            "below_90": sum(share < 0.9 for share in covered),
            "cells": len(covered),
            "width": round(float(np.mean([width / count for count, _, width in by_cell.values()])), 4),
        }
        table.append(row)
        print(*row.values(), sep=" | ")
    write_json(RESULTS, {"draws": args.draws, "rows": table})


if __name__ == "__main__":
    main()
