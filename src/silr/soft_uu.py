"""Iterated UU learning with soft sets and the squared loss, in closed form.

Let text i belong to the pseudo-labelled set U_j to the degree q_ij. The squared loss of scores g_i for class k is
``|g_i - e_k|^2 / 2``, and the weights ``pi_k A_kj q_ij / sum_i q_ij`` of the UU risk sum over k and j to 1/n for each
text, as ``pi A`` are the shares of the sets. So the risk is ``1/2n sum_i |g_i - t_i|^2`` up to a constant, with
``t_ik = n pi_k sum_j A_kj q_ij / sum_i q_ij``: least squares onto the labels unmixed by Theta, a linear map of q_i. A
ridge regression of q on the features finds the head up to such a map, and the map comes from the gold labels.

One iteration regresses the soft labels on the features, and calibrates the scores: as the labels before are, with their
spread and class shares, unless the gold labels clearly want another temperature. The next soft labels are half way
between these and the first ones, so that what the gold labels said is not lost from one regression to the next, with
those of gold texts fixed. Everything is done once for all gold labels and once without each of five folds, so that
scores of gold texts come from fits that never saw their labels: the calibration, the log-loss that decides when to
stop, and the estimated accuracy are honest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from silr.gold_labels import GoldLabels
from silr.pool import Pool, Scores, centred, scale_of, standard
from silr.prior_matching import prior_offsets
from silr.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.self_training import say_nothing, self_train
from silr.start import Opinion, View, first_logits

ROUNDS = 5  # of self-training from the LLM's scores
TRUST, VARIANCE = 1.0, 2.0  # in what the LLM's scores say by themselves, before any gold label
BARE = 0.5  # variance of the trust in the bare ones
ANCHOR = 0.5  # share of the first logits in those that the next soft labels are made of
TEMPERATURE, OTHERS = 0.1, 10.0  # C of an iteration's temperature, and of the trust in other opinions beside it
HOLD = 3000.0  # penalty that holds an iteration's shifts to those of `_alike`
ENOUGH = 50_000  # texts, to find the shifts of `_alike`
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
    head : Head or None
        The map from features to logits; None of the start, which is no map of the features.
    pooled : bool
        Whether the logits lean on the LLM's scores beside the head's.
    """

    logits: Scores
    gold_logits: Scores
    gold_loss: float
    head: Head | None = None
    pooled: bool = False


@dataclass(frozen=True)
class Head:
    """A linear map from standardised features to calibrated logits.

    Attributes
    ----------
    weight, intercept : float64 arrays of shape (K, d) and (K,)
    gold_logits : float64 array of shape (m, K)
        Of gold texts, from fits without their labels.
    """

    weight: Scores
    intercept: Scores
    gold_logits: Scores


def refine_softly(
    X: StandardisedMatrix,
    views: Sequence[slice],
    llm_scores: Scores | None,
    gold: GoldLabels,
    seed: int,
) -> Iterator[SoftIteration]:
    """Refine from all that is known: the start, then one iteration after another.

    Parameters
    ----------
    X : StandardisedMatrix
        What the classifier reads.
    llm_scores : array of shape (n, K) or None
        The LLM's log-probabilities.
    views : sequence of slice
        The columns of each kind of features.
    gold : GoldLabels
    seed : int
        Of the folds.
    """
    llm = None if llm_scores is None else standard(llm_scores)
    folds = gold.folds(seed)
    parts = [gold, *(gold.part(learn) for learn, _ in folds)]
    gram = X.gram()
    seen = [View.of(each, gram[each, each] / X.shape[0]) for each in views]
    ridge = Ridge(X, PENALTY, gram)
    said = [] if llm_scores is None or llm is None else _said(X, ridge, llm_scores, llm)
    first = first_logits(X, seen, said, parts)
    yield _judged(first[0], _left_out(first, gold, folds), gold)
    logits = first
    while True:
        soft = np.hstack(
            [
                _soft_labels(ANCHOR * start + (1 - ANCHOR) * each, part)
                for start, each, part in zip(first, logits, parts, strict=True)
            ]
        )
        weights, intercepts = ridge.fit(soft)
        raw = [centred(each) for each in np.split(X.scores(weights, intercepts), len(parts), axis=1)]
        sizes = [scale_of(each) for each in raw]
        opinions = [each / size for each, size in zip(raw, sizes, strict=True)]
        del soft, raw  # many texts, many bytes
        left_out = _left_out(opinions, gold, folds)
        before = _alike(opinions[0], logits[0])
        pool = Pool.fit([left_out], gold, TEMPERATURE, before, HOLD)
        honest = pool([left_out])
        head = _head(pool, weights[: gold.n_classes] / sizes[0], intercepts[: gold.n_classes] / sizes[0], honest)
        others: list[Scores] = []
        if llm is not None:
            before = Pool(np.append(before.trust, 0.0), before.shift)
            at_gold = [left_out, llm[gold.rows]]
            both = Pool.fit(at_gold, gold, (TEMPERATURE, OTHERS), before, HOLD)
            if is_worse(honest, both(at_gold), gold):
                pool, others, honest = both, [llm], both(at_gold)
        logits = [pool([each, *others]) for each in opinions]
        yield replace(_judged(logits[0], honest, gold), head=head, pooled=bool(others))


