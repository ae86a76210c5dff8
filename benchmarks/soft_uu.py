"""A candidate for the default: iterated UU learning with soft sets and the squared loss, in closed form.

Let text i belong to the pseudo-labelled set U_j to the degree q_ij. The squared loss of scores g_i for class k is
``|g_i - e_k|^2 / 2``, and the weights ``pi_k A_kj q_ij / sum_i q_ij`` of the UU risk sum over k and j to 1/n for each
text, as ``pi A`` are the shares of the sets. So the risk is ``1/2n sum_i |g_i - t_i|^2`` up to a constant, with
``t_ik = n pi_k sum_j A_kj q_ij / sum_i q_ij``: least squares onto the labels unmixed by Theta, a linear map of q_i. A
ridge regression of q on the features finds the head up to such a map, and the map comes from the gold labels.

One iteration regresses the soft labels on the features, calibrates the scores on the gold labels (a temperature, and a
shift for each class), and makes new soft labels of them, with those of gold texts fixed. Everything is done once for
all gold labels and once without each of five folds, so that scores of gold texts come from fits that never saw their
labels: the calibration, the log-loss that decides when to stop, and the estimated accuracy are honest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_softmax, softmax

from stack import Gold, Pool, Scores, centred, scale_of, stack

PENALTY = 2000.0  # of the ridge, for standardised features
SHARPEN = 2.0  # times the calibrated logits, before they are soft labels again
CALIBRATION_PENALTY = 10.0  # C
WORSE = 2.0  # standard errors above the best log-loss at which to stop


@dataclass(frozen=True)
class SoftIteration:
    """What one iteration ends with.

    Attributes
    ----------
    logits : float64 array of shape (n, K)
        Calibrated.
    gold_logits : float64 array of shape (m, K)
        Of gold texts, from fits without their labels.
    gold_loss : float
        Weighted log-loss of these.
    weight, intercept : float64 arrays of shape (K, d) and (K,)
        The map from features to logits; None of the start, which is no map of the features.
    """

    logits: Scores
    gold_logits: Scores
    gold_loss: float
    weight: Scores | None = None
    intercept: Scores | None = None


class Ridge:
    """Ridge regressions, one after another, on the same features: their matrix is factorised once.

    Parameters
    ----------
    features : array of shape (n, d)
        Standardised.
    penalty : float
    """

    def __init__(self, features: NDArray[Any], penalty: float) -> None:
        self._features = features
        gram = features.T @ features
        gram[np.diag_indices(len(gram))] += penalty
        self._factor = cho_factor(gram.astype(np.float64))

    def fit(self, targets: Scores) -> tuple[Scores, Scores]:
        """Weights and intercepts, shapes (t, d) and (t,), for targets of shape (n, t)."""
        mean = targets.mean(axis=0)
        right = self._features.T @ (targets - mean).astype(self._features.dtype)
        return cho_solve(self._factor, right.astype(np.float64)).T, mean  # the features' mean is 0

    def scores(self, weight: Scores, intercept: Scores) -> Scores:
        """Fitted values, shape (n, t)."""
        found: Scores = (self._features @ weight.T.astype(self._features.dtype)).astype(np.float64) + intercept
        return found


def refine_softly(
    features: NDArray[Any],
    views: Sequence[NDArray[Any]],
    llm_scores: Scores | None,
    gold: Gold,
    iterations: int,
    seed: int,
) -> list[SoftIteration]:
    """Refine from the stack of all evidence.

    Parameters
    ----------
    features : array of shape (n, d)
        What the classifier reads, standardised: the views side by side.
    views, llm_scores, gold, seed
        As `silr.stack.stack` takes them.
    iterations : int
        At most; fewer if the gold labels show that one made things worse.

    Returns
    -------
    list of SoftIteration
        The start, and each iteration that was kept.
    """
    folds = gold.folds(seed)
    parts = [gold, *(gold.part(learn) for learn, _ in folds)]
    logits = [stack(views, llm_scores, part, seed) for part in parts]
    found = [_judged(logits, gold, folds)]
    ridge = Ridge(features, PENALTY)
    sharpen = 1.0
    while len(found) <= iterations:
        targets = [_soft_labels(each * sharpen, part) for each, part in zip(logits, parts, strict=True)]
        weights, intercepts = ridge.fit(np.hstack(targets))
        raw = np.split(ridge.scores(weights, intercepts), len(parts), axis=1)
        opinions = [centred(each) / scale_of(centred(each)) for each in raw]
        pool = Pool.fit([_left_out(opinions, gold, folds)], gold, CALIBRATION_PENALTY)
        logits = [pool([each]) for each in opinions]
        head = _head(pool, weights[: gold.n_classes], intercepts[: gold.n_classes], raw[0])
        iteration = _judged(logits, gold, folds, head)
        best = min(found, key=lambda each: each.gold_loss)
        if _is_worse(iteration, best, gold):
            break
        found.append(iteration)
        sharpen = SHARPEN
    return found


def _head(pool: Pool, weight: Scores, intercept: Scores, raw: Scores) -> tuple[Scores, Scores]:
    """Calibration after a linear map is a linear map."""
    slope = pool.trust[0] / scale_of(centred(raw))
    return slope * (weight - weight.mean(axis=0)), slope * (intercept - intercept.mean()) + pool.shift


def _left_out(scores: Sequence[Scores], gold: Gold, folds: Any) -> Scores:
    """Scores of gold texts, shape (m, K), each from the fit without its fold; the first of `scores` is without none."""
    found = np.empty((len(gold.rows), gold.n_classes))
    for each, (_, leave) in zip(scores[1:], folds, strict=True):
        found[leave] = each[gold.rows[leave]]
    return found


def _soft_labels(logits: Scores, gold: Gold) -> Scores:
    labels: Scores = softmax(logits, axis=1)
    labels[gold.rows] = np.eye(gold.n_classes)[gold.codes]
    return labels


def _judged(
    logits: list[Scores], gold: Gold, folds: Any, head: tuple[Scores | None, Scores | None] = (None, None)
) -> SoftIteration:
    honest = _left_out(logits, gold, folds)
    losses = _losses(honest, gold)
    return SoftIteration(logits[0], honest, float(np.average(losses, weights=gold.weights)), *head)


def _losses(logits: Scores, gold: Gold) -> Scores:
    losses: Scores = -log_softmax(logits, axis=1)[np.arange(len(gold.codes)), gold.codes]
    return losses


def _is_worse(iteration: SoftIteration, best: SoftIteration, gold: Gold) -> bool:
    """Whether the log-loss of gold texts is above the best by more than chance."""
    rise = gold.weights * (_losses(iteration.gold_logits, gold) - _losses(best.gold_logits, gold))
    return bool(rise.mean() > WORSE * rise.std() / np.sqrt(len(rise)))
