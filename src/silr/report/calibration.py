"""Whether a refined score of 90 % means that 90 % of such labels are right."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.report.charts import Series, line_chart, swatch
from silr.report.record import Record
from silr.report.words import limits, percent
from silr.shares import Right, right_share

FEWEST, IN_A_BIN = 20, 8
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def calibration(record: Record) -> dict[str, Any] | None:
    """Reliability by score, from the gold labels and from the truth where it is known.

    Returns
    -------
    dict
        `gold` (how many gold labels there are) and `fewest` (how many it takes), `claimed` (the mean refined score),
        `right` (the estimated accuracy) with their `gap`, and `rows` and `chart`, empty and None if nothing is known.
        None if nothing was refined.
    """
    if record.best.scores is None:
        return None
    labels, corpus = record.best.labels, record.corpus
    scores = np.take_along_axis(record.best.scores, np.maximum(labels, 0)[:, None].astype(np.int64), axis=1)[:, 0]
    priors, claimed = record.best.priors, float(scores.mean(dtype=np.float64))
    gold = int((corpus.gold >= 0).sum()) if corpus else 0
    values: dict[str, Any] = {"gold": gold, "fewest": FEWEST, "claimed": percent(claimed), "right": None}
    if priors is not None and priors.source == "gold":
        low, high = priors.accuracy_interval
        gap = round(100 * (claimed - priors.accuracy))
        values |= {"right": percent(priors.accuracy), "gap": gap, "fits": bool(low <= claimed <= high)}
    checks = {}
    if corpus is not None and gold >= FEWEST:
        checks["gold labels"] = corpus.gold, corpus.weight
    if corpus is not None and corpus.truth is not None:
        checks["true labels"] = corpus.truth, np.ones(len(labels))
    if not checks:
        return values | {"rows": [], "checks": [], "chart": None}
    checked = next(iter(checks.values()))[0] >= 0
    edges = bin_edges(scores, checked)
    number = np.digitize(scores, edges[1:-1])
    found: dict[str, list[Right | None]] = {}
    for name, (answer, weight) in checks.items():
        inside = [np.flatnonzero((answer >= 0) & (number == each)) for each in range(len(edges) - 1)]
        found[name] = [right_share(labels[rows] == answer[rows], weight[rows]) for rows in inside]
    names = [_name(low, high) for low, high in pairwise(edges)]
    means = [float(scores[number == each].mean(dtype=np.float64)) for each in range(len(names))]
    rows = [
        {
            "name": name,
            "texts": f"{int((number == each).sum()):,}",
            "score": percent(means[each]),
            "right": [_row(column[each]) for column in found.values()],
        }
        for each, name in enumerate(names)
    ]
    chart = _chart([axis_name(low, high) for low, high in pairwise(edges)], means, found)
    return values | {"rows": rows, "checks": list(found), "chart": chart}


def bin_edges(scores: NDArray[Any], checked: NDArray[np.bool_]) -> list[float]:
    """Edges between scores, as fine as at least 8 checked labels in each bin allow.

    Parameters
    ----------
    scores : float array of shape (n,)
    checked : bool array of shape (n,)
        Whether somebody knows the text's label.
    """
    counts = np.histogram(scores[checked], EDGES)[0].tolist()
    edges: list[float] = [EDGES[0]]
    inside = 0
    for count, high in zip(counts, EDGES[1:], strict=True):
        inside += count
        if inside >= IN_A_BIN:
            edges.append(high)
            inside = 0
    if len(edges) == 1:
        edges.append(EDGES[-1])
    edges[-1] = EDGES[-1]  # what is left over joins the last
    return edges


def _chart(names: list[str], means: list[float], found: dict[str, list[Right | None]]) -> dict[str, Any]:
    series = [Series("what the scores claim", means, dashed=True)]
    for name, column in found.items():
        shares = [None if each is None else each.share for each in column]
        around = [None if each is None else each.interval for each in column]
        series.append(Series(f"right, by {name}", shares, around))
    words = "Mean score and share of right labels, with 95% intervals, for groups of texts with similar scores"
    svg = line_chart("calibration", "Calibration of the refined score", words, names, series, "refined score (%)")
    return {"svg": svg, "legend": [(swatch(number, each.dashed), each.name) for number, each in enumerate(series)]}


def _row(each: Right | None) -> dict[str, str] | None:
    if each is None:
        return None
    return {"share": percent(each.share), "limits": limits(each.interval), "labels": f"{each.labels:,}"}


def _name(low: float, high: float) -> str:
    return f"up to {high:.0%}" if low == 0 else f"{100 * low:.0f} to {high:.0%}"


def axis_name(low: float, high: float) -> str:
    """The same for an axis, where there is room for eight."""
    return f"≤{100 * high:.0f}" if low == 0 else f"{100 * low:.0f}-{100 * high:.0f}"
