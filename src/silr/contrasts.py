"""Logits of classes as contrasts.

Logits count up to what the classes of a text have in common. The contrasts of two classes are their difference, shape
(n, 1); those of K classes are the logits less their mean, shape (n, K).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Numbers = NDArray[np.float64]


def contrasts(logits: NDArray[Any]) -> Numbers:
    """Contrasts, shape (n, 1) or (n, K), of logits of shape (n, K)."""
    logits = np.asarray(logits, dtype=np.float64)
    if logits.shape[1] == 2:
        difference: Numbers = logits[:, 1:] - logits[:, :1]
        return difference
    centred: Numbers = logits - logits.mean(axis=1, keepdims=True)
    return centred


def logits(contrast: NDArray[Any]) -> NDArray[Any]:
    """Logits, shape (n, K), of contrasts."""
    return np.hstack([-contrast / 2, contrast / 2]) if contrast.shape[1] == 1 else contrast


def probabilities(contrast: NDArray[Any]) -> NDArray[Any]:
    """Class probabilities, shape (n, K), of contrasts."""
    if contrast.shape[1] == 1:
        of_second = expit(contrast)
        return np.hstack([1 - of_second, of_second])
    found: NDArray[Any] = softmax(contrast, axis=1)
    return found


def deviation(contrast: NDArray[Any]) -> float:
    """Standard deviation of the difference of two classes, for contrasts whose columns have mean 0; never 0."""
    return max(float(contrast.std()) * (1 if contrast.shape[1] == 1 else 2), 1e-12)


def standardised(contrast: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Contrasts with columns of mean 0 and differences of deviation 1; the means, and the deviation they had."""
    mean = contrast.mean(axis=0, dtype=np.float64)
    centred = contrast - mean
    size = deviation(centred)
    return centred / size, mean, size


def as_targets(probability: NDArray[Any]) -> NDArray[Any]:
    """Targets of a regression, shape (n, T): the probability of class 1 of two, or of each of more classes."""
    return probability[:, 1:] if probability.shape[1] == 2 else probability


def from_targets(fitted: NDArray[Any]) -> NDArray[Any]:
    """Contrasts, up to their scale, of fitted targets."""
    return fitted if fitted.shape[1] == 1 else fitted - fitted.mean(axis=1, keepdims=True)
