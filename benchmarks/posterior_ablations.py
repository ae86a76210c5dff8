"""What each part and constant of the default is worth: one thing changed at a time, on the same draws of gold labels.

    python benchmarks/posterior_ablations.py FOLDER [--gold 25 100] [--draws 3] [--parts NAME ...] [--cache FOLDER]

Accuracy on the texts without gold label, in points above the default's, mean over the cases (see cases.py) with the
standard error of that mean. A change that loses less than its standard error does not show that the part is needed.
Results go into benchmarks/results/posterior_ablations.json, and a table into docs/design/benchmarks.md; what is there
is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from cases import Case, find_cases
from compare_report import put_into_document
from feature_cache import default_folder, tfidf_features
from silr.io.files import write_json
from silr.refine import posterior
from silr.refine.posterior import CrossFitting, refine_posterior
from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import Ridge, StandardisedMatrix
from tables import Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "posterior_ablations.json"
MARK = "posterior_ablations.py"
GROUPS = {"weak": "scores and states", "labels-only": "labels, MiniLM", "strong": "strong LLMs, MiniLM"}
DEFAULT = "the default"


def only(*kept: str) -> Callable[[Sequence[Any]], Any]:
    """Weights of the models when some of A, B, C and D are left out; C is missing where the LLM says nothing."""

    def weights(models: Sequence[Any]) -> Any:
        names = "ABCD" if len(models) == 4 else "ABD"
        evidence = [each.log_evidence if name in kept else -np.inf for name, each in zip(names, models, strict=True)]
        return softmax(evidence)

    return weights


def in_sample(self: Ridge, targets: Any, weights: Any, known: Any = None) -> Any:
    """A student's predictions of texts that it has seen."""
    return self._X.scores(weights, targets.mean(axis=0, dtype=np.float64))


def seen(self: CrossFitting, cut: tuple[int, ...], values: Any) -> Any:
    """Students that have seen the gold labels of the texts that they say something of."""
    return dict(zip(self.cuts, values, strict=True))[cut].copy()


Patch = tuple[Any, str, Any]

VARIANTS: dict[str, list[Patch]] = {
    DEFAULT: [],
    "student: penalty 1,000": [(posterior, "PENALTY", 1000.0)],
    "student: penalty 10,000": [(posterior, "PENALTY", 10000.0)],
    "student: sees the text's own soft label": [(Ridge, "leave_one_out", in_sample)],
    "student: none on each group of features": [(posterior, "GROUP_WEIGHT", (0.0, 0.0))],
    "student: none before the gold labels (first)": [(posterior, "FIRST_WEIGHT", (0.0, 0.0))],
    "student: not cross-fitted": [(CrossFitting, "out_of_fold", seen)],
    "said: a label with weight 0, variance 1": [(posterior, "LABEL_WEIGHT", (0.0, 1.0))],
    "said: a label with weight 1, variance 1": [(posterior, "LABEL_WEIGHT", (1.0, 1.0))],
    "said: scores with weight 1, as labels": [(posterior, "SCORES_WEIGHT", (1.0, 0.3))],
    "corrections: none by features": [(posterior, "AMPLITUDES", (0.0,))],
    "corrections: five amplitudes": [(posterior, "AMPLITUDES", (0.0, 0.3, 2.0, 12.0, 70.0))],
    "corrections: one kernel": [(posterior, "POWERS", 1)],
    "corrections: 0 no more likely than others": [(posterior, "NO_CORRECTION", 0.0)],
    "corrections: none by LLM label": [(posterior, "TABLE", 0.0)],
    "corrections: class shifts ten times smaller": [(posterior, "SHIFT", 0.03)],
    "models: A alone": [(posterior, "_weights", only("A"))],
    "models: without B": [(posterior, "_weights", only("A", "C", "D"))],
    "models: without C": [(posterior, "_weights", only("A", "B", "D"))],
    "models: without D": [(posterior, "_weights", only("A", "B", "C"))],
}


