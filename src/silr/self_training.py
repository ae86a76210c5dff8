"""What the LLM's scores say by themselves: self-training from them, with class shares that are guessed and kept.

An LLM that calls nearly everything positive can still order the texts well: its scores are right up to a threshold for
each class. The thresholds need the class shares. A mixture of normal densities with one covariance, one for each class,
fitted to the LLM's margins, gives one guess, the mean of the LLM's probabilities another, even shares a third; the mean
of the three has nobody's worst case. From there on, ridge regressions of the soft labels on the features, each with the
thresholds that keep the guessed shares, average out the errors of single texts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from silr.annotator_evidence import Scale
from silr.contrasts import as_targets, contrasts, from_targets, logits, probabilities, standardised
from silr.prior_matching import soft_prior_offsets
from silr.ridge import Float32, Numbers, Ridge, StandardisedMatrix

STEEP = 4.0  # logits per standard deviation of the difference of two classes, where it becomes a soft label
LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Student:
    """What one round ends with.

    Attributes
    ----------
    left_out : float32 array of shape (n, T)
        Contrasts of each text by the regression without it, differences of two classes of deviation 1.
    weight, intercept : float64 arrays of shape (T, d) and (T,)
        The map from standardised features to `STEEP` times such, with the shift that gives their probabilities the
        guessed shares.
    """

    left_out: Float32
    weight: Numbers
    intercept: Numbers


def self_train(X: StandardisedMatrix, ridge: Ridge, llm_scores: NDArray[Any]) -> Iterator[Student]:
    """One round after another, without end.

    Parameters
    ----------
    X : StandardisedMatrix
    ridge : Ridge
        On X.
    llm_scores : array of shape (n, K)
        Log-probabilities, NaN where the LLM gave none; they must not `say_nothing`.
    """
    shares = guessed_shares(llm_scores[np.isfinite(llm_scores).all(axis=1)])
    values = STEEP * Scale.of(llm_scores)(llm_scores)
    shift = _shift(values, shares)
    while True:
        soft = as_targets(probabilities(values + shift)).astype(np.float32)
        weight, intercept = ridge.fit(soft)
        left_out, mean, size = standardised(from_targets(ridge.leave_one_out(soft, weight)))
        values = STEEP * left_out
        shift = _shift(values, shares)
        slope = STEEP / size
        weight, intercept = from_targets(weight.T).T, from_targets(intercept[None])[0]
        yield Student(left_out.astype(np.float32), slope * weight, slope * (intercept - mean) + shift)


def _shift(values: NDArray[Any], shares: Numbers) -> Numbers:
    """Contrasts that give probabilities the class shares."""
    offsets: Numbers = contrasts(soft_prior_offsets(logits(values), shares)[None])[0]
    return offsets


def say_nothing(llm_scores: NDArray[Any]) -> bool:
    """Whether scores, shape (n, K), are the same for all texts that have some."""
    known = llm_scores[np.isfinite(llm_scores).all(axis=1)]
    return not len(known) or bool(np.ptp(known - known[:, :1], axis=0).max() < 1e-9)


def guessed_shares(llm_scores: Numbers) -> Numbers:
    """The class shares, shape (K,), from the LLM's log-probabilities, shape (n, K).

    The mean of three guesses: even shares of the classes that are the LLM's answer to some text, or of all if it has
    one answer; the mean of the LLM's probabilities; and those of a mixture of normal densities with one covariance,
    fitted to the standardised scores, which start at the texts that speak most for a class. At
    least 2 % each.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    opinion = logits(Scale.of(llm_scores)(llm_scores)).astype(np.float64)
    n_classes = opinion.shape[1]
    there, first = np.unique(opinion.argmax(axis=1), return_inverse=True)
    margins = opinion[:, 1:] - opinion[:, :1]
    means = np.vstack([margins[first == group].mean(axis=0) for group in range(len(there))])
    within = margins - means[first]
    covariance = within.T @ within / len(margins) + 1e-6 * np.eye(n_classes - 1)
    model = GaussianMixture(
        len(there),
        covariance_type="tied",
        weights_init=np.bincount(first) / len(first),
        means_init=means,
        precisions_init=np.linalg.inv(covariance),
        init_params="random",  # nothing is left to chance, but the usual way would cluster the texts first
        random_state=0,
        max_iter=200,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a guess need not be more exact
        mixed = np.bincount(there[model.fit(margins).predict(margins)], minlength=n_classes) / len(margins)
    answered = np.bincount(llm_scores.argmax(axis=1), minlength=n_classes) > 0
    even = answered / answered.sum() if answered.sum() > 1 else np.full(n_classes, 1 / n_classes)
    shares = np.maximum((mixed + softmax(llm_scores, axis=1).mean(axis=0) + even) / 3, LEAST_SHARE)
    guess: Numbers = shares / shares.sum()
    return guess
