"""Whether structured answers cost accuracy: the forms of `silr annotate --answer` on the benchmark's tables.

    python benchmarks/answer_forms.py FOLDER --base-url URL --model NAME [--server-pid PID] [--tables ...] [--texts 300]
    python benchmarks/answer_forms.py --report

FOLDER holds the tables that compare.py reads. Random texts of each are labelled over HTTP by the same prompt, freely
and structured. Each form has a cache of its own, so both pay for all their answers. `auto` reads a few of the texts,
once as it is and once where log-probabilities are switched off. With --server-pid, the server's CPU time is read before
and after. A stopped benchmark goes on; labelled texts lie in --work, results in results/answer_forms.json. --report
prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from compare import machine
from self_refinement import QUESTIONS
from silr.io.corpus import label_column, read_table, score_columns
from silr.io.files import write_json

RESULTS = Path(__file__).parent / "results" / "answer_forms.json"
TABLES = ("amazon", "nyt", "tweets")
FORMS = ("free", "structured")
PROBED = 20  # texts that `auto` reads: the first one decides
NO_LOGPROBS = ("--extra-body", '{"logprobs": false}')


def one_table(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What each form gives of the same texts, and which form `auto` takes."""
    unlabelled, few = options.work / f"{name}.csv", options.work / f"{name}-few.csv"
    if not few.exists():
        frame = read_table(options.folder / f"{name}.csv.gz")
        frame = frame.iloc[np.random.default_rng(0).permutation(len(frame))[: options.texts]][["text", "truth"]]
        frame.to_csv(unlabelled, index=False)
        frame.head(PROBED).to_csv(few, index=False)
    truth = np.array(label_column(read_table(unlabelled), "truth"))
    classes = sorted(map(str, set(truth)))
    auto = {"auto": form_of(annotated(options, name, few, "auto", classes))}
    auto["auto_without_logprobs"] = form_of(annotated(options, name, few, "auto", classes, NO_LOGPROBS))
    found: dict[str, Any] = {}
    right: dict[str, NDArray[np.bool_]] = {}
    for form in FORMS:
        labelled = annotated(options, name, unlabelled, form, classes)
        frame = read_table(labelled)
        label = np.array([label or "" for label in label_column(frame, "llm_label")])
        right[form] = truth == label
        found[form] = measured(truth, label, score_columns(frame, classes), classes) | costs(labelled, len(truth))
    gain = right["structured"].astype(float) - right["free"]
    found["gain"], found["gain_error"] = float(gain.mean()), standard_error(gain)
    share = float((truth == classes[1]).mean())
    return {**found, **auto, "texts": len(truth), "classes": classes, "share": share}


def annotated(
    options: argparse.Namespace, name: str, texts: Path, form: str, classes: list[str], more: tuple[str, ...] = ()
) -> Path:
    """The texts with their labels; adds up the server's CPU seconds beside them."""
    stem = f"{texts.stem}-{form}" + ("-without" if more else "")
    labelled = texts.with_name(f"{stem}.csv")
    if not labelled.exists():
        command = [sys.executable, "-m", "silr", "annotate", str(texts), "-o", str(labelled), *more]
        command += ["--base-url", options.base_url, "--model", options.model, "--answer", form]
        command += ["--cache", str(texts.with_name(f"{stem}.sqlite"))]
        before = cpu_seconds(options.server_pid)
        try:
            subprocess.run([*command, "--question", QUESTIONS[name], "--classes", *classes], check=True)
        finally:
            spent = seconds_of(labelled) + cpu_seconds(options.server_pid) - before
            labelled.with_suffix(".seconds").write_text(str(spent))
    return labelled


def cpu_seconds(pid: int | None) -> float:
    """The CPU time of a process so far, of all its threads (Linux); 0 without one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of(labelled: Path) -> float:
    path = labelled.with_suffix(".seconds")
    return float(path.read_text()) if path.exists() else 0.0


def record_of(labelled: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(labelled.with_suffix(".annotator.json").read_text())
    return record


def form_of(labelled: Path) -> str:
    """The form of the answers, as the record beside the table says it."""
    return str(record_of(labelled)["answer_form"])


def costs(labelled: Path, count: int) -> dict[str, float]:
    """Tokens and CPU seconds of the server, all of them a text; tokens count once where a run was resumed."""
    answers = record_of(labelled)["answers"]
    names = ("prompt_tokens", "completion_tokens")
    return {name: answers[name] / count for name in names} | {"seconds": seconds_of(labelled) / count}


def standard_error(values: NDArray[np.floating]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def measured(truth: Any, label: Any, scores: Any, classes: list[str]) -> dict[str, float | None]:
    """Accuracy (a text without label is wrong), AUC of the scores, and how often the second class is said."""
    scored = np.zeros(len(truth), np.bool_) if scores is None else ~np.isnan(scores).any(axis=1)
    both = len(set(truth[scored])) == 2
    return {
        "accuracy": float((truth == label).mean()),
        "accuracy_error": standard_error((truth == label).astype(float)),
        "missing": float((label == "").mean()),
        "scored": float(scored.mean()),
        "auc": float(roc_auc_score(truth[scored] == classes[1], np.diff(scores[scored])[:, 0])) if both else None,
        "said": float((label == classes[1]).mean()),
    }


def markdown(found: dict[str, Any]) -> str:
    lines = [
        "| table | second class, its share | form | accuracy | AUC | second class said | no label | tokens of "
        "the answer | CPU seconds a text |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        for form in FORMS:
            each = row[form]
            cells = [f"{name} ({row['texts']} texts)", f"{row['classes'][1]}, {row['share']:.0%}", form]
            cells += [f"{each['accuracy']:.3f} ± {each['accuracy_error']:.3f}"]
            cells += ["" if each["auc"] is None else f"{each['auc']:.3f}", f"{each['said']:.0%}"]
            cells += [f"{each['missing']:.1%}", f"{each['completion_tokens']:.0f}"]
            cells += [f"{each['seconds']:.2f}" if each["seconds"] else ""]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| table | structured minus free, same texts | `auto` takes | `auto` without log-probabilities |"]
    lines.append("| --- | --- | --- | --- |")
    for name, row in found.items():
        gain = f"{row['gain']:+.3f} ± {row['gain_error']:.3f}"
        lines.append(f"| {name} | {gain} | {row['auto']} | {row['auto_without_logprobs']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--server-pid", type=int, help="process of a server on this machine")
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
