"""Which labels became which, and how the refined scores are spread."""

from __future__ import annotations

from typing import Any

import numpy as np

from silr.report.charts import histogram
from silr.report.record import Record
from silr.report.words import inline, percent, short

WIDEST_TABLE, MOST_MOVES, MOST_PANELS, BINS, SHADES = 12, 40, 8, 25, 10


def confusion(record: Record) -> dict[str, Any]:
    """LLM label against refined label.

    Returns
    -------
    dict
        `classes` and `rows` of cells for a table, or, for more than 12 classes, None and the most frequent `moves`.
    """
    K, labels, refined = len(record.classes), record.llm, record.best.labels
    counts = np.zeros((K + 1, K), dtype=np.int64)  # the last row: texts without LLM label
    seen = refined >= 0
    np.add.at(counts, (labels[seen], refined[seen]), 1)
    names = [short(name) for name in record.classes]
    missing = int(counts[K].sum())
    if K > WIDEST_TABLE:
        return {"classes": None, "rows": None, "moves": _moves(counts[:K], names), "missing": missing}
    rows = []
    for number, line in enumerate(counts if missing else counts[:K]):
        total = max(int(line.sum()), 1)
        cells = [
            {
                "count": f"{count:,}",
                "share": percent(count / total, 0),
                "shade": round(SHADES * count / total),
                "same": position == number,
            }
            for position, count in enumerate(line.tolist())
        ]
        rows.append({"name": names[number] if number < K else None, "cells": cells, "total": f"{line.sum():,}"})
    totals = [f"{count:,}" for count in counts.sum(axis=0)]
    return {"classes": names, "rows": rows, "totals": totals, "moves": None, "missing": missing}


def _moves(counts: Any, names: list[str]) -> list[dict[str, str]]:
    pairs = [(int(counts[j, k]), j, k) for j, k in zip(*np.nonzero(counts), strict=True) if j != k]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return [
        {"from": names[j], "to": names[k], "count": f"{count:,}", "share": percent(count / counts[j].sum())}
        for count, j, k in pairs[:MOST_MOVES]
    ]


def histograms(record: Record) -> dict[str, Any] | None:
    """Panels by LLM label (how much the classifier believes it) and by refined label (how sure it is)."""
    scores, labels, refined = record.best.scores, record.llm, record.best.labels
    if scores is None:
        return None
    same = labels == refined
    by_llm: list[dict[str, Any]] = []
    by_refined: list[dict[str, Any]] = []
    for k in range(len(record.classes)):
        name, words = short(record.classes[k]), inline(record.classes[k])
        for panels, members, column, what in (
            (by_llm, labels == k, scores[:, k], f"score of {words} among texts that the LLM labelled {words}"),
            (by_refined, refined == k, scores.max(axis=1), f"refined score among texts with refined label {words}"),
        ):
            if members.any():
                stacks = [_counts(column[members & chosen]) for chosen in (same, ~same)]
                panels.append({"name": name, "texts": int(members.sum()), "stacks": stacks, "what": what})
    return {
        "by_llm": _panels("llm", by_llm),
        "by_refined": _panels("refined", by_refined),
        "left_out": max(0, len(record.classes) - MOST_PANELS),
    }


def _panels(kind: str, panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    largest = sorted(sorted(range(len(panels)), key=lambda number: -panels[number]["texts"])[:MOST_PANELS])
    drawn = []
    for number in largest:
        panel = panels[number]
        kept, changed = (sum(stack) for stack in panel["stacks"])
        description = f"Histogram of the {panel['what']}: {kept:,} texts kept the LLM's label, {changed:,} did not"
        svg = histogram(f"scores-{kind}-{number}", f"Scores, {panel['name']}", description, panel["stacks"])
        drawn.append({"name": panel["name"], "texts": f"{panel['texts']:,}", "changed": f"{changed:,}", "svg": svg})
    return drawn


def _counts(scores: Any) -> list[int]:
    counts: list[int] = np.histogram(scores, bins=BINS, range=(0, 1))[0].tolist()
    return counts
