"""Accuracy, sets and shares by iteration."""

import numpy as np
from numpy.typing import NDArray

from silr.io.words import Summary, inline, limits, percent, short
from silr.refine.classifier_caution import estimate_in
from silr.refine.record import Record
from silr.report.charts import Series, heat_map, legend_of, line_chart
from silr.report.warnings import weakest_signal
from silr.stats.priors import Priors

MOST_LINES, MOST_CLASSES = 6, 40
MOST_SETS = 4  # classes that the chart of sets has lines for; more make a heat map


def progress(record: Record, summary: Summary) -> dict[str, object]:
    """Charts and rows by iteration."""
    return {
        "accuracy": _accuracy(record, summary),
        "sets": _sets(record) if len(record.class_names) <= MOST_SETS else None,
        "heat": _heat(record) if len(record.class_names) > MOST_SETS else None,
        "shares": _shares(record),
        "changes": None if record.is_posterior else _changes(record),
        "rows": _rows(record, summary),
        "names": [iteration.whose for iteration in record.iterations],
        "classes": _class_rows(record),
        "classes_left_out": max(0, len(record.class_names) - MOST_CLASSES),
    }


def _chart(name: str, title: str, description: str, record: Record, series: list[Series]) -> dict[str, object] | None:
    """A chart with its legend, or None if no line has two points; lines without any are left out."""
    points = [len(line.values) - list(line.values).count(None) for line in series]
    if max(points) < 2:
        return None
    series = [line for line, count in zip(series, points, strict=True) if count]
    positions = ["LLM", *(str(iteration.number) for iteration in record.iterations[1:])]
    if record.is_posterior:
        positions = ["LLM", "refined", "fine-tuned"][: len(positions)]
    axis = "labels of" if record.is_posterior else "iteration"
    return {"svg": line_chart(name, title, description, positions, series, axis), "legend": legend_of(series)}


def _series(record: Record, name: str, share: str, cell: int | tuple[int, int], dashed: bool = False) -> Series:
    """A share of the priors with its interval, by iteration."""
    every = [iteration.priors for iteration in record.iterations]
    values, limits = (
        [None if priors is None else getattr(priors, field)[cell].tolist() for priors in every]
        for field in (share, f"{share}_interval")
    )
    return Series(name, values, limits, dashed)


def _accuracy(record: Record, summary: Summary) -> dict[str, object] | None:
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


def _sets(record: Record) -> dict[str, object] | None:
    """theta and theta' for two classes, the diagonal of Theta for three or four."""
    names = [inline(name, 24) for name in record.class_names]
    cells = [(1, 1), (0, 1)] if len(names) == 2 else [(k, k) for k in range(len(names))]
    series = [_series(record, f"truly {names[k]} among texts labelled {names[j]}", "theta", (j, k)) for j, k in cells]
    description = "Estimated share of the true class inside each set of texts with one label, by iteration"
    return _chart("sets", "What the sets are made of, by iteration", description, record, series)


def _heat(record: Record) -> list[dict[str, object]]:
    """Theta of the LLM's labels and of the result, each as a heat map; a set without gold label has no shares."""
    chosen = _largest(record, MOST_CLASSES)
    names = [short(record.class_names[k], 24) for k in chosen]
    maps: list[dict[str, object]] = []
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


def _shares(record: Record) -> dict[str, object] | None:
    """How often each class is given, and for two classes how often it truly occurs."""
    names = [inline(name, 24) for name in record.class_names]
    chosen = [1] if len(names) == 2 else _largest(record, MOST_LINES)
    labels = [iteration.labels for iteration in record.iterations]
    series = [Series(f"labelled {names[k]}", [_share(codes, k) for codes in labels]) for k in chosen]
    if len(names) == 2:
        series.append(_series(record, f"truly {names[1]}, estimated", "class_prior", 1, dashed=True))
    description = "Share of all texts with a label that have this one, by iteration"
    return _chart("shares", "Shares of the classes, by iteration", description, record, series)


def _changes(record: Record) -> dict[str, object] | None:
    n = len(record.llm)
    values = [None if each.notes.changed is None else each.notes.changed / n for each in record.iterations]
    description = "Share of texts whose label is another than in the iteration before"
    series = [Series("another label than in the iteration before", values)]
    return _chart("changes", "Labels changed, by iteration", description, record, series)


def _rows(record: Record, summary: Summary) -> list[dict[str, object]]:
    rows = []
    for iteration, row in zip(record.iterations, summary["iterations"], strict=True):
        rows += [_row(llm["name"], llm) for llm in row.get("annotators", ())]
        fit, priors = iteration.notes.fit, iteration.priors
        signal = None if record.is_posterior or priors is None else weakest_signal(priors)
        more = {
            "best": iteration.number == record.best_iteration,
            "signal": signal and f"{100 * signal[0]:.0f} ({100 * signal[1]:.0f} to {100 * signal[2]:.0f})",
            "epochs": fit and f"{fit.best_epoch + 1} of {len(fit.validation_risk)}",
            "risk": fit and f"{fit.validation_risk[fit.best_epoch]:.4f}",
        }
        rows.append(_row(iteration.whose, row) | more)
    return rows


def _row(name: str, row: Summary) -> dict[str, object]:
    known = estimate_in(row)
    return {
        "name": name,
        "best": False,
        "accuracy": known and percent(known.accuracy),
        "limits": known and limits(known.interval),
        "true": percent(row["true_accuracy"]) if "true_accuracy" in row else None,
        "changed": f"{row['changed']:,}" if "changed" in row else None,
        **dict.fromkeys(("signal", "epochs", "risk")),
    }


def _class_rows(record: Record) -> list[dict[str, object]]:
    """By class and iteration: the share that has the label, and theta_kk with its interval."""

    def theta(priors: Priors | None, k: int) -> str | None:
        return None if priors is None else f"{percent(priors.theta[k, k], 0)} ({limits(priors.theta_interval[k, k])})"

    def cells(k: int) -> list[dict[str, str | None]]:
        every = record.iterations
        return [{"share": percent(_share(step.labels, k)), "theta": theta(step.priors, k)} for step in every]

    return [{"name": short(record.class_names[k]), "cells": cells(k)} for k in _largest(record, MOST_CLASSES)]


def _largest(record: Record, most: int) -> list[int]:
    """The classes with most LLM and refined labels, in their own order."""
    K = len(record.class_names)
    size = [_share(record.llm, k) + _share(record.best.labels, k) for k in range(K)]
    return sorted(sorted(range(K), key=lambda k: (-size[k], k))[:most])


def _share(labels: NDArray[np.int16], k: int) -> float:
    """As `silr refine` prints it: among the texts that have a label."""
    return float((labels[labels >= 0] == k).mean())


def _source(priors: Priors | None) -> str:
    words = {"gold": "estimated from gold labels, with 95% interval", "oracle": "from all true labels (oracle)"}
    return words.get(priors.source if priors else "", "as given")
