"""Refinement of two classes without any gold label: from the LLM's scores alone, and a guess at the class prior.

An LLM that calls nearly everything positive can still order the texts well: its scores are right up to a threshold. The
threshold needs the class prior. A mixture of two normal densities of one width, fitted to the LLM's margins, gives one
guess, an even prior is another; half way between them has neither's worst case. From there on, ridge regressions of the
soft labels on the features, each with the threshold that keeps the guessed prior, average out the errors of single
texts, as in `silr.soft_uu`.

Whether the scores carry any signal cannot be seen without a gold label: if they do not, the result is noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from silr.classifiers.frozen import FrozenClassifier
from silr.classifiers.standardise import Standardiser
from silr.errors import NoSignalError
from silr.refine import Labels, Loop, Store, score
from silr.ridge import Numbers, Ridge, StandardisedMatrix
from silr.run import Iteration
from silr.soft_uu import PENALTY

STEEP = 4.0  # logits per standard deviation of the margin, where it becomes a soft label
LEAST_SHARE = 0.02


def refine_without_gold(
    X: NDArray[Any], llm_labels: Labels, llm_scores: Numbers, loop: Loop, done: list[Iteration], store: Store
) -> list[Iteration]:
    """Refine labels of two classes by the LLM's scores.

    Parameters
    ----------
    X : array of shape (n, d)
    llm_labels : int16 array of shape (n,)
        -1 where the LLM gave none.
    llm_scores : array of shape (n, 2)
        Log-probabilities, NaN where it gave none.
    loop : Loop
        Its `iterations`, `seed`, `truth` and `on_step` are used.
    done, store
        As `silr.soft_refine.refine_from_gold` takes them.

    Returns
    -------
    list of Iteration
        From 0, the LLM's labels. None has priors: nothing is known about them.

    Raises
    ------
    NoSignalError
        The scores are the same for all texts.
    """
    known = np.isfinite(llm_scores).all(axis=1)
    margin = llm_scores[known, 1] - llm_scores[known, 0]
    if not margin.size or np.ptp(margin) < 1e-9:
        raise NoSignalError("the LLM's scores are the same for all texts: they say nothing; label 50 texts by hand")
    share = guessed_prior(margin, loop.seed)
    soft = np.full(len(X), share)
    soft[known] = _soft_labels(margin, share)[0]
    iterations = [Iteration(0, llm_labels, None, None, score(loop, llm_labels))]
    if not done:
        store(iterations[0], None)
    standardiser = Standardiser.of(X)
    matrix = StandardisedMatrix(X, standardiser)
    ridge = Ridge(matrix, PENALTY)
    for number in range(1, loop.iterations + 1):
        if loop.on_step is not None:
            loop.on_step(number, 0, 1)
        weight, intercept = ridge.fit(soft[:, None])
        fitted = matrix.scores(weight, intercept)[:, 0]
        soft, slope, cut = _soft_labels(fitted, share)
        half, middle = slope * weight / 2, slope * (intercept - cut) / 2
        labels = (soft > 0.5).astype(np.int16)
        metrics = {"changed": int((labels != iterations[-1].labels).sum()), **score(loop, labels)}
        iterations[-1] = replace(iterations[-1], scores=None)  # many texts, many bytes
        scores = np.column_stack([1 - soft, soft]).astype(np.float32)
        iterations.append(Iteration(number, labels, scores, None, metrics))
        if number >= len(done):
            head = np.vstack([-half, half]), np.concatenate([-middle, middle])
            store(iterations[-1], FrozenClassifier.linear(*head, standardiser))
        if loop.on_step is not None:
            loop.on_step(number, 1, 1)
    return iterations


def guessed_prior(margin: Numbers, seed: int) -> float:
    """The share of class 1, from the LLM's margins of class 1 over class 0, shape (n,).

    Half way between one half and the share of the upper of two normal densities with the same variance, at least 2 %.
    """
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(2, covariance_type="tied", n_init=5, random_state=seed).fit(margin[:, None])
    upper = model.predict(margin[:, None]) == model.means_[:, 0].argmax()
    return float(np.clip((upper.mean() + 0.5) / 2, LEAST_SHARE, 1 - LEAST_SHARE))


def _soft_labels(margin: Numbers, share: float) -> tuple[Numbers, float, float]:
    """Degrees of class 1 such that so many texts are called it; the slope and the threshold that make them."""
    slope = STEEP / max(float(margin.std()), 1e-12)
    cut = float(np.quantile(margin, 1 - share))
    return expit(slope * (margin - cut)), slope, cut
