"""A finished refinement as a table for people, or as values for scripts."""

import numpy as np

from silr.io.files import Json
from silr.refine.classifier_caution import estimate_in
from silr.refine.refinement import Refinement

SHOWN = (
    "true_accuracy",
    "classifier_accuracy",
    "classifier_accuracy_interval",
    "annotators",
    "model_weights",
    "changed",
    "stopped",
    "of",
)  # of an iteration's notes


def summary(result: Refinement) -> Json:
    """JSON-friendly values of every iteration; number 0 is the LLM."""
    iterations = []
    for iteration in result.iterations:
        values: Json = {"iteration": iteration.number}
        if iteration.priors is not None:
            values |= {
                "estimated_accuracy": iteration.priors.accuracy,
                "estimated_accuracy_interval": iteration.priors.accuracy_interval.tolist(),
                "theta": iteration.priors.theta.tolist(),
                "class_prior": iteration.priors.class_prior.tolist(),
                "pseudo_share": iteration.priors.pseudo_share.tolist(),
            }
        notes = iteration.notes.to_dict()
        values |= {name: notes[name] for name in SHOWN if name in notes}
        iterations.append(values)
    return {
        "classes": result.class_names,
        "best_iteration": result.best_iteration,
        "verdict": result.verdict.to_dict(),
        "iterations": iterations,
    }


def print_history(result: Refinement) -> None:
    """Print one row an iteration, and in plain words whether it helped."""
    from rich.console import Console
    from rich.table import Table

    values = summary(result)
    several = len(values["iterations"]) > 2
    with_truth = any("true_accuracy" in row for row in values["iterations"])
    first = result.iterations[0].labels
    K = len(values["classes"])
    most = int(np.bincount(first[first >= 0], minlength=K).argmax())
    shown = 1 if K == 2 else most  # of many classes the one that the LLM says too often, if any
    with_estimate = any("estimated_accuracy" in row for row in values["iterations"])
    table = Table(title="Share of labels that are right" if with_estimate or with_truth else None)
    table.add_column("labels of")
    accuracies = ["estimated from gold (95 %)"] * with_estimate + ["true"] * with_truth
    for name in [*accuracies, f"labelled {values['classes'][shown]}", "changed"]:
        table.add_column(name, justify="right")

    def cells(row: Json) -> list[str]:
        true = f"{row['true_accuracy']:.1%}" if "true_accuracy" in row else ""
        return [str(estimate_in(row) or "unknown")] * with_estimate + [true] * with_truth

    for iteration, row in zip(result.iterations, values["iterations"], strict=True):
        for llm in row.get("annotators", ()):
            table.add_row(llm["name"], *cells(llm))
        share = (iteration.labels[iteration.labels >= 0] == shown).mean()
        mark = " (result)" * (several and iteration.number == values["best_iteration"])
        changed = f"{row['changed']:,}" if "changed" in row else ""
        table.add_row(iteration.whose + mark, *cells(row), f"{share:.0%}", changed)
    console = Console()
    console.print(table)
    for line in said_of(result) + remarks(result):
        console.print(line, highlight=False)


def said_of(result: Refinement) -> list[str]:
    """The verdict in plain words, and why a run stopped."""
    last = result.iterations[-1]
    stopped = [f"Stopped after iteration {last.number}: {last.notes.stopped}."] if last.notes.stopped else []
    return [*stopped, result.verdict.words]


def remarks(result: Refinement, classifier: str = "The classifier") -> list[str]:
    """What to know about the classifier, which is none of its faults; `classifier` is what it is called."""
    last = result.iterations[-1 - (result.iterations[-1].notes.stopped is not None)].notes
    lines = []
    if last.kind == "tuned":
        lines.append(
            "The refined labels read what the LLM says of a text, and what the model makes of it before fine-tuning. "
            "The fine-tuned model learned from these labels, so gold labels cannot judge it: its interval is theirs, "
            "wider by the share of labels that it changed. It labels new texts."
        )
    if last.classifier_accuracy is not None and last.classifier_accuracy_interval is not None:
        low, high = last.classifier_accuracy_interval
        lines.append(
            f"New texts that the LLM has labelled too are labelled by the same rule. {classifier} alone, which has "
            f"features only, is right on {last.classifier_accuracy:.0%} of the texts ({low:.0%} to {high:.0%})."
        )
    return lines
