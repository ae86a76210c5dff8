"""A run as a reward: its classifier, calibrated on the gold labels where the method has not done that itself."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from silr.align.scorer import Scorer, class_number
from silr.errors import InputError
from silr.io.cells import label_key
from silr.io.corpus import digest, label_column, open_table, weight_column
from silr.refine.label_refiner import LabelRefiner
from silr.refine.labels import labels_path
from silr.refine.run import TABLE, Run
from silr.refine.table import Columns

FEWEST_GOLD = 20
EPSILON = 1e-7


def run_scorer(folder: Path, wanted: str | None, device: str | None, role: str) -> Scorer:
    """The scorer of a run directory; InputError if it is not finished, has no such class, or reads no texts."""
    refiner = LabelRefiner.load(folder, device)
    classes = [str(name) for name in refiner.classes_]
    column = class_number(wanted, classes, folder, role)
    if not hasattr(refiner, "features_"):
        raise InputError(f"{role} {folder} was made from features, not from texts: it cannot score what is written")
    run = Run(folder)
    method = run.configuration.get("method")
    number = refiner.classifier_iteration_
    slope, offset, scale = 1.0, 0.0, "as the run gives it"
    corpus_scores = run.iterations()[number].scores
    if method == "silr" and refiner.priors_ is not None and refiner.priors_.source == "gold":
        scale = "with the scale and thresholds that the run took from its gold labels"
    by_labels = hasattr(refiner.classifier_, "merged") and not refiner.result_.is_posterior
    if method != "silr" or by_labels:  # thresholds at most
        fit = None if corpus_scores is None else _calibrated(folder, corpus_scores[:, column], classes[column])
        if fit is not None:
            slope, offset = fit
            scale = "by Platt's logistic calibration on the run's gold labels"

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        p = refiner.predict_proba(list(texts))[:, column].astype(np.float64)
        return p if (slope, offset) == (1.0, 0.0) else np.asarray(expit(slope * log_odds(p) + offset))

    record = {"path": str(folder), "kind": "run", "class": classes[column], "iteration": number}
    record["weights"] = digest(json.dumps(run.manifest["identity"], sort_keys=True), corpus_scores)
    return Scorer(classes[column], f"probability of {classes[column]!r}, {scale}", record, score)


def log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds of probabilities, finite also for 0 and 1."""
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p))


def platt(
    odds: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Fit ``sigmoid(slope * odds + offset)`` to weighted labels of n log-odds, and return slope and offset.

    None if one kind of label is missing or the scores run against the labels.

    References
    ----------
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999: targets (n+ + 1) / (n+ + 2) and 1 / (n- + 2).
    """
    from sklearn.linear_model import LogisticRegression

    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    share = weight / weight.mean()
    model = LogisticRegression(C=1e6, max_iter=1000)
    both = np.concatenate([odds, odds])[:, None]
    sides = np.repeat([1, 0], len(odds))
    model.fit(both, sides, sample_weight=np.concatenate([share * target, share * (1 - target)]))
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 0 else None


def _calibrated(folder: Path, scores: NDArray[np.floating], wanted: str) -> tuple[float, float] | None:
    """Slope and offset by the gold labels of the run's own table, None if there are too few."""
    labels = labels_path(folder)
    if not labels.exists() or not (folder / TABLE).is_file():
        return None
    columns = Columns(**json.loads((folder / TABLE).read_bytes())["columns"])
    frame = open_table(labels)
    gold = label_column(frame, columns.gold, required=False)
    rows = np.array([label is not None for label in gold])
    if rows.sum() < FEWEST_GOLD or len(frame) != len(scores):
        return None
    column = weight_column(frame, columns.weight, labels, rows)
    weight = np.ones(int(rows.sum())) if column is None else np.asarray(column, dtype=np.float64)[rows]
    positive = np.array([label_key(label or "") == label_key(wanted) for label in gold])[rows]
    return platt(log_odds(np.asarray(scores, dtype=np.float64))[rows], positive, weight)
