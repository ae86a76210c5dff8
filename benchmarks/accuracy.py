"""Test accuracy on tables with true labels: the LLM, the paper's recipe and silr's, few gold labels, seeds 0 to 4.

    python benchmarks/accuracy.py FOLDER [--tables movie amazon ...]

FOLDER holds ``NAME.csv.gz`` with the columns text, truth, llm_label and llm_score_<class>, and ``NAME.features.npy``
with the annotator's hidden states (TF-IDF is used where that file is missing). For each seed the table is split 8:2
into corpus and test part, and the corpus 7:1 into training and validation; gold labels are drawn from the corpus, as
many from each LLM label; truth is read for those, and to score. Prints a table and writes results/accuracy.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from silr import LabelRefiner
from silr.corpus import encode_labels, features_path, label_column, read_table, score_classes, text_column
from silr.errors import InputError, NoSignalError
from silr.gold import draw_texts

METHODS: dict[str, dict[str, Any]] = {
    "paper, corrected": {"method": "paper"},
    "paper, uncorrected": {"method": "paper", "correction": "none"},
    "silr, corrected": {"method": "silr", "correction": "leaky"},
    "silr (default)": {"method": "silr"},
    "silr, oracle priors": {"method": "silr", "priors": "oracle"},
}
TABLES = ["movie", "amazon", "nyt", "tweets", "laroseda", "corona", "offensive", "nsmc", "liar", "bace"]
RESULTS = Path(__file__).parent / "results" / "accuracy.json"


def score(truth: Any, labels: Any) -> dict[str, float]:
    return {"accuracy": float((truth == labels).mean()), "macro_f1": float(f1_score(truth, labels, average="macro"))}


@dataclass(frozen=True)
class Split:
    """One seed's split of a table into corpus and test part: each pair is (corpus, test)."""

    texts: tuple[list[str], list[str]]
    features: tuple[Any, Any]  # texts where the table has none
    labels: tuple[Any, Any]
    truth: tuple[Any, Any]
    classes: list[str]


def split(table: Path, seed: int, rows: int | None = None) -> Split:
    frame = read_table(table)
    chosen = np.arange(len(frame)) if rows is None else np.random.default_rng(0).permutation(len(frame))[:rows]
    frame = frame.iloc[chosen]
    labels, truth = np.array(label_column(frame)), np.array(label_column(frame, "truth"))
    texts = np.array(text_column(frame), dtype=object)
    order = np.random.default_rng(seed).permutation(len(frame))
    corpus, test = order[len(frame) // 5 :], order[: len(frame) // 5]
    words = list(texts[corpus]), list(texts[test])
    features: tuple[Any, Any] = words
    if features_path(table).exists():
        matrix = np.load(features_path(table), mmap_mode="r")
        features = matrix[chosen[corpus]], matrix[chosen[test]]
    return Split(words, features, (labels[corpus], labels[test]), (truth[corpus], truth[test]), score_classes(frame))


def draw_gold(part: Split, n_gold: int, seed: int) -> dict[str, Any]:
    """Gold labels of the corpus, as many from each LLM label, as options of `fit`."""
    codes, _ = encode_labels(list(part.labels[0]), part.classes)
    rows, weights = draw_texts(codes, n_gold, seed)
    gold, weight = np.full(len(codes), None, dtype=object), np.full(len(codes), np.nan)
    gold[rows], weight[rows] = part.truth[0][rows], weights
    return {"gold": gold, "gold_weight": weight}


def one_seed(table: Path, seed: int, n_gold: int) -> dict[str, Any]:
    """Scores of every method on one split: by iteration, on the relabelled corpus and on the test part."""
    part = split(table, seed)
    results: dict[str, Any] = {"LLM": score_llm(part)}
    try:
        gold = draw_gold(part, n_gold, seed)
    except InputError as error:
        return {**results, **{name: {"refused": str(error)} for name in METHODS}}
    for name, options in METHODS.items():
        results[name] = score_refiner(LabelRefiner(random_state=seed, **options), part, part.features, gold)
    return results


def score_llm(part: Split) -> dict[str, Any]:
    return {name: score(part.truth[i], part.labels[i]) for i, name in enumerate(("corpus", "test"))}


def score_refiner(
    refiner: LabelRefiner, part: Split, X: tuple[Any, Any], gold: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """Fit on the corpus, predict the test part."""
    try:
        refiner.fit(X[0], part.labels[0], **gold, truth=part.truth[0], **options)
    except NoSignalError as error:
        return {"refused": str(error)}
    return {
        "corpus": score(part.truth[0], refiner.labels_),
        "test": score(part.truth[1], refiner.predict(X[1])),
        "corpus_by_iteration": [entry["metrics"]["true_accuracy"] for entry in refiner.history_],
        "estimated_by_iteration": [entry["priors"].accuracy for entry in refiner.history_],
    }


def mean_and_deviation(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--gold", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    everything: dict[str, Any] = {}
    for name in arguments.tables:
        path = arguments.folder / f"{name}.csv.gz"
        everything[name] = [one_seed(path, seed, arguments.gold) for seed in range(arguments.seeds)]
        print(f"\n{name}: {arguments.seeds} seeds, {arguments.gold} gold labels")
        print(f"  {'':22}{'test accuracy':>16}{'test macro-F1':>16}{'corpus accuracy':>18}   refused")
        for method in ["LLM", *METHODS]:
            runs = [seed[method] for seed in everything[name]]
            done = [run for run in runs if "refused" not in run]
            columns = (
                [run["test"]["accuracy"] for run in done],
                [run["test"]["macro_f1"] for run in done],
                [run["corpus"]["accuracy"] for run in done],
            )
            cells = [mean_and_deviation(column) for column in columns]
            print(f"  {method:22}{cells[0]:>16}{cells[1]:>16}{cells[2]:>18}   {len(runs) - len(done)}", flush=True)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps({"gold": arguments.gold, "tables": everything}, indent=1) + "\n")


if __name__ == "__main__":
    main()
