"""Changes of labels, and the distribution of the refined scores."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.io.words import inline, percent, short
from silr.refine.record import Record
from silr.report.charts import histogram

WIDEST_TABLE, MOST_MOVES, MOST_PANELS, BINS, SHADES = 12, 40, 8, 25, 10


class Panel(NamedTuple):
    """Scores of some texts: those that kept the LLM's label, and the others."""

    name: str
    what: str
    kept: NDArray[np.floating]
    changed: NDArray[np.floating]


def confusion(record: Record) -> dict[str, object]:
    """LLM label against refined label: `rows` of cells by class, or for more than 12 classes the frequent `moves`."""
    K, labels, refined = len(record.class_names), record.llm, record.best.labels
    counts = np.zeros((K + 1, K), dtype=np.int64)  # the last row: texts without LLM label
    seen = refined >= 0
    np.add.at(counts, (labels[seen], refined[seen]), 1)
    names = [short(name) for name in record.class_names]
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


def _moves(counts: NDArray[np.int64], names: list[str]) -> list[dict[str, str]]:
    pairs = [(int(counts[j, k]), j, k) for j, k in zip(*np.nonzero(counts), strict=True) if j != k]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return [
        {"from": names[j], "to": names[k], "count": f"{count:,}", "share": percent(count / counts[j].sum())}
        for count, j, k in pairs[:MOST_MOVES]
    ]


def histograms(record: Record) -> dict[str, object] | None:
    """Panels by LLM label (how much the classifier believes it) and by refined label (how sure it is)."""
    scores, labels, refined = record.best.scores, record.llm, record.best.labels
    if scores is None:
        return None
    same = labels == refined
    by_llm: list[Panel] = []
    by_refined: list[Panel] = []
    for k, name in enumerate(record.class_names):
        words = inline(name)
        for panels, members, column, what in (
            (by_llm, labels == k, scores[:, k], f"score of {words} among texts that the LLM labelled {words}"),
            (by_refined, refined == k, scores.max(axis=1), f"refined score among texts with refined label {words}"),
        ):
            if members.any():
                panels.append(Panel(short(name), what, column[members & same], column[members & ~same]))
    left_out = max(0, len(record.class_names) - MOST_PANELS)
    return {"by_llm": _draw("llm", by_llm), "by_refined": _draw("refined", by_refined), "left_out": left_out}


def _draw(kind: str, panels: list[Panel]) -> list[dict[str, str]]:
    """The largest panels, in their own order."""
    sizes = [len(panel.kept) + len(panel.changed) for panel in panels]
    drawn = []
    for number in sorted(sorted(range(len(panels)), key=lambda number: -sizes[number])[:MOST_PANELS]):
        name, what, *parts = panels[number]
        kept, changed = (f"{len(part):,}" for part in parts)
        stacks = [np.histogram(part, bins=BINS, range=(0, 1))[0].tolist() for part in parts]
        description = f"Histogram of the {what}: {kept} texts kept the LLM's label, {changed} did not"
        svg = histogram(f"scores-{kind}-{number}", f"Scores, {name}", description, stacks)
        drawn.append({"name": name, "texts": f"{sizes[number]:,}", "changed": changed, "svg": svg})
    return drawn
