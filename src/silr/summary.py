"""A finished refinement as a table for people, or as values for scripts."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from silr.verdict import Verdict

SHOWN = (
    "true_accuracy",
    "classifier_accuracy",
    "classifier_accuracy_interval",
    "annotators",
    "model_weights",
    "changed",
    "stopped",
    "of",
)  # of an iteration's metrics


class Refined(Protocol):
    """A finished refinement: a fitted `LabelRefiner`, or a run that was read back."""

    @property
    def classes_(self) -> Any: ...

    @property
    def best_iteration_(self) -> int: ...

    @property
    def verdict_(self) -> Verdict: ...

    @property
    def history_(self) -> list[dict[str, Any]]: ...


def summary(refiner: Refined) -> dict[str, Any]:
    """JSON-friendly values of every iteration; number 0 is the LLM.

    Parameters
    ----------
    refiner : LabelRefiner
        Fitted.
    """
    iterations = []
    for number, entry in enumerate(refiner.history_):
        priors = entry["priors"]
        values: dict[str, Any] = {"iteration": number}
        if priors is not None:
            values |= {
                "estimated_accuracy": priors.accuracy,
                "estimated_accuracy_interval": priors.accuracy_interval.tolist(),
                "theta": priors.theta.tolist(),
                "class_prior": priors.class_prior.tolist(),
                "pseudo_share": priors.pseudo_share.tolist(),
            }
        values |= {name: entry["metrics"][name] for name in SHOWN if name in entry["metrics"]}
        iterations.append(values)
    return {
        "classes": [str(name) for name in refiner.classes_],
        "best_iteration": refiner.best_iteration_,
        "verdict": refiner.verdict_.to_dict(),
        "iterations": iterations,
    }


def print_history(refiner: Refined) -> None:
    """Print one row an iteration, and in plain words whether it helped."""
    from rich.console import Console
    from rich.table import Table

    values = summary(refiner)
    several = len(values["iterations"]) > 2
    with_truth = any("true_accuracy" in row for row in values["iterations"])
    first = refiner.history_[0]["labels"]
    K = len(values["classes"])
    most = int(np.bincount(first[first >= 0], minlength=K).argmax())
    shown = 1 if K == 2 else most  # of many classes the one that the LLM says too often, if any
    with_estimate = any("estimated_accuracy" in row for row in values["iterations"])
    table = Table(title="Share of labels that are right" if with_estimate or with_truth else None)
    columns = [
        "labels of",
        *(["estimated from gold (95 %)"] if with_estimate else []),
        *(["true"] if with_truth else []),
        f"labelled {values['classes'][shown]}",
        "changed",
    ]
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position else "left")
    for entry, row in zip(refiner.history_, values["iterations"], strict=True):
        for llm in row.get("annotators", ()):
            table.add_row(
                llm["name"],
                *([_estimate(llm)] if with_estimate else []),
                *([f"{llm['true_accuracy']:.1%}" if "true_accuracy" in llm else ""] if with_truth else []),
            )
        labelled = entry["labels"] >= 0
        share = (entry["labels"][labelled] == shown).mean()
        table.add_row(
            labels_of(row) + " (result)" * (several and row["iteration"] == values["best_iteration"]),
            *([_estimate(row)] if with_estimate else []),
            *([f"{row['true_accuracy']:.1%}" if "true_accuracy" in row else ""] if with_truth else []),
            f"{share:.0%}",
            f"{row['changed']:,}" if "changed" in row else "",
        )
    console = Console()
    console.print(table)
    for line in said_of(values) + remarks(values):
        console.print(line, highlight=False)


def labels_of(row: dict[str, Any]) -> str:
    """Whose labels an iteration's are, from its summary."""
    if row["iteration"] == 0:
        return "the LLMs' majority" if "annotators" in row else "the LLM"
    named = {1: ["refined"], 2: ["refined", "the fine-tuned model"]}.get(row.get("of", 0), [])
    return named[row["iteration"] - 1] if row["iteration"] <= len(named) else f"iteration {row['iteration']}"


def _estimate(values: dict[str, Any]) -> str:
    if "estimated_accuracy" not in values:
        return "unknown"
    low, high = values["estimated_accuracy_interval"]
    return f"{values['estimated_accuracy']:.1%} ({low:.0%} to {high:.0%})"


def said_of(values: dict[str, Any]) -> list[str]:
    """The verdict in plain words, from a summary; and why a run stopped."""
    last = values["iterations"][-1]
    stopped = [f"Stopped after iteration {last['iteration']}: {last['stopped']}."] if "stopped" in last else []
    return [*stopped, values["verdict"]["words"]]


def remarks(values: dict[str, Any]) -> list[str]:
    """What to know about the classifier, which is none of its faults."""
    rows, lines = values["iterations"], []
    last = rows[-1 - ("stopped" in rows[-1])]
    if last.get("of") == 2:
        lines.append(
            "The refined labels read what the LLM says of a text, and what the model makes of it before fine-tuning. "
            "The fine-tuned model learned from these labels, so gold labels cannot judge it: its interval is theirs, "
            "wider by the share of labels that it changed. It labels new texts."
        )
    if "classifier_accuracy" in last:
        low, high = last["classifier_accuracy_interval"]
        lines.append(
            "New texts that the LLM has labelled too are labelled by the same rule. The classifier alone, which has "
            f"features only, is right on {last['classifier_accuracy']:.0%} of the texts ({low:.0%} to {high:.0%})."
        )
    return lines
