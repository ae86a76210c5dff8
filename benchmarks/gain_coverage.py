"""Whether the gain that a verdict rests on is right: its bias, how often its interval holds, and how often it misleads.

    python benchmarks/gain_coverage.py FOLDER [--gold 25 50 100] [--draws 10] [--jobs 1] [--groups ...] [--tables ...]
    python benchmarks/gain_coverage.py --report

Of each case (see cases.py; labels of the weak LLM also with TF-IDF alone) at most 1,000 random texts are the corpus.
Gold labels are drawn from the truth as `silr label` draws them by strata. The default method refines the labels, and
`compare` judges them, by the default's interval and by the plain one, which is narrower. The true gain is that on the
texts without gold label. The cache folder keeps the labels of each draw, so that another interval is measured in
seconds; delete its files gain-* when the method changes. Results go into benchmarks/results/gain_coverage.json, draw by
draw; what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cases import NO_SENTENCES, Case, find_cases
from compare_report import put_into_document
from feature_cache import default_folder, kept, tfidf_features
from silr.io.files import atomic_write
from silr.refine.comparison import Comparison, compare
from silr.refine.iteration import Iteration, Notes
from silr.refine.posterior_step import of_other_texts, posterior_step
from silr.refine.problem import Problem
from silr.refine.verdict import verdict_of
from silr.stats.annotator_evidence import Annotator
from silr.stats.priors import Priors
from tables import Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "gain_coverage.json"
MARK = "gain_coverage.py"
LARGEST = 1000
GROUPS = ("weak", "labels-only", "strong")
KINDS = {
    ("weak", "states"): "weak, scores, states",
    ("weak", "tfidf"): "weak, scores, TF-IDF alone",
    ("labels-only", "minilm"): "weak, labels, MiniLM",
    ("labels-only", "tfidf"): "weak, labels, TF-IDF alone",
    ("strong", "minilm"): "strong, labels, MiniLM",
    ("strong", "tfidf"): "strong, labels, TF-IDF alone",
}
DIGITS = 6
CLEAR = 0.02  # a true gain above this should be seen


def cases_of(folder: Path, groups: Sequence[Any], tables: Sequence[str] | None) -> list[Case]:
    found = [each for each in find_cases(folder, groups, tables) if each.name not in NO_SENTENCES]
    words = [
        replace(each, name=each.name.replace(".minilm", ".tfidf"), features="tfidf")
        for each in found
        if each.group == "labels-only"
    ]
    return found + words


@cache
def corpus(case: Case, folder: Path | None) -> tuple[Split, Any, list[list[slice]]]:
    """At most so many texts of a case, their features, and the columns of each kind."""
    part = split(case, 0, cache=folder)
    some = np.sort(np.random.default_rng(0).permutation(len(part.texts[0]))[:LARGEST])
    texts = [part.texts[0][row] for row in some]
    pairs = {name: getattr(part, name) for name in ("features", "llm", "truth")}
    smaller = {name: (pair[0][some], pair[1][:0]) for name, pair in pairs.items()}
    scores = None if part.scores is None else (part.scores[0][some], part.scores[1][:0])
    words, _, widths = tfidf_features(texts, [], folder)
    dense = [smaller["features"][0]] if part.has_dense else []
    start = sum(each.shape[1] for each in dense)
    ends = start + np.cumsum(widths)
    of_words = [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
    groups = [*([[slice(0, start)]] if dense else []), of_words]
    return (
        replace(part, texts=(texts, []), scores=scores, **smaller),
        np.hstack([*dense, words]).astype(np.float32),
        groups,
    )


def problem_of(case: Case, n_gold: int, draw: int, cache: Path | None) -> tuple[Problem, Any]:
    """The problem of one draw of gold labels, and the truth."""
    part, X, groups = corpus(case, cache)
    codes, weights = draw_gold(replace(part, seed=draw), n_gold)
    annotator = Annotator(part.llm[0].astype(np.int16), None if part.scores is None else part.scores[0])
    classes = np.arange(len(part.classes))
    return Problem(classes, [annotator], codes, weights, seed=draw, X=X, groups=groups), part.truth[0]


def refined(problem: Problem, case: Case, n_gold: int, draw: int, cache: Path | None) -> Any:
    """Labels of the default method, those of gold texts by fits without their fold."""

    def compute() -> dict[str, Any]:
        with threadpool_limits(1):
            return {"labels": posterior_step(problem)[0].labels}

    return kept(cache, f"gain-{case.name}-{n_gold}-{draw}", [corpus(case, cache)[0].texts[0]], compute)["labels"]


def one_draw(case: Case, n_gold: int, draw: int, cache: Path | None) -> dict[str, Any]:
    """What is estimated, and what is true."""
    problem, truth = problem_of(case, n_gold, draw, cache)
    labels, llm = refined(problem, case, n_gold, draw, cache), problem.llm
    gold = problem.gold
    priors = problem.estimate(labels)
    assert gold is not None and priors is not None
    priors = of_other_texts(priors, len(gold.rows), len(labels))
    plain, comparison = (
        compare(lambda each, _: problem.estimate(each), llm, gold, labels, out_of_fold=wider) for wider in (False, True)
    )
    assert comparison is not None and plain is not None
    free = problem.gold_codes < 0
    right, labelled = labels == truth, llm >= 0
    of_both = free & labelled
    figures = {
        "gain": comparison.gain,
        "interval": comparison.gain_interval,
        "plain_interval": plain.gain_interval,
        "true_gain": right[of_both].mean() - (llm == truth)[of_both].mean(),
        "accuracy": priors.accuracy,
        "accuracy_interval": priors.accuracy_interval,
        "true_accuracy": right[free].mean(),
    }
    return {
        **{name: np.round(value, DIGITS).tolist() for name, value in figures.items()},
        "finding": finding(llm, labels, priors, comparison),
        "plain_finding": finding(llm, labels, priors, plain),
    }


def finding(llm: Any, labels: Any, priors: Priors, comparison: Comparison) -> str:
    """What the verdict says."""
    notes = Notes("posterior", against_llm=comparison)
    steps = [Iteration(0, llm, None, None, Notes("llm")), Iteration(1, labels, None, priors, notes)]
    return verdict_of(steps).finding


Cell = list[dict[str, Any]]


def row(cases: list[Cell]) -> list[str]:
    """Figures of the draws of several cases; the standard error of the bias is that between cases."""
    draws = [each for cell in cases for each in cell]
    bias = np.array([np.mean([each["gain"] - each["true_gain"] for each in cell]) for cell in cases])
    holds = np.array([np.mean([inside(each["interval"], each["true_gain"]) for each in cell]) for cell in cases])
    accuracy = np.mean([inside(each["accuracy_interval"], each["true_accuracy"]) for each in draws])
    none = [each for each in draws if each["true_gain"] <= 0]
    clear = [each for each in draws if each["true_gain"] > CLEAR]
    error = bias.std(ddof=1) / np.sqrt(len(bias)) if len(bias) > 1 else np.nan

    def of(kind: str) -> list[str]:
        """How often an interval holds, its width, and how often "better" is said where it is wrong and right."""
        held = np.mean([inside(each[f"{kind}interval"], each["true_gain"]) for each in draws])
        width = np.mean([each[f"{kind}interval"][1] - each[f"{kind}interval"][0] for each in draws])
        false, seen = (sum(each[f"{kind}finding"] == "better" for each in some) for some in (none, clear))
        return [f"{100 * held:.1f}", f"{100 * width:.1f}", f"{false} of {len(none)}", f"{seen} of {len(clear)}"]

    held, *others = of("")
    return [
        f"{len(cases)}",
        f"{len(draws):,}",
        f"{100 * np.mean([each['true_gain'] for each in draws]):+.1f}",
        f"{100 * bias.mean():+.1f} ± {100 * error:.1f}",
        f"{held}, {100 * holds.min():.0f}",
        *others,
        *of("plain_"),
        f"{100 * accuracy:.1f}",
    ]


def inside(interval: Sequence[float], value: float) -> bool:
    return interval[0] <= value <= interval[1]


def markdown(results: dict[str, Any]) -> Iterator[str]:
    """A row for each kind of case and number of gold labels."""
    heads = ["cases", "gold", "tables", "draws", "true gain", "bias", "held: all, least", "width"]
    heads += ["better, gain <= 0", "better, gain > 2", "plain: held", "width", "better, gain <= 0", "better, gain > 2"]
    yield "| " + " | ".join([*heads, "accuracy held"]) + " |"
    yield "| --- |" + " --- |" * len(heads)
    golds = sorted({int(gold) for of in results.values() for gold in of["gold"]})
    for kind in [*KINDS.values(), "all"]:
        for gold in golds:
            of = [each["gold"].get(str(gold), {}) for each in results.values() if kind in (each["kind"], "all")]
            cells = [list(cell.values()) for cell in of if cell]
            if cells:
                yield "| " + " | ".join([kind, str(gold), *row(cells)]) + " |"


def write(results: dict[str, Any]) -> None:
    """Without white space: there are thousands of draws."""
    with atomic_write(RESULTS) as file:
        file.write(json.dumps(results, separators=(",", ":")).encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--gold", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--cache", type=Path, default=default_folder())
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not options.report:
        cases = cases_of(options.folder, options.groups, options.tables)
        for case in cases:
            results.setdefault(case.name, {"kind": KINDS[case.group, case.features], "gold": {}})
        work = [
            (case, gold, draw, options.cache)
            for draw in range(options.draws)
            for gold in options.gold
            for case in cases
            if str(draw) not in results[case.name]["gold"].get(str(gold), {})
        ]
        with ProcessPoolExecutor(options.jobs) as pool:
            jobs = {pool.submit(one_draw, *each): each for each in work}
            for done, job in enumerate(as_completed(jobs), start=1):
                case, gold, draw, _ = jobs[job]
                results[case.name]["gold"].setdefault(str(gold), {})[str(draw)] = job.result()
                write(results)
                print(f"\r{done}/{len(work)} ", end="", flush=True)
    lines = list(markdown(results))
    print("\n" + "\n".join(lines))
    put_into_document(MARK, lines)


if __name__ == "__main__":
    main()
