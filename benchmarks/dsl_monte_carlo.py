"""How often the 95 % intervals of a regression on labels hold the truth, by simulation.

Each draw makes a new corpus of 1,000 texts with three classes. The LLM is wrong more often in one party, and its errors
hang on a second regressor too. The model's probabilities copy its errors and are too sure of themselves. Gold labels
are drawn at random, or as `silr label` draws them. Five regressions have a label as the outcome or as regressors. The
truth is the same regression on the true labels: of 400,000 texts (target "population"), or of the corpus (target
"corpus").

Beside `silr` with its tuned power: design-based supervised learning as published (power 1), the weighted regression on
the gold labels alone, and the naive regression on the LLM's labels.

Run from anywhere: `python benchmarks/dsl_monte_carlo.py [--draws 500]`; some ten minutes on one core.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from scipy.special import expit

from silr.label.draw import draw_texts
from silr.stats.design_based import LINEAR, LOGISTIC, ClassDesign, DesignBased

TEXTS, MANY, N_GOLD, DRAWN = 1_000, 400_000, (50, 100, 300), ("random", "silr label")
CALM, MILD, HOSTILE = range(3)
RESULTS = Path(__file__).parent / "results" / "dsl_monte_carlo.json"


def corpus(n, rng):
    """Regressors, true classes, the LLM's labels, probabilities, and two outcomes that depend on the class."""
    party, mood = (rng.random(n) < 0.5).astype(float), rng.normal(size=n)
    utility = np.column_stack([np.zeros(n), -0.4 + 0.2 * mood, -0.6 + 0.8 * party + 0.5 * mood])
    truth = (utility + rng.gumbel(size=(n, 3))).argmax(axis=1)
    wrong = np.where(party == 1, 0.25, 0.08) + np.where(mood > 0, 0.15, 0.0)
    other = np.where(rng.random(n) < 0.7, HOSTILE, rng.integers(3, size=n))  # mostly calls too much hostile
    llm = np.where(rng.random(n) < wrong, other, truth)
    evidence = 2.0 * np.eye(3)[llm] + 1.0 * np.eye(3)[truth] + rng.normal(size=(n, 3))
    p = np.exp(1.3 * evidence)
    hostile, mild = truth == HOSTILE, truth == MILD
    likes = 1 + hostile + 0.4 * mild + 0.5 * party + 0.3 * mood + rng.normal(size=n) * (1 + 0.5 * party)
    shared = (rng.random(n) < expit(-0.5 + hostile - 0.5 * party + 0.3 * mood)).astype(float)
    return party, mood, truth, llm, p / p.sum(axis=1, keepdims=True), likes, shared


def models(party, mood, likes, shared):
    """Name, design, family, and the terms whose coefficients count."""
    n, one = len(mood), np.ones(len(mood))
    party, mood = 2 * party - 1, mood
    is_class = np.broadcast_to(np.eye(3)[:, None, :], (3, n, 3))
    outcome = np.repeat(np.eye(3)[HOSTILE][:, None], n, axis=1)
    nothing = np.array([], dtype=int)
    plain = ClassDesign(np.column_stack([one, party, mood]), nothing, np.zeros((3, n, 0)), outcome)
    yield "hostile ~ party + mood", plain, LINEAR, ["Intercept", "party", "mood"]
    yield "hostile ~ party + mood", plain, LOGISTIC, ["Intercept", "party", "mood"]
    single = np.column_stack([one, 0 * one, party, mood])
    terms = ["Intercept", "hostile", "party", "mood"]
    for name, y, family in (("likes", likes, LINEAR), ("shared", shared, LOGISTIC)):
        yield (
            f"{name} ~ hostile + party + mood",
            ClassDesign(single, np.array([1]), is_class[:, :, [HOSTILE]], np.broadcast_to(y, (3, n))),
            family,
            terms,
        )
    double = np.column_stack([one, 0 * one, 0 * one, party, mood])
    yield (
        "likes ~ hostile + mild + party + mood",
        ClassDesign(double, np.array([1, 2]), is_class[:, :, [HOSTILE, MILD]], np.broadcast_to(likes, (3, n))),
        LINEAR,
        ["Intercept", "hostile", "mild", "party", "mood"],
    )


def as_true(design, codes, family):
    """The regression as if labels were true."""
    everything = np.ones(len(codes), dtype=bool)
    return DesignBased(design, np.eye(3)[codes], codes, np.zeros(len(codes)), everything, family).fit(1.0)


