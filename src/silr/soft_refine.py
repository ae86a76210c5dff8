"""The loop of the default method: soft refinement from the gold labels, kept iteration by iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from silr.classifiers.frozen import FrozenClassifier
from silr.classifiers.standardise import Standardiser
from silr.gold_labels import GoldLabels
from silr.pool import Scores
from silr.refine import Labels, Loop, Store, score
from silr.ridge import StandardisedMatrix
from silr.run import Iteration
from silr.soft_uu import SoftIteration, is_worse, loss_of_labels, refine_softly

EQUAL = 1e-4  # two accuracies that differ by less are the same


def refine_from_gold(
    X: NDArray[Any],
    views: Sequence[slice],
    llm_labels: Labels,
    llm_scores: Scores | None,
    gold: GoldLabels,
    loop: Loop,
    done: list[Iteration],
    store: Store,
) -> list[Iteration]:
    """Refine the annotator's labels by `silr.soft_uu`.

    The labels and scores of gold texts are those of fits that did not know their gold label, so that the estimates are
    honest; who writes the result puts the gold labels in.

    Parameters
    ----------
    X : array of shape (n, d)
    views : sequence of slice
        The columns of each kind of features.
    llm_labels : int16 array of shape (n,)
        -1 where the annotator gave none.
    llm_scores : array of shape (n, K) or None
        Log-probabilities, NaN where it gave none; None: all that is known are the labels.
    gold : GoldLabels
    loop : Loop
        Its `estimate`, `iterations`, `seed`, `truth` and `on_step` are used.
    done : list of Iteration
        Iterations that an earlier, interrupted call has finished. They are computed again, which takes seconds and ends
        alike, but not stored again.
    store : callable
        Takes each new iteration and its classifier (None for iteration 0) as soon as it is finished.

    Returns
    -------
    list of Iteration
        From 0, the annotator's labels. If the gold labels show that an iteration made things worse, it is the last one,
        and its ``metrics["stopped"]`` says so. ``metrics["no_better"]`` says whether the annotator's labels are the
        same, or as often right on the gold texts and tell as much of their classes. Where the labels lean on the
        annotator's scores beside the classifier's, as the gold labels say that these know more together,
        ``metrics["classifier_accuracy"]`` estimates that of the classifier.
    """
    opinions = _opinions(llm_labels, llm_scores, gold.n_classes)
    iterations = [llm_iteration(llm_labels, llm_scores, gold, loop)]
    priors = iterations[0].priors
    assert priors is not None
    if not done:
        store(iterations[0], None)
    standardiser = Standardiser.of(X)
    found = refine_softly(StandardisedMatrix(X, standardiser), views, opinions, gold, loop.seed)
    said_loss = loss_of_labels(llm_labels, gold, loop.seed)
    best: SoftIteration | None = None
    _report(loop, 1, 0)
    next(found)  # the start
    for number, soft in enumerate(islice(found, loop.iterations), 1):
        assert soft.head is not None
        before = iterations[-1]
        scores = softmax(soft.logits, axis=1).astype(np.float32)
        scores[gold.rows] = softmax(soft.gold_logits, axis=1)
        labels = scores.argmax(axis=1).astype(np.int16)
        estimate = loop.estimate(labels, number)
        assert estimate is not None
        metrics: dict[str, Any] = {"changed": int((labels != before.labels).sum()), "gold_loss": soft.gold_loss}
        no_better = estimate.accuracy <= priors.accuracy + EQUAL and soft.gold_loss >= said_loss
        no_better |= bool((labels == llm_labels)[llm_labels >= 0].all())
        metrics |= {"no_better": no_better, **score(loop, labels)}
        if soft.pooled:
            right = soft.head.gold_logits.argmax(axis=1) == gold.codes
            metrics["classifier_accuracy"] = float(np.average(right, weights=gold.weights))
        if best is not None and is_worse(soft.gold_logits, best.gold_logits, gold):
            metrics["stopped"] = (
                f"it fits the gold labels worse than an iteration before (log-loss {soft.gold_loss:.3f}, "
                f"before {best.gold_loss:.3f})"
            )
        iterations[1:-1] = [replace(each, scores=None) for each in iterations[1:-1]]  # many texts, many bytes
        iterations.append(Iteration(number, labels, scores, estimate, metrics))
        if number >= len(done):
            store(iterations[-1], FrozenClassifier.linear(soft.head.weight, soft.head.intercept, standardiser))
        _report(loop, number, 1)
        if "stopped" in metrics:
            break
        if best is None or soft.gold_loss < best.gold_loss:
            best = soft
    return iterations


def llm_iteration(llm_labels: Labels, llm_scores: Scores | None, gold: GoldLabels, loop: Loop) -> Iteration:
    """Iteration 0: the annotator's labels, its scores, and what is known of them."""
    said = softmax(_opinions(llm_labels, llm_scores, gold.n_classes), axis=1).astype(np.float32)
    return Iteration(0, llm_labels, said, loop.estimate(llm_labels, 0), score(loop, llm_labels))


def _opinions(labels: Labels, scores: Scores | None, n_classes: int) -> Scores:
    """What the annotator says of each text, as logits; alike for all classes where it says nothing."""
    if scores is None:
        return np.vstack([np.eye(n_classes), np.zeros(n_classes)])[labels]
    return np.nan_to_num(np.where(np.isfinite(scores).all(axis=1, keepdims=True), scores, 0.0))


def _report(loop: Loop, number: int, done: int) -> None:
    if loop.on_step is not None:
        loop.on_step(number, done, 1)
