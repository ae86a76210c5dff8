"""Class offsets that make a classifier predict each class as often as the class prior says."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from silr.stats.contrasts import Floats, Numbers

SHARPNESS = 20.0
SHARPENINGS = 8
SHARE_TOLERANCE = 0.005


def prior_offsets(logits: Floats, class_prior: Numbers) -> Numbers:
    """Offsets b such that ``argmax(logits + b)`` is class k for a share ``class_prior[k]`` of the texts.

    A classifier fitted to biased pseudo-labels orders the texts better than it places its thresholds: what is left of
    the annotator's bias sits in the share of each predicted class. The class prior is known from the gold labels, so
    the thresholds are set by it. It needs no label of any text.

    From logits of shape (n, K); the first offset is 0.

    Notes
    -----
    For K = 2 the offset is the quantile of the score differences. For K > 2 it is the dual solution of the optimal
    transport of texts to classes, the minimum of ``mean_i max_k(g_ik + b_k) - sum_k pi_k b_k`` (Peyre and Cuturi,
    "Computational Optimal Transport", 2019, section 5.3), with the maximum smoothed. Where the shares of the argmax
    are still off, the logits lie in tight clusters: it is solved again with less smoothing, and the best is kept.
    """
    prior = np.asarray(class_prior, dtype=np.float64)
    if len(prior) == 2:
        return np.array([0.0, -_threshold(logits[:, 1] - logits[:, 0], prior[1])])
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)  # what a text's logits have in common decides nothing
    scale = max(float(np.median(-scores)) or float(scores.std()), 1e-12) / SHARPNESS  # a few huge logits do not count
    scores /= scale

    def dual(offsets: Numbers) -> tuple[float, Numbers]:
        shifted = scores + offsets
        top = shifted.max(axis=1, keepdims=True)
        weights = np.exp(shifted - top)
        total = weights.sum(axis=1, keepdims=True)
        value = float((top + np.log(total)).mean() - prior @ offsets)
        return value, (weights / total).mean(axis=0) - prior

    offsets, best, best_error = np.zeros(len(prior)), np.zeros(len(prior)), np.inf
    for _ in range(SHARPENINGS):
        offsets = minimize(dual, offsets, jac=True, method="L-BFGS-B").x
        shares = np.bincount((scores + offsets).argmax(axis=1), minlength=len(prior)) / len(scores)
        error = float(np.abs(shares - prior).max())
        if error < best_error:
            best, best_error = (offsets - offsets[0]) * scale, error
        if error <= max(SHARE_TOLERANCE, 1 / len(scores)):
            break
        scores, offsets, scale = scores * 4, offsets * 4, scale / 4
    return np.asarray(best)


def soft_prior_offsets(logits: Floats, class_prior: Numbers) -> Numbers:
    """Offsets b such that the mean over the texts of ``softmax(logits + b)`` is the class prior.

    Takes what `prior_offsets` takes; the mean of the offsets, shape (K,), is 0.
    """
    offsets = np.zeros(len(class_prior))
    for _ in range(100):
        step = np.log(class_prior) - np.log(softmax(logits + offsets, axis=1).mean(axis=0))
        offsets += step
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(offsets - offsets.mean())


def _threshold(difference: Floats, share: float) -> float:
    """The value that a share of the differences lies above, halfway between its two neighbours; reorders them.

    Equal differences stay together, on the side that brings the share nearer.
    """
    n = len(difference)
    wanted = min(max((1 - share) * n, 0), n)
    below = round(wanted)
    if below == 0 or below == n:
        return float(difference.min() - 1 if below == 0 else difference.max() + 1)
    difference.partition([below - 1, below])
    low, high = difference[below - 1], difference[below]
    if low == high:
        smaller, larger = difference[difference < low], difference[difference > low]
        if not len(smaller) and not len(larger):
            return float(low)  # nothing tells the texts apart
        if wanted - len(smaller) < n - len(larger) - wanted:
            low = smaller.max() if len(smaller) else low - 1
        else:
            high = larger.min() if len(larger) else high + 1
    return (float(low) + float(high)) / 2