def one_draw(n_gold, drawn, truths, rng):
    """For each model, fit and target: estimates, whether they hold the truth, and how wide they are."""
    party, mood, truth, llm, p, likes, shared = corpus(TEXTS, rng)
    if drawn == "random":
        rows, w = rng.choice(TEXTS, n_gold, replace=False), np.full(n_gold, TEXTS / n_gold)
    else:
        rows, w = draw_texts(llm, n_gold, int(rng.integers(2**31)))
    gold, weights = np.full(TEXTS, -1), np.zeros(TEXTS)
    gold[rows], weights[rows] = truth[rows], w
    for number, (name, design, family, terms) in enumerate(models(party, mood, likes, shared)):
        of_corpus = as_true(design, truth, family).value
        based = DesignBased(design, p, gold, weights, np.zeros(TEXTS, dtype=bool), family)
        fits = {
            ("silr", "population"): based.fit(),
            ("silr", "corpus"): based.fit(population=False),
            ("DSL, power 1", "population"): based.fit(1.0),
            ("gold alone", "population"): based.fit(0.0),
            ("naive", "population"): as_true(design, llm, family),
        }
        for (fit, target), found in fits.items():
            if found is None:
                yield (name, family, fit, target), terms, None
                continue
            goal = truths[number] if target == "population" else of_corpus
            low, high = found.limits()
            yield (name, family, fit, target), terms, (found.value - goal, (low <= goal) & (goal <= high), high - low)


def cell(draws, n_gold, drawn, truths, rng):
    """One row for each model, fit, target and term."""
    found, names, failed = {}, {}, {}
    for _ in range(draws):
        for key, terms, numbers in one_draw(n_gold, drawn, truths, rng):
            names[key] = terms
            if numbers is None:
                failed[key] = failed.get(key, 0) + 1
            else:
                found.setdefault(key, []).append(numbers)
    for key, numbers in found.items():
        error, covered, width = (np.array(each, dtype=float) for each in zip(*numbers, strict=True))
        for place, term in enumerate(names[key]):
            yield {
                **dict(zip(("formula", "family", "fit", "target"), key, strict=True)),
                "term": term,
                "n_gold": n_gold,
                "drawn": drawn,
                "coverage": round(float(covered[:, place].mean()), 3),
                "bias": round(float(error[:, place].mean()), 4),
                "sd": round(float(error[:, place].std()), 4),
                "width": round(float(width[:, place].mean()), 4),
                "no_estimate": failed.get(key, 0),
            }


def summary(rows):
    """Coverage and width by fit, target and number of gold labels."""
    keys = dict.fromkeys((row["fit"], row["target"], row["n_gold"]) for row in rows)
    for fit, target, n_gold in keys:
        these = [row for row in rows if (row["fit"], row["target"], row["n_gold"]) == (fit, target, n_gold)]
        coverage = [row["coverage"] for row in these]
        alone = {
            (row["formula"], row["family"], row["drawn"], row["term"]): row["width"]
            for row in rows
            if row["fit"] == "gold alone" and row["n_gold"] == n_gold
        }
        ratio = [row["width"] / alone[row["formula"], row["family"], row["drawn"], row["term"]] for row in these]
        yield {
            "fit": fit,
            "target": target,
            "n_gold": n_gold,
            "coverage": round(float(np.mean(coverage)), 3),
            "lowest": min(coverage),
            "highest": max(coverage),
            "width_to_gold_alone": round(float(np.mean(ratio)), 3),
            "no_estimate": sum(row["no_estimate"] for row in these if row["term"] == "Intercept"),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    party, mood, truth, _, _, likes, shared = corpus(MANY, rng)
    truths = [as_true(design, truth, family).value for _, design, family, _ in models(party, mood, likes, shared)]
    rows = []
    for n_gold, drawn in product(N_GOLD, DRAWN):
        rows += cell(options.draws, n_gold, drawn, truths, rng)
        own = [row for row in rows if row["fit"] == "silr"]
        result = {"draws": options.draws, "texts": TEXTS, "summary": list(summary(rows)), "cells": own}
        lines = json.dumps(result, indent=1).replace("\n   ", " ").replace("\n  }", " }")
        options.output.write_text(lines + "\n")
        print(n_gold, drawn, *(row for row in result["summary"] if row["n_gold"] == n_gold), sep="\n", flush=True)


if __name__ == "__main__":
    main()
