"""Logits of classes as contrasts.

Logits count up to what the classes of a text have in common. The contrasts of two classes are their difference, shape
(n, 1); those of K classes are the logits less their mean, shape (n, K).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Numbers = NDArray[np.float64]
Float32 = NDArray[np.float32]
Floats = NDArray[np.floating]
Float = TypeVar("Float", bound=np.floating)


def contrasts(logits: Floats) -> Numbers:
    """Contrasts, shape (n, 1) or (n, K), of logits of shape (n, K)."""
    logits = np.asarray(logits, dtype=np.float64)
    if logits.shape[1] == 2:
        return np.asarray(logits[:, 1:] - logits[:, :1])
    return np.asarray(logits - logits.mean(axis=1, keepdims=True))


def logits(contrast: NDArray[Float]) -> NDArray[Float]:
    """Logits, shape (n, K), of contrasts."""
    return np.asarray(np.hstack([-contrast / 2, contrast / 2])) if contrast.shape[1] == 1 else contrast


def probabilities(contrast: Floats) -> Floats:
    """Class probabilities, shape (n, K), of contrasts."""
    if contrast.shape[1] == 1:
        second_class = expit(contrast)
        return np.hstack([1 - second_class, second_class])
    return np.asarray(softmax(contrast, axis=1))


def deviation(contrast: Floats) -> float:
    """Standard deviation of the difference of two classes, for contrasts whose columns have mean 0; never 0."""
    return deviation_of(contrast.var(axis=0, dtype=np.float64))


def deviation_of(variance: Numbers) -> float:
    """The same from the variance of each column."""
    return max(float(np.sqrt(np.maximum(variance, 0.0).mean())) * (1 if len(variance) == 1 else 2), 1e-12)


def standardised(contrast: Floats) -> tuple[Floats, Floats, float]:
    """Contrasts with columns of mean 0 and differences of deviation 1; the means, and the deviation they had."""
    mean = contrast.mean(axis=0, dtype=np.float64)
    scale = deviation(contrast - mean)
    return (contrast - mean) / scale, mean, scale


def with_reference(scores: NDArray[Float]) -> NDArray[Float]:
    """Scores of all classes, shape (n, K); a single score, shape (n, 1), is that of class 1 beside 0 for class 0."""
    return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores


def as_targets(probability: NDArray[Float]) -> NDArray[Float]:
    """Targets of a regression, shape (n, T): the probability of class 1 of two, or of each of more classes."""
    return probability[:, 1:] if probability.shape[1] == 2 else probability


def from_targets(fitted: NDArray[Float]) -> NDArray[Float]:
    """Contrasts, up to their scale, of fitted targets."""
    return fitted if fitted.shape[1] == 1 else np.asarray(fitted - fitted.mean(axis=1, keepdims=True))
