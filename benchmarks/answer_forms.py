"""Whether structured answers cost accuracy: the forms of `silr annotate --answer` on the benchmark's tables.

    python benchmarks/answer_forms.py FOLDER --base-url URL --model NAME [--tables ...] [--texts 300] [--work ...]
    python benchmarks/answer_forms.py --report

FOLDER holds the tables that compare.py reads. Random texts of each are labelled over HTTP, by the same prompt: in the
form that `auto` takes, freely and structured. The forms share the cache of answers, so no text is asked about twice in
one form. A stopped benchmark goes on; labelled texts lie in --work, results in results/answer_forms.json. --report
prints the table.
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
from self_refinement import QUESTIONS
from silr.io.corpus import label_column, read_table, score_columns
from silr.io.files import write_json

RESULTS = Path(__file__).parent / "results" / "answer_forms.json"
TABLES = ("amazon", "nyt", "tweets")
FORMS = ("auto", "free", "structured")


def one_table(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What each form gives of the same texts, and which form `auto` takes."""
    unlabelled = options.work / f"{name}.csv"
    if not unlabelled.exists():
        frame = read_table(options.folder / f"{name}.csv.gz")
        chosen = np.random.default_rng(0).permutation(len(frame))[: options.texts]
        frame.iloc[chosen][["text", "truth"]].to_csv(unlabelled, index=False)
    truth = np.array(label_column(read_table(unlabelled), "truth"))
    classes = sorted(map(str, set(truth)))
    found: dict[str, Any] = {}
    for form in FORMS:
        labelled = options.work / f"{name}-{form}.csv"
        if not labelled.exists():
            command = [sys.executable, "-m", "silr", "annotate", str(unlabelled), "-o", str(labelled)]
            command += ["--base-url", options.base_url, "--model", options.model, "--answer", form]
            command += ["--cache", str(options.work / f"{name}.sqlite")]
            subprocess.run([*command, "--question", QUESTIONS[name], "--classes", *classes], check=True)
        frame = read_table(labelled)
        label = np.array([label or "" for label in label_column(frame, "llm_label")])
        found[form] = measured(truth, label, score_columns(frame, classes), classes)
        found["taken"] = found.get("taken") or form_of(labelled)
    return {**found, "texts": len(truth), "classes": classes, "share": float((truth == classes[1]).mean())}


def form_of(labelled: Path) -> str:
    """The form of the answers, as the record beside the table says it."""
    record = json.loads(labelled.with_suffix(".annotator.json").read_text())
    return str(record["answer_form"])


def measured(truth: Any, label: Any, scores: Any, classes: list[str]) -> dict[str, float | None]:
    """Accuracy (a text without label is wrong), AUC of the scores, and how often the second class is said."""
    scored = np.zeros(len(truth), np.bool_) if scores is None else ~np.isnan(scores).any(axis=1)
    both = len(set(truth[scored])) == 2
    return {
        "accuracy": float((truth == label).mean()),
        "missing": float((label == "").mean()),
        "scored": float(scored.mean()),
        "auc": float(roc_auc_score(truth[scored] == classes[1], np.diff(scores[scored])[:, 0])) if both else None,
        "said": float((label == classes[1]).mean()),
    }


def markdown(found: dict[str, Any]) -> str:
    lines = [
        "| table | second class, its share | `auto` takes | free: accuracy, AUC, second class said | structured |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        cells = []
        for each in (row["free"], row["structured"]):
            auc = "" if each["auc"] is None else f" {each['auc']:.3f},"
            cells.append(f"{each['accuracy']:.3f},{auc} {each['said']:.0%}")
        second = f"{row['classes'][1]}, {row['share']:.0%}"
        lines.append(f"| {name} | {second} | {row['taken']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--tables", nargs="+", choices=QUESTIONS, default=TABLES, metavar="TABLE")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("silr-answer-forms"))
    parser.add_argument("--report", action="store_true", help="only print the table of what is there")
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"tables": {}}
    if not options.report:
        if None in (options.folder, options.base_url, options.model):
            parser.error("FOLDER, --base-url and --model are needed")
        options.work.mkdir(parents=True, exist_ok=True)
        for name in options.tables:
            found["tables"][name] = one_table(options, name)
            write_json(RESULTS, {**found, "model": options.model, "machine": machine()})
    print(markdown(found["tables"]))


if __name__ == "__main__":
    main()
