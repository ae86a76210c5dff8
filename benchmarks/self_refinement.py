"""What an LLM's own critique does to its labels: Self-Refine (Madaan et al., NeurIPS 2023) on the benchmark's tables.

    python benchmarks/self_refinement.py FOLDER [--tables ...] [--texts 300] [--work silr-self-refinement]
    python benchmarks/self_refinement.py --report

FOLDER holds the tables that compare.py reads. As every text is read three times and a critique is written of it, so
many random texts of each table are labelled, by SmolLM2-135M-Instruct: directly, and with `--strategy self-refine`, by
the same question. A stopped benchmark goes on; labelled texts lie in --work, results in results/self_refinement.json.
--report prints the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from compare import machine
from silr.cli.demo_data import demo_model
from silr.io.corpus import label_column, read_table, score_columns
from silr.io.files import write_json

RESULTS = Path(__file__).parent / "results" / "self_refinement.json"
SENTIMENT = "Is the sentiment of this {} positive or negative?"
QUESTIONS = {
    "movie": SENTIMENT.format("movie review"),
    "amazon": SENTIMENT.format("product review"),
    "nyt": SENTIMENT.format("newspaper editorial"),
    "tweets": SENTIMENT.format("tweet"),
    "laroseda": SENTIMENT.format("Romanian product review"),
    "corona": SENTIMENT.format("tweet"),
    "offensive": "Is this tweet harmless or offensive?",
    "nsmc": SENTIMENT.format("Korean movie review"),
    "liar": "Is this political statement false or true?",
    "bace": "Does this molecule, given as SMILES, inhibit the human protein BACE-1 (active) or not (inactive)?",
}
STRATEGIES = ("direct", "self-refine")


def one_table(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Accuracy, AUC and the share of the second class, of the same texts by each strategy."""
    unlabelled = options.work / f"{name}.csv"
    if not unlabelled.exists():
        frame = read_table(options.folder / f"{name}.csv.gz")
        chosen = np.random.default_rng(0).permutation(len(frame))[: options.texts]
        frame.iloc[chosen][["text", "truth"]].to_csv(unlabelled, index=False)
    classes = sorted(map(str, read_table(unlabelled)["truth"].unique()))
    found = {}
    for strategy in STRATEGIES:
        labelled = options.work / f"{name}-{strategy}.csv"
        if not labelled.exists():
            command = [sys.executable, "-m", "silr", "annotate", str(unlabelled), "-o", str(labelled)]
            command += ["--question", QUESTIONS[name], "--model", str(demo_model()), "--classes", *classes]
            subprocess.run([*command, "--strategy", strategy], check=True)
        frame = read_table(labelled)
        truth, label = np.array(label_column(frame, "truth")), np.array(label_column(frame, "llm_label"))
        scores = score_columns(frame, classes)
        found[strategy] = {
            "accuracy": float((truth == label).mean()),
            "auc": float(roc_auc_score(truth == classes[1], scores[:, 1] - scores[:, 0])),
            "said": float((label == classes[1]).mean()),
        }
    return {**found, "texts": len(frame), "classes": classes, "share": float((truth == classes[1]).mean())}


def markdown(found: dict[str, Any]) -> str:
    lines = [
        "| table | second class, its share | direct: accuracy, AUC, second class said | self-refined |",
        "| --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        cells = [f"{row[each]['accuracy']:.3f}, {row[each]['auc']:.3f}, {row[each]['said']:.0%}" for each in STRATEGIES]
        lines.append(f"| {name} | {row['classes'][1]}, {row['share']:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--tables", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="TABLE")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("silr-self-refinement"))
    parser.add_argument("--report", action="store_true", help="only print the table of what is there")
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"tables": {}}
    if not options.report:
        if options.folder is None:
            parser.error("FOLDER is missing")
        options.work.mkdir(parents=True, exist_ok=True)
        for name in options.tables:
            found["tables"][name] = one_table(options, name)
            write_json(RESULTS, {**found, "machine": machine()})
    print(markdown(found["tables"]))


if __name__ == "__main__":
    main()
