"""What settings are worth, one changed at a time; posterior_ablations.py has the parts of the default.

    python benchmarks/ablations.py FOLDER [--tables amazon nyt laroseda] [--seeds 0 1 2]

Test accuracy with 100 gold labels. The number of iterations and of gold labels are in compare.py's plots. Results go
into benchmarks/results/ablations.json, and a table into docs/design/benchmarks.md; what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from cases import weak_case
from compare_report import put_into_document
from methods import Gold, refiner
from scores import mean_and_deviation
from silr import UUClassifier
from silr.errors import InputError, NoSignalError
from silr.io.files import write_json
from silr.label import draw
from silr.stats.priors import priors_from_truth
from silr_methods import default
from tables import Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "ablations.json"
MARK = "ablations.py"
N_GOLD = 100

Run = Callable[[Split, Gold], Any]


def by_states(**options: Any) -> Run:
    """A method of silr's on the hidden states: test labels."""
    return lambda part, gold: refiner(**options)(part, gold)[-1].labels[1]


def by_both(part: Split, gold: Gold) -> Any:
    return default()(part, gold)[-1].labels[1]


def by_tfidf(part: Split, gold: Gold) -> Any:
    return default()(replace(part, has_dense=False), gold)[-1].labels[1]


def drawn(power: float) -> Run:
    """The default with gold labels of another draw: from each LLM label by this power of its size."""

    def run(part: Split, gold: Gold) -> Any:
        with patch.object(draw, "POWER", power):
            return by_both(part, Gold(*draw_gold(part, N_GOLD)))

    return run


def without_scores(part: Split, gold: Gold) -> Any:
    """The LLM's labels alone."""
    return default()(replace(part, scores=None), gold)[-1].labels[1]


def wrong_priors(theta_error: float, prior_error: float) -> Run:
    """One fit on the LLM's labels, with theta and theta' moved towards each other, and the class prior moved."""

    def run(part: Split, gold: Gold) -> Any:
        priors = priors_from_truth(part.llm[0], part.truth[0], len(part.classes))
        theta = priors.theta + theta_error * np.array([[-1, 1], [1, -1]])
        prior = np.clip(priors.class_prior + prior_error * np.array([-1, 1]), 0.02, 0.98)
        model = UUClassifier(np.clip(theta, 0.01, 0.99), prior, random_state=part.seed)
        return model.fit(part.features[0], part.llm[0]).predict(part.features[1])

    return run


def rows(n: int) -> Run:
    """A corpus of n texts, gold ones among them."""

    def run(part: Split, gold: Gold) -> Any:
        others = np.setdiff1d(np.arange(len(part.truth[0])), gold.rows)
        more = np.random.default_rng(part.seed).permutation(others)[: n - len(gold.rows)]
        kept = np.sort(np.concatenate([gold.rows, more]))
        texts = [part.texts[0][row] for row in kept], part.texts[1]
        pairs = {name: getattr(part, name) for name in ("features", "scores", "llm", "truth")}
        smaller = replace(part, texts=texts, **{name: (pair[0][kept], pair[1]) for name, pair in pairs.items()})
        return by_both(smaller, Gold(gold.labels[kept], gold.weights[kept]))

    return run


VARIANTS: dict[str, dict[str, Run]] = {
    "silr: features": {"states and TF-IDF": by_both, "TF-IDF": by_tfidf},
    "silr: what is known of the LLM": {"its scores": by_both, "its labels alone": without_scores},
    "silr: gold labels from each LLM label": {
        "by the root of its size (default)": by_both,
        "as many from each": drawn(0.0),
        "in proportion to its size": drawn(1.0),
    },
    "silr: texts in the corpus": {f"{n:,}": rows(n) for n in (500, 1000, 2000)} | {"all": by_both},
    "uu: correction": {
        "none (default)": by_states(method="uu"),
        "leaky, lambda -0.001 (paper)": by_states(method="uu", correction="leaky"),
        "leaky, lambda -0.1": by_states(method="uu", correction="leaky", leak=-0.1),
        "ReLU (lambda 0)": by_states(method="uu", correction="relu"),
        "absolute value (lambda -1)": by_states(method="uu", correction="abs"),
    },
    "uu: loss": {"sigmoid (default)": by_states(method="uu"), "logistic": by_states(method="uu", loss="logistic")},
    "uu, one fit: error in theta and theta'": {
        f"{error:+.2f}": wrong_priors(error, 0.0) for error in (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1)
    },
    "uu, one fit: error in the class prior": {
        f"{error:+.2f}": wrong_priors(0.0, error) for error in (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
    },
}


def one_cell(table: Path, group: str, variant: str, seed: int) -> float | None:
    """Test accuracy, or None if the run was refused."""
    import torch

    torch.set_num_threads(1)
    part = split(weak_case(table), seed)
    try:
        with threadpool_limits(1):
            found = VARIANTS[group][variant](part, Gold(*draw_gold(part, N_GOLD)))
    except (NoSignalError, InputError):
        return None
    return float((found == part.truth[1]).mean())


def markdown(cells: dict[str, Any], tables: list[str]) -> list[str]:
    lines = ["| | " + " | ".join(tables) + " |", "| --- |" + " --- |" * len(tables)]
    for group, variants in VARIANTS.items():
        lines.append(f"| **{group}** |" + " |" * len(tables))
        for variant in variants:
            row = []
            for table in tables:
                values = list(cells.get(f"{table}/{group}/{variant}", {}).values())
                done = [value for value in values if value is not None]
                refused = f" ({len(values) - len(done)} of {len(values)} refused)" if len(done) < len(values) else ""
                row.append("refused" if values and not done else mean_and_deviation(done) + refused)
            lines.append(f"| {variant} | " + " | ".join(row) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", default=["amazon", "nyt", "laroseda"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    cells: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    work = [
        (table, group, variant, seed)
        for table in options.tables
        for group, variants in VARIANTS.items()
        for variant in variants
        for seed in options.seeds
        if str(seed) not in cells.get(f"{table}/{group}/{variant}", {})
    ]
    print(f"{len(work):,} cells to compute on {options.jobs} cores")
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = {
            pool.submit(one_cell, options.folder / f"{table}.csv.gz", *rest): (table, *rest) for table, *rest in work
        }
        for done, job in enumerate(as_completed(jobs), start=1):
            table, group, variant, seed = jobs[job]
            cells.setdefault(f"{table}/{group}/{variant}", {})[str(seed)] = job.result()
            write_json(RESULTS, cells)
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done}/{len(work)}, {left:.0f} s left ", end="", flush=True)
    lines = markdown(cells, options.tables)
    print("\n" + "\n".join(lines))
    put_into_document(MARK, lines)


if __name__ == "__main__":
    main()