def is_worse(gold_logits: Scores, best: Scores, gold: GoldLabels) -> bool:
    """Whether the log-loss of gold texts, from logits (m, K), is above the best by more than chance, and matters.

    That is two standard errors, and one nat in all, which Akaike's criterion asks for one more parameter.
    """
    rise = gold.weights * (_losses(gold_logits, gold) - _losses(best, gold))
    return bool(rise.sum() > max(1.0, WORSE * rise.std() * np.sqrt(len(rise))))


def _head(pool: Pool, weight: Scores, intercept: Scores, gold_logits: Scores) -> Head:
    """Calibration after a linear map is a linear map."""
    slope = pool.trust[0]
    shifted = slope * (intercept - intercept.mean()) + pool.shift
    return Head(slope * (weight - weight.mean(axis=0)), shifted, gold_logits)


def _said(X: StandardisedMatrix, ridge: Ridge, llm_scores: Scores, bare: Scores) -> list[Opinion]:
    """What the LLM's scores say by themselves, which is trusted, and the bare scores, which may know more of a text.

    Nothing if they are the same for all texts.
    """
    if say_nothing(llm_scores):
        return []
    student = next(islice(self_train(X, ridge, llm_scores), ROUNDS - 1, None)).logits
    return [Opinion.of(student / scale_of(student), TRUST, VARIANCE), Opinion.of(bare, 0.0, BARE)]


def _alike(opinion: Scores, logits: Scores) -> Pool:
    """The temperature and the shifts that give an opinion, shape (n, K), spread and class shares of other logits."""
    some = slice(None, None, max(1, len(opinion) // ENOUGH))  # texts, to find the shifts
    trust = scale_of(centred(logits))
    shares = np.bincount(logits[some].argmax(axis=1), minlength=logits.shape[1]) / len(logits[some])
    shifts = prior_offsets((trust * opinion[some]).astype(np.float32), shares)
    return Pool(np.array([trust]), shifts - shifts.mean())


def _left_out(scores: Sequence[Scores], gold: GoldLabels, folds: Any) -> Scores:
    """Scores of gold texts, shape (m, K), each from the fit without its fold; the first of `scores` is without none."""
    found = np.empty((len(gold.rows), gold.n_classes))
    for each, (_, leave) in zip(scores[1:], folds, strict=True):
        found[leave] = each[gold.rows[leave]]
    return found


def _soft_labels(logits: Scores, gold: GoldLabels) -> Scores:
    labels: Scores = softmax(logits, axis=1)
    labels[gold.rows] = np.eye(gold.n_classes)[gold.codes]
    return labels


def loss_of_labels(labels: NDArray[np.int16], gold: GoldLabels, seed: int) -> float:
    """Weighted log-loss of the gold texts by what their labels alone (-1: none) say of the classes.

    On the scale of `SoftIteration.gold_loss`, and as honest: what labels say is learned without a fold at a time. Which
    class the labels favour does no harm, how much they tell counts.
    """
    opinion = standard(np.vstack([np.eye(gold.n_classes), np.zeros(gold.n_classes)])[labels])[gold.rows]
    logits = np.empty_like(opinion)
    for learn, leave in gold.folds(seed):
        logits[leave] = Pool.fit([opinion[learn]], gold.part(learn), OTHERS)([opinion[leave]])
    return float(np.average(_losses(logits, gold), weights=gold.weights))


def _judged(logits: Scores, gold_logits: Scores, gold: GoldLabels) -> SoftIteration:
    return SoftIteration(logits, gold_logits, float(np.average(_losses(gold_logits, gold), weights=gold.weights)))


def _losses(logits: Scores, gold: GoldLabels) -> Scores:
    losses: Scores = -log_softmax(logits, axis=1)[np.arange(len(gold.codes)), gold.codes]
    return losses
