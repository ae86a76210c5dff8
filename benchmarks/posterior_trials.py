"""Trials of other pieces in the default's posterior: each against the present default, on the same gold labels.

    python benchmarks/posterior_trials.py FOLDER [--trials NAME ...] [--gold 100] [--draws 5] [--groups GROUP ...]

One process. Each result is appended to benchmarks/results/posterior_trials.jsonl, and what is there is not computed
again; the features are kept in the cache folder. The report has, for each trial and group of cases (see cases.py): mean
gain over the best rival of each case (rivals from benchmarks/results/compare); gain over the default with two standard
errors, one for other cases and one for other draws of gold labels; cases below the LLM by more than half a point; and
log loss above the default's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from case_report import RIVALS
from cases import GROUPS, Case, find_cases
from compare_report import RESULTS as COMPARED
from feature_cache import default_folder
from posterior_ablations import Patch, features_of
from silr.refine import posterior
from silr.stats.annotator_evidence import Annotator
from silr.stats.gaussian_process import Posterior
from silr.stats.gold_labels import GoldLabels
from tables import draw_gold, split

RESULTS = Path(__file__).parent / "results" / "posterior_trials.jsonl"
DEFAULT = "the default"
FEATURES = {"weak": "states", "labels-only": "minilm", "strong": "minilm"}

refined = posterior.refine_posterior


def likelier(names: str, nats: float) -> Callable[[Sequence[Posterior]], Any]:
    """Weights of the models where some have a larger prior probability; C is missing where the LLM says nothing."""

    def weights(models: Sequence[Posterior]) -> Any:
        known = "ABCD" if len(models) == 4 else "ABD"
        return softmax([each.log_evidence + nats * (name in names) for name, each in zip(known, models, strict=True)])

    return weights


def tempered(temperature: float) -> Callable[[Sequence[Posterior]], Any]:
    """Weights of the models by their evidence to a power; with an infinite temperature all weigh alike."""
    return lambda models: softmax([each.log_evidence / temperature for each in models])


def log_pool(scale: float) -> Callable[[Any, Sequence[Any]], Any]:
    """The mean of the models' logits, whatever their evidence, in the place of the mean of their probabilities."""
    return lambda _, parts: posterior.probabilities(scale * np.mean(parts, axis=0))


def of_fold_splits(count: int) -> Callable[..., Any]:
    """The mean over several splits of the gold labels into folds."""

    def refine(*problem: Any) -> Any:
        runs = [refined(*problem[:-1], problem[-1] + place) for place in range(count)]
        return replace(runs[0], probabilities=np.mean([run.probabilities for run in runs], axis=0))

    return refine


TRIALS: dict[str, list[Patch]] = {
    DEFAULT: [],
    "without the table": [(posterior, "TABLE", 0.0)],
    "C likelier by one nat": [(posterior, "_weights", likelier("C", 1.0))],
    "C likelier by two nats": [(posterior, "_weights", likelier("C", 2.0))],
    "C likelier by four nats": [(posterior, "_weights", likelier("C", 4.0))],
    "B likelier by two nats": [(posterior, "_weights", likelier("B", 2.0))],
    "evidence tempered by 4": [(posterior, "_weights", tempered(4.0))],
    "all models weigh alike": [(posterior, "_weights", tempered(np.inf))],
    "mean of the models' logits, times 1.3": [(posterior, "_mixed", log_pool(1.3))],
    "three fold splits": [(posterior, "refine_posterior", of_fold_splits(3))],
}


def one_draw(case: Case, draw: int, n_gold: int, trials: Sequence[str], cache: Path) -> Iterator[dict[str, Any]]:
    """Accuracy and log loss of each trial on the texts without gold label."""
    part = split(case, draw, cache=cache)
    X, groups = features_of(part)
    codes, weights = draw_gold(part, n_gold)
    gold = GoldLabels.of(codes, weights, len(part.classes))
    annotators = [Annotator(part.llm[0].astype(np.int16), None if part.scores is None else part.scores[0])]
    free = codes < 0
    truth = part.truth[0][free]
    key = {"case": case.name, "group": case.group, "draw": draw, "gold": n_gold}
    llm = float((part.llm[0][free] == truth).mean())
    for name in trials:
        with ExitStack() as stack, threadpool_limits(1):
            for target, attribute, value in TRIALS[name]:
                stack.enter_context(patch.object(target, attribute, value))
            found = posterior.refine_posterior(X, groups, annotators, gold, 0).probabilities[free].astype(np.float64)
        loss = -np.log(np.maximum(found[np.arange(len(truth)), truth], 1e-6)).mean()
        accuracy = float((found.argmax(axis=1) == truth).mean())
        yield key | {"trial": name, "accuracy": accuracy, "log_loss": float(loss), "llm": llm}


