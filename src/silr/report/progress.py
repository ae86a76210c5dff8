"""Accuracy, sets and shares by iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from silr.priors import Priors
from silr.report.charts import Series, heat_map, line_chart, swatch
from silr.report.record import Record
from silr.report.words import inline, limits, percent, short

MOST_LINES, MOST_CLASSES = 6, 40
MOST_SETS = 4  # classes that the chart of sets has lines for; more make a heat map


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
        "sets": _sets(record) if len(record.classes) <= MOST_SETS else None,
        "heat": _heat(record) if len(record.classes) > MOST_SETS else None,
        "shares": _shares(record),
        "changes": None if record.is_posterior else _changes(record),
        "rows": _rows(record, summary),
        "names": [each.whose for each in record.iterations],
        "classes": _class_rows(record),
        "classes_left_out": max(0, len(record.classes) - MOST_CLASSES),
    }


def _chart(name: str, title: str, description: str, record: Record, series: list[Series]) -> dict[str, Any] | None:
    """A chart with its legend, or None if no line has two points; lines without any are left out."""
    series = [each for each in series if any(value is not None for value in each.values)]
    if not series or max(sum(value is not None for value in each.values) for each in series) < 2:
        return None
    positions = ["LLM", *(str(each.number) for each in record.iterations[1:])]
    if record.is_posterior:
        positions = ["LLM", "refined", "fine-tuned"][: len(positions)]
    axis = "labels of" if record.is_posterior else "iteration"
    legend: list[tuple[Markup, str]] = [(swatch(number, each.dashed), each.name) for number, each in enumerate(series)]
    return {"svg": line_chart(name, title, description, positions, series, axis), "legend": legend}


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
    words = [f"{each.whose} {percent(each.priors.accuracy)}" for each in record.iterations if each.priors is not None]
    description = "Share of labels that are right, estimated: " + ", ".join(words)
    return _chart("accuracy", "Accuracy by iteration", description, record, series)


def _sets(record: Record) -> dict[str, Any] | None:
    """theta and theta' for two classes, the diagonal of Theta for three or four."""
    every = [each.priors for each in record.iterations]
    names = [inline(name, 24) for name in record.classes]
    if len(names) == 2:
        cells = {
            f"truly {names[1]} among texts labelled {names[1]}": (1, 1),
            f"truly {names[1]} among texts labelled {names[0]}": (0, 1),
        }
    else:
        cells = {f"truly {names[k]} among texts labelled {names[k]}": (k, k) for k in range(len(names))}
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


def _heat(record: Record) -> list[dict[str, Any]]:
    """Theta of the LLM's labels and of the result, each as a heat map; a set without gold label has no shares."""
    chosen = _largest(record, MOST_CLASSES)
    names = [short(record.classes[k], 24) for k in chosen]
    maps = []
    for number in sorted({0, record.best_iteration}):
        priors = record.iterations[number].priors
        if priors is None:
            continue
        known = np.ptp(priors.theta_interval, axis=2).min(axis=1) < 1
        values = [[float(priors.theta[j, k]) if known[j] else None for k in chosen] for j in chosen]
        title = "The LLM's labels" if number == 0 else "The refined labels"
        description = f"{title}: among texts with the label of a row, the estimated share of the true class of a column"
        maps.append({"title": title, "svg": heat_map(f"heat-{number}", title, description, names, values)})
    return maps


def _shares(record: Record) -> dict[str, Any] | None:
    """How often each class is given, and for two classes how often it truly occurs."""
    names = [inline(name, 24) for name in record.classes]
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
    values = [None if each.notes.changed is None else each.notes.changed / n for each in record.iterations]
    description = "Share of texts whose label is another than in the iteration before"
    series = [Series("another label than in the iteration before", values)]
    return _chart("changes", "Labels changed, by iteration", description, record, series)


def _rows(record: Record, summary: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for each, row in zip(record.iterations, summary["iterations"], strict=True):
        for llm in row.get("annotators", ()):
            rows.append(_row(llm["name"], llm))
        fit = each.notes.fit
        signal = None if record.is_posterior else each.priors and _weakest(each.priors)
        more = {
            "best": each.number == record.best_iteration,
            "signal": signal and f"{100 * signal[0]:.0f} ({100 * signal[1]:.0f} to {100 * signal[2]:.0f})",
            "epochs": fit and f"{fit.best_epoch + 1} of {len(fit.validation_risk)}",
            "risk": fit and f"{fit.validation_risk[fit.best_epoch]:.4f}",
        }
        rows.append(_row(each.whose, row) | more)
    return rows


def _row(name: str, row: dict[str, Any]) -> dict[str, Any]:
    known = "estimated_accuracy" in row
    return {
        "name": name,
        "best": False,
        "accuracy": percent(row["estimated_accuracy"]) if known else None,
        "limits": limits(row["estimated_accuracy_interval"]) if known else None,
        "true": percent(row["true_accuracy"]) if "true_accuracy" in row else None,
        "changed": f"{row['changed']:,}" if "changed" in row else None,
        **dict.fromkeys(("signal", "epochs", "risk")),
    }


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
        rows.append({"name": short(record.classes[k]), "cells": cells})
    return rows


def _largest(record: Record, most: int) -> list[int]:
    """The classes with most LLM and refined labels, in their own order."""
    K = len(record.classes)
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


def _pair(interval: Any) -> tuple[float, float]:
    low, high = interval
    return float(low), float(high)