def one_draw(case: Case, draw: int, n_gold: int, variants: Sequence[str], cache: Path | None) -> dict[str, float]:
    """Accuracy of each variant on one draw; the features are standardised once for all."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        part = split(case, draw, cache=cache)
        X, groups = features_of(part)
        codes, weights = draw_gold(part, n_gold)
        K = len(part.classes)
        gold = GoldLabels.of(codes, weights, K)
        scores = None if part.scores is None else part.scores[0]
        annotators = [Annotator(part.llm[0].astype(np.int16), scores)]
        free = codes < 0
        found = {}
        for name in variants:
            with ExitStack() as stack:
                for target, attribute, value in VARIANTS[name]:
                    stack.enter_context(patch.object(target, attribute, value))
                labels = refine_posterior(X, groups, annotators, gold, 0).probabilities.argmax(axis=1)
            found[name] = float((labels == part.truth[0])[free].mean())
        found["LLM"] = float((part.llm[0] == part.truth[0])[free].mean())
    return found


def features_of(part: Split) -> tuple[StandardisedMatrix, list[list[slice]]]:
    matrix, _, widths = tfidf_features(part.texts[0], part.texts[1], part.cache)
    dense = [part.features[0]] if part.has_dense else []
    start = sum(each.shape[1] for each in dense)
    ends = start + np.cumsum(widths)
    words = [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
    groups = [*([[slice(0, start)]] if dense else []), words]
    return StandardisedMatrix(np.hstack([*dense, matrix]).astype(np.float32)), groups


def markdown(cells: dict[str, Any], cases: dict[str, str], golds: Sequence[int]) -> list[str]:
    columns = [(group, gold) for group in GROUPS for gold in golds]
    lines = ["| | " + " | ".join(f"{GROUPS[group]}, {gold} gold" for group, gold in columns) + " |"]
    lines.append("| --- |" + " --- |" * len(columns))
    for name in VARIANTS:
        row = []
        for group, gold in columns:
            gains = []
            for case, of in cases.items():
                draws = cells.get(f"{case}/{gold}", {}).values()
                known = [each[name] - each[DEFAULT] for each in draws if name in each and DEFAULT in each]
                if of == group and known:
                    gains.append(float(np.mean(known)))
            if name == DEFAULT:
                base = [
                    np.mean([each[DEFAULT] for each in cells[f"{case}/{gold}"].values()])
                    for case, of in cases.items()
                    if of == group and f"{case}/{gold}" in cells
                ]
                row.append(f"{np.mean(base):.3f}" if base else "-")
            elif gains:
                error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
                row.append(f"{100 * np.mean(gains):+.1f} ± {100 * error:.1f}")
            else:
                row.append("-")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gold", type=int, nargs="+", default=[25, 100])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--tables", nargs="+", default=None)
    parser.add_argument("--parts", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--cache", type=Path, default=default_folder())
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    cells: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    cases = [
        each
        for each in find_cases(options.folder, list(GROUPS), options.tables)
        if not (each.group == "strong" and each.features == "tfidf") and each.name != "nsmc"
    ]
    work = []
    for draw in range(options.draws):
        for gold in options.gold[::-1]:
            for case in cases:
                done = cells.get(f"{case.name}/{gold}", {}).get(str(draw), {})
                if todo := [name for name in VARIANTS if name in {DEFAULT, *options.parts} - set(done)]:
                    work.append((case, draw, gold, todo, options.cache))
    print(f"{len(work):,} draws to compute on {options.jobs} cores", flush=True)
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(one_draw, *each): each for each in work}
        for done, job in enumerate(as_completed(jobs), start=1):
            case, draw, gold, *_ = jobs[job]
            cells.setdefault(f"{case.name}/{gold}", {}).setdefault(str(draw), {}).update(job.result())
            write_json(RESULTS, cells)
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done}/{len(work)}, {left:.0f} s left ", end="", flush=True)
    lines = markdown(cells, {each.name: each.group for each in cases}, options.gold)
    print("\n" + "\n".join(lines))
    put_into_document(MARK, lines)


if __name__ == "__main__":
    main()
