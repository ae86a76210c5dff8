"""Labels without scores and without gold labels: what the student of the labels gains, by its weight.

    python benchmarks/without_gold.py FOLDER [--cache FOLDER]

For each case of labels alone (see cases.py): accuracy of the LLM's labels on the whole corpus, and of the labels
refined without a gold label, with the student's weight beside 1 of the label. Nothing is random but the split. Writes
benchmarks/results/without_gold.json and a table into docs/design/benchmarks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np

from cases import find_cases
from compare_report import put_into_document
from feature_cache import default_folder
from posterior_ablations import features_of
from silr.io.files import write_json
from silr.refine import no_gold
from silr.stats.annotator_evidence import Annotator
from tables import split

RESULTS = Path(__file__).parent / "results" / "without_gold.json"
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5)
REGIMES = {"labels-only": "weak LLM", "strong": "strong LLMs"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=default_folder())
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    of = {}
    for case in find_cases(options.folder, ["labels-only", "strong"], None):
        part = split(case, 0, cache=options.cache)
        annotator = Annotator(part.llm[0].astype(np.int16))
        if annotator.is_constant():
            continue
        X, _ = features_of(part)
        of[case.name] = f"{REGIMES[case.group]}, {'TF-IDF' if case.features == 'tfidf' else 'MiniLM and TF-IDF'}"
        rows[case.name] = {"LLM": float((part.llm[0] == part.truth[0]).mean())}
        for weight in WEIGHTS:
            with patch.object(no_gold, "WEIGHT", weight):
                found = no_gold.refine_votes(X, [annotator], len(part.classes))
            right = found.probabilities.argmax(axis=1) == part.truth[0]
            rows[case.name][str(weight)] = float(right.mean())
    write_json(RESULTS, rows)
    columns = ["LLM", *map(str, WEIGHTS)]
    lines = ["| mean accuracy | cases | " + " | ".join(["LLM", *(f"weight {each}" for each in WEIGHTS)]) + " |"]
    lines.append("| --- |" + " --- |" * (1 + len(columns)))
    below = []
    for regime in dict.fromkeys(of.values()):
        values = np.array([[rows[name][each] for each in columns] for name in rows if of[name] == regime])
        lines.append(
            f"| {regime} | {len(values)} | " + " | ".join(f"{each:.3f}" for each in values.mean(axis=0)) + " |"
        )
        lost = (values < values[:, :1] - 0.005).sum(axis=0)
        below.append(
            f"| {regime}: below the LLM by more than 0.005 | {len(values)} | " + " | ".join(map(str, lost)) + " |"
        )
    print("\n".join([*lines, *below]))
    put_into_document("without_gold.py", [*lines, *below])


if __name__ == "__main__":
    main()
