"""Accuracy, sets and shares by iteration."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from silr.priors import Priors
from silr.report.charts import Series, line_chart, swatch
from silr.report.record import Record
from silr.report.words import inline, limits, percent, short

MOST_LINES, MOST_CLASSES = 6, 40


def progress(record: Record, summary: dict[str, Any]) -> dict[str, Any]:
    """Charts and rows by iteration.

    Parameters
    ----------
    record : Record
    summary : dict
        What `silr.summary.summary` gives for the record.
    """
    return {
        "accuracy": _accuracy(record, summary),
        "sets": _sets(record),
        "shares": _shares(record),
        "changes": _changes(record),
        "rows": _rows(record, summary),
        "classes": _class_rows(record),
        "classes_left_out": max(0, len(record.classes_) - MOST_CLASSES),
    }


def _chart(name: str, title: str, description: str, record: Record, series: list[Series]) -> dict[str, Any] | None:
    """A chart with its legend, or None if no line has two points; lines without any are left out."""
    series = [each for each in series if any(value is not None for value in each.values)]
    if not series or max(sum(value is not None for value in each.values) for each in series) < 2:
        return None
    positions = ["LLM", *(str(each.number) for each in record.iterations[1:])]
    legend: list[tuple[Markup, str]] = [(swatch(number, each.dashed), each.name) for number, each in enumerate(series)]
    return {"svg": line_chart(name, title, description, positions, series), "legend": legend}


def _accuracy(record: Record, summary: dict[str, Any]) -> dict[str, Any] | None:
    rows = summary["iterations"]
    series = [
        Series(
            _source(record.iterations[0].priors),
            [row.get("estimated_accuracy") for row in rows],
            [row.get("estimated_accuracy_interval") for row in rows],
        )
    ]
    if any("true_accuracy" in row for row in rows):
        series.append(Series("true, which only scores", [row.get("true_accuracy") for row in rows], dashed=True))
    words = [f"{_who(row['iteration'])} {percent(row['estimated_accuracy'])}" for row in rows if "theta" in row]
    description = "Share of labels that are right, estimated: " + ", ".join(words)
    return _chart("accuracy", "Accuracy by iteration", description, record, series)


def _sets(record: Record) -> dict[str, Any] | None:
    """theta and theta' for two classes, else the diagonal of Theta."""
    every = [each.priors for each in record.iterations]
    names = [inline(name, 24) for name in record.classes_]
    if len(names) == 2:
        cells = {
            f"theta: share of {names[1]} among texts labelled {names[1]}": (1, 1),
            f"theta': share of {names[1]} among texts labelled {names[0]}": (0, 1),
        }
    else:
        cells = {f"{names[k]} among texts labelled {names[k]}": (k, k) for k in _largest(record, MOST_LINES)}
    series = [
        Series(
            words,
            [None if priors is None else float(priors.theta[cell]) for priors in every],
            [None if priors is None else _pair(priors.theta_interval[cell]) for priors in every],
        )
        for words, cell in cells.items()
    ]
    description = "Estimated share of the true class inside each set of texts with one label, by iteration"
    return _chart("sets", "What the sets are made of, by iteration", description, record, series)


def _shares(record: Record) -> dict[str, Any] | None:
    """How often each class is given, and for two classes how often it truly occurs."""
    names = [inline(name, 24) for name in record.classes_]
    chosen = [1] if len(names) == 2 else _largest(record, MOST_LINES)
    series = [Series(f"labelled {names[k]}", [_share(each.labels, k) for each in record.iterations]) for k in chosen]
    if len(names) == 2:
        every = [each.priors for each in record.iterations]
        values = [None if priors is None else float(priors.class_prior[1]) for priors in every]
        around = [None if priors is None else _pair(priors.class_prior_interval[1]) for priors in every]
        series.append(Series(f"truly {names[1]}, estimated", values, around, dashed=True))
    description = "Share of all texts with a label that have this one, by iteration"
    return _chart("shares", "Shares of the classes, by iteration", description, record, series)


def _changes(record: Record) -> dict[str, Any] | None:
    n = len(record.llm)
    values = [each.metrics["changed"] / n if each.number else None for each in record.iterations]
    description = "Share of texts whose label is another than in the iteration before"
    series = [Series("another label than in the iteration before", values)]
    return _chart("changes", "Labels changed, by iteration", description, record, series)


def _rows(record: Record, summary: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for each, row in zip(record.iterations, summary["iterations"], strict=True):
        fit = each.metrics.get("fit")
        signal = each.priors and _weakest(each.priors)
        rows.append(
            {
                "name": _who(each.number),
                "best": each.number == record.best_iteration_,
                "accuracy": percent(row["estimated_accuracy"]) if "estimated_accuracy" in row else None,
                "limits": limits(row["estimated_accuracy_interval"]) if "estimated_accuracy" in row else None,
                "true": percent(row["true_accuracy"]) if "true_accuracy" in row else None,
                "signal": signal and f"{100 * signal[0]:.0f} ({100 * signal[1]:.0f} to {100 * signal[2]:.0f})",
                "changed": f"{row['changed']:,}" if "changed" in row else None,
                "epochs": fit and f"{fit['best_epoch'] + 1} of {len(fit['validation_risk'])}",
                "risk": fit and f"{fit['validation_risk'][fit['best_epoch']]:.4f}",
            }
        )
    return rows


def _class_rows(record: Record) -> list[dict[str, Any]]:
    """By class and iteration: the share that has the label, and theta_kk with its interval."""
    rows = []
    for k in _largest(record, MOST_CLASSES):
        cells = []
        for each in record.iterations:
            theta = None
            if each.priors is not None:
                right = percent(float(each.priors.theta[k, k]), 0)
                theta = f"{right} ({limits(each.priors.theta_interval[k, k])})"
            cells.append({"share": percent(_share(each.labels, k)), "theta": theta})
        rows.append({"name": short(record.classes_[k]), "cells": cells})
    return rows


def _largest(record: Record, most: int) -> list[int]:
    """The classes with most LLM and refined labels, in their own order."""
    K = len(record.classes_)
    size = [_share(record.llm, k) + _share(record.best.labels, k) for k in range(K)]
    return sorted(sorted(range(K), key=lambda k: (-size[k], k))[:most])


def _share(labels: Any, k: int) -> float:
    """As `silr refine` prints it: among the texts that have a label."""
    return float((labels[labels >= 0] == k).mean())


def _weakest(priors: Priors) -> tuple[float, float, float]:
    """The signal of the two sets that are hardest to tell apart, with its interval."""
    K = len(priors.theta)
    pairs = [(k, j) for k in range(K) for j in range(k)]
    worst = min(pairs, key=lambda pair: float(priors.signal_interval[pair][0]))
    low, high = priors.signal_interval[worst]
    return float(priors.signal[worst]), float(low), float(high)


def _source(priors: Priors | None) -> str:
    words = {"gold": "estimated from gold labels, with 95% interval", "oracle": "from all true labels (oracle)"}
    return words.get(priors.source if priors else "", "as given")


def _who(number: int) -> str:
    return "the LLM" if number == 0 else f"iteration {number}"


def _pair(interval: Any) -> tuple[float, float]:
    low, high = interval
    return float(low), float(high)
