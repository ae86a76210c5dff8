"""Whether a refined score of 90 % means that 90 % of such labels are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.priors import share_interval
from silr.report.charts import Bin, calibration_chart, swatch
from silr.report.record import Record
from silr.report.words import limits, percent

FEWEST, A_BIN, MOST_BINS, TRUE_BINS = 20, 12, 8, 10


def calibration(record: Record) -> dict[str, Any]:
    """Reliability by score, from the gold labels and from the truth where it is known.

    Returns
    -------
    dict
        `gold` (how many gold labels could be used), `series` (name and rows of each), `svg` or None, `legend`, `claimed`
        (the mean refined score) and `right` (the estimated accuracy) or None.
    """
    scores, corpus = record.best.scores, record.corpus
    if scores is None:
        return {"gold": 0, "series": [], "svg": None, "legend": [], "claimed": None, "right": None}
    top, labels = scores.max(axis=1).astype(np.float64), record.best.labels
    drawn = np.flatnonzero(corpus.gold >= 0) if corpus else np.array([], dtype=int)
    series: list[tuple[str, list[Bin]]] = []
    if corpus is not None and len(drawn) >= FEWEST:
        right = labels[drawn] == corpus.gold[drawn]
        n_bins = min(MOST_BINS, max(2, len(drawn) // A_BIN))
        series.append(("gold labels, with 95% intervals", reliability(top[drawn], right, corpus.weight[drawn], n_bins)))
    if corpus is not None and corpus.truth is not None:
        known = np.flatnonzero(corpus.truth >= 0)
        right = labels[known] == corpus.truth[known]
        n_bins = min(TRUE_BINS, max(1, len(known) // A_BIN))
        found = reliability(top[known], right, np.ones(len(known)), n_bins)
        series.append(("true labels, which only score", found))
    words = "Share of labels that are right against the refined score; on the diagonal the two agree"
    priors = record.best.priors
    return {
        "gold": len(drawn),
        "fewest": FEWEST,
        "series": [{"name": name, "rows": [_row(each) for each in bins]} for name, bins in series],
        "svg": calibration_chart("calibration", "Calibration of the refined score", words, series) if series else None,
        "legend": [(swatch(number), name) for number, (name, _) in enumerate(series)],
        "claimed": percent(float(top.mean())),
        "right": None if priors is None else percent(priors.accuracy),
        "gap": None if priors is None else round(100 * (float(top.mean()) - priors.accuracy)),
        "within": priors is not None and priors.accuracy_interval[0] <= top.mean() <= priors.accuracy_interval[1],
    }


def reliability(scores: NDArray[Any], right: NDArray[np.bool_], weight: NDArray[Any], n_bins: int) -> list[Bin]:
    """Bins of as many labelled texts each, in the order of their score.

    Parameters
    ----------
    scores : float array of shape (n,)
    right : bool array of shape (n,)
        Whether the label is right.
    weight : float array of shape (n,)
        How many texts each labelled one speaks for.
    n_bins : int
        At most; equal scores stay together.

    Returns
    -------
    list of Bin
        Weighted means, with Jeffreys' interval for Kish's effective number of labels, as in `silr.priors`.
    """
    edges = np.quantile(scores, np.linspace(0, 1, n_bins + 1)[1:-1])
    number = np.searchsorted(np.unique(edges), scores, side="right")
    bins = []
    for each in np.unique(number):
        inside = number == each
        w = weight[inside] / weight[inside].sum()
        share = float(w @ right[inside])
        low, high = share_interval(np.array(share), np.array(1 / (w @ w)), 0.95)
        bins.append(Bin(int(inside.sum()), float(w @ scores[inside]), share, float(low), float(high)))
    return bins


def _row(each: Bin) -> dict[str, str]:
    return {
        "texts": f"{each.texts:,}",
        "score": percent(each.score),
        "right": percent(each.right),
        "limits": limits((each.low, each.high)),
    }
