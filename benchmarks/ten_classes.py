"""Ten classes, confusion-shaped noise: class k is often called k + 1. Synthetic, so every share is known.

    python benchmarks/ten_classes.py

2,500 texts a seed, of which 2,000 are the corpus; features of 40 dimensions in which each class has a direction of its
own. The LLM is right on 60 % of the texts, says the next class for 30 % and any class for 10 %; its scores say a little
of how sure it is. 200 gold labels. Prints test accuracy, mean and deviation over seeds 0 to 4, and writes
results/ten_classes.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compare_report import cell
from methods import METHODS, Gold, refiner
from scores import score
from silr.errors import InputError, NoSignalError
from silr.io.files import write_json
from tables import Split, draw_gold

RESULTS = Path(__file__).parent / "results" / "ten_classes.json"
K, N, CORPUS, WIDTH, N_GOLD = 10, 2500, 2000, 40, 200
CHOSEN = ["LLM", "threshold", "gold only: states", "PN iterated", "cleanlab", "CCP", "UU", "robust UU (paper)"]
CHOSEN += ["robust UU, oracle priors", "UU, prior matched", "silr", "ceiling: all true labels"]


def synthetic(seed: int) -> Split:
    rng = np.random.default_rng(seed)
    truth = rng.choice(K, size=N, p=rng.dirichlet(np.full(K, 10.0)))
    features = (rng.normal(size=(N, WIDTH)) + 1.2 * rng.normal(size=(K, WIDTH))[truth] / 2).astype(np.float32)
    u = rng.random(N)
    said = np.where(u < 0.6, truth, np.where(u < 0.9, (truth + 1) % K, rng.integers(K, size=N)))
    logits = rng.normal(size=(N, K)) + np.eye(K)[truth]
    logits[np.arange(N), said] = logits.max(axis=1) + 0.5 + (said == truth) * rng.random(N)
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    classes = [f"class {k}" for k in range(K)]
    both = [(column[:CORPUS], column[CORPUS:]) for column in (features, scores, said, truth)]
    nothing = [""] * CORPUS, [""] * (N - CORPUS)
    return Split(classes, nothing, *both, seed, has_dense=False)  # type: ignore[arg-type]


def one_seed(method: str, seed: int) -> dict[str, Any]:
    part = synthetic(seed)
    run = refiner() if method == "silr" else METHODS[method].run  # there are no words to read
    try:
        labels = run(part, Gold(*draw_gold(part, N_GOLD)))[-1].labels
    except (NoSignalError, InputError) as error:
        return {"refused": str(error)}
    return {"test": score(part.truth[1], labels[1])}


def main() -> None:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for method in CHOSEN:
        found[method] = {str(seed): one_seed(method, seed) for seed in range(5)}
        print(f"| {method} | {cell(found[method])} |", flush=True)
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