def best_rival(case: str, n_gold: int) -> dict[int, float]:
    """Accuracy by draw of the rival with the best mean; empty if the case was not compared."""
    path = COMPARED / f"{case}.json"
    cells = json.loads(path.read_text())["cells"].get(str(n_gold), {}) if path.exists() else {}
    rivals = [cells[name] for name in RIVALS if name in cells]
    known = [{int(draw): run["corpus"]["accuracy"] for draw, run in of.items() if "corpus" in run} for of in rivals]
    complete = [each for each in known if len(each) == max(map(len, known))]
    return max(complete, key=lambda each: float(np.mean(list(each.values()))), default={})


def report(results: Sequence[dict[str, Any]], n_gold: int) -> Iterator[str]:
    """A table for each group of cases, one row a trial."""
    cells = {(each["trial"], each["case"], each["draw"]): each for each in results if each["gold"] == n_gold}
    names = list(dict.fromkeys(trial for trial, _, _ in cells))
    for group, title in GROUPS.items():
        cases = sorted({case for (_, case, _), each in cells.items() if each["group"] == group})
        if not cases:
            continue
        rivals = {case: best_rival(case, n_gold) for case in cases}
        yield f"\n{title}: {len(cases)} cases, {n_gold} gold labels\n"
        yield "| trial | - best rival | - default | error, cases | error, draws | below the LLM | lowest | log loss |"
        yield "| --- |" + " --- |" * 7
        for name in names:
            yield row(name, cells, cases, rivals)


def row(name: str, cells: dict[tuple[str, str, int], Any], cases: Sequence[str], rivals: dict[str, Any]) -> str:
    """Gains in points of the cases that the trial and the default have both seen; log loss above the default's."""
    by_case: dict[str, list[tuple[float, float, float, float]]] = {}
    for (trial, case, draw), each in cells.items():
        base = cells.get((DEFAULT, case, draw))
        if trial == name and case in cases and base is not None:
            accuracy = each["accuracy"]
            over = accuracy - rivals[case].get(draw, np.nan)
            gains = (over, accuracy - base["accuracy"], accuracy - each["llm"], each["log_loss"] - base["log_loss"])
            by_case.setdefault(case, []).append(gains)
    if not by_case:
        return f"| {name} |" + " - |" * 7
    means = np.array([np.nanmean(draws, axis=0) for draws in by_case.values()])
    counts = np.array([len(draws) for draws in by_case.values()])
    gains = [[gain for _, gain, _, _ in draws] for draws in by_case.values()]
    errors = np.array([np.std(each, ddof=1) if len(each) > 1 else np.nan for each in gains]) / np.sqrt(counts)
    rival, default, _, loss = means.mean(axis=0)
    between = means[:, 1].std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.nan
    within = np.sqrt((errors**2).sum()) / len(means)
    points = [f"{100 * each:+.2f}" for each in (rival, default)] + [f"{100 * each:.2f}" for each in (between, within)]
    below = f"{(means[:, 2] < -0.005).sum()} of {len(means)}"
    return f"| {name} | {' | '.join(points)} | {below} | {100 * means[:, 2].min():+.1f} | {loss:+.4f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", nargs="+", choices=TRIALS, default=list(TRIALS), metavar="NAME")
    parser.add_argument("--groups", nargs="+", choices=FEATURES, default=["labels-only", "strong"])
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--gold", type=int, default=100)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=default_folder())
    options = parser.parse_args()
    results = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(each["trial"], each["case"], each["draw"], each["gold"]) for each in results}
    cases = [
        each
        for each in find_cases(options.folder, options.groups, options.tables)
        if each.features == FEATURES[each.group]
    ]
    for draw in range(options.draws):
        for case in cases:
            left = [name for name in options.trials if (name, case.name, draw, options.gold) not in done]
            for result in one_draw(case, draw, options.gold, left, options.cache) if left else ():
                results.append(result)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    print("\n".join(report([each for each in results if each["trial"] in (DEFAULT, *options.trials)], options.gold)))


if __name__ == "__main__":
    main()
