"""How labels and probabilities are scored, and how two methods are compared on the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

BINS = 15  # of the calibration error
LEAST = 1e-6  # probability: a method that is sure and wrong has no infinite log loss


def score(truth: Any, labels: Any, probabilities: Any = None) -> dict[str, float]:
    """Accuracy and macro-F1; log loss and expected calibration error if there are probabilities.

    Parameters
    ----------
    truth, labels : int arrays of shape (n,)
        A label of -1 is wrong.
    probabilities : array of shape (n, K), default None
    """
    named = labels[labels >= 0] if labels.dtype.kind in "iuf" else labels
    occurring = np.union1d(truth, named)
    found = {
        "accuracy": float((truth == labels).mean()),
        "macro_f1": float(f1_score(truth, labels, average="macro", labels=occurring)),
    }
    if probabilities is not None:
        given = np.asarray(probabilities, dtype=np.float64)
        found["log_loss"] = float(-np.log(np.maximum(given[np.arange(len(truth)), truth], LEAST)).mean())
        found["calibration_error"] = calibration_error(truth, given)
    return found


def calibration_error(truth: Any, probabilities: Any, bins: int = BINS) -> float:
    """Expected calibration error: the mean distance of accuracy and confidence over bins of equal width.

    Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, equation 3.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bin m is ((m - 1) / bins, m / bins]
    gaps = np.bincount(place, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def paired(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Mean of the differences first - second, draw by draw, and its standard error (NaN of a single draw)."""
    differences = np.subtract(first, second)
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    return float(differences.mean()), float(error)


def mean_and_deviation(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "-"
