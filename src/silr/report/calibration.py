"""Calibration: whether 90 % of the labels with a refined score of 90 % are right."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from silr.io.words import limits, percent
from silr.refine.record import Record
from silr.report.charts import Series, legend_of, line_chart
from silr.stats.intervals import Right, right_share

FEWEST, IN_A_BIN = 20, 8
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def calibration(record: Record) -> dict[str, object] | None:
    """Reliability by score, from the gold labels and from the truth where it is known.

    `gold` is the number of gold labels and `fewest` how many it takes; `claimed` the mean refined score and `right` the
    estimated accuracy, with their `gap`; `rows` and `chart` are empty and None if nothing is known. None if nothing was
    refined.
    """
    if record.best.scores is None:
        return None
    labels, corpus = record.best.labels, record.corpus
    scores = np.take_along_axis(record.best.scores, np.maximum(labels, 0)[:, None].astype(np.int64), axis=1)[:, 0]
    priors, claimed = record.best.priors, float(scores.mean(dtype=np.float64))
    gold = int((corpus.gold >= 0).sum()) if corpus else 0
    values: dict[str, object] = {"gold": gold, "fewest": FEWEST, "claimed": percent(claimed), "right": None}
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
    bins = [number == place for place in range(len(edges) - 1)]
    right = {
        name: [
            right_share((labels == answer)[rows], weight[rows]) for rows in (inside & (answer >= 0) for inside in bins)
        ]
        for name, (answer, weight) in checks.items()
    }
    means = [float(scores[inside].mean(dtype=np.float64)) for inside in bins]
    rows = [
        {
            "name": _name(low, high),
            "texts": f"{int(inside.sum()):,}",
            "score": percent(mean),
            "right": [_row(share) for share in shares],
        }
        for (low, high), inside, mean, *shares in zip(pairwise(edges), bins, means, *right.values(), strict=True)
    ]
    chart = _chart([axis_name(low, high) for low, high in pairwise(edges)], means, right)
    return values | {"rows": rows, "checks": list(right), "chart": chart}


def bin_edges(scores: NDArray[np.floating], checked: NDArray[np.bool_]) -> list[float]:
    """Edges between scores, as fine as at least 8 texts with a known label in each bin allow; arrays are (n,)."""
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


def _chart(names: list[str], means: list[float], right: dict[str, list[Right | None]]) -> dict[str, object]:
    series = [Series("what the scores claim", means, dashed=True)]
    for name, column in right.items():
        shares = [None if share is None else share.share for share in column]
        intervals = [None if share is None else share.interval for share in column]
        series.append(Series(f"right, by {name}", shares, intervals))
    words = "Mean score and share of right labels, with 95% intervals, for groups of texts with similar scores"
    svg = line_chart("calibration", "Calibration of the refined score", words, names, series, "refined score (%)")
    return {"svg": svg, "legend": legend_of(series)}


def _row(right: Right | None) -> dict[str, str] | None:
    if right is None:
        return None
    return {"share": percent(right.share), "limits": limits(right.interval), "labels": f"{right.labels:,}"}


def _name(low: float, high: float) -> str:
    return f"up to {high:.0%}" if low == 0 else f"{100 * low:.0f} to {high:.0%}"


def axis_name(low: float, high: float) -> str:
    """The same for an axis, where there is room for eight."""
    return f"≤{100 * high:.0f}" if low == 0 else f"{100 * low:.0f}-{100 * high:.0f}"
