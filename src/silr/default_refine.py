"""The default method as iterations of a run: number 0 the LLM's labels, number 1 the refined ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from silr.annotator_evidence import Annotator, majority, one_hot
from silr.classifiers.posterior import Mixture, PosteriorClassifier, Remembered
from silr.contrasts import probabilities
from silr.corpus_keys import Keys, with_annotators
from silr.gold_labels import GoldLabels
from silr.posterior import Refined, refine_posterior
from silr.posterior_without_gold import refine_votes
from silr.priors import Priors
from silr.refine import Loop, Store, score
from silr.ridge import StandardisedMatrix
from silr.run import Iteration
from silr.shares import right_share
from silr.verdict import compare

ONLY = 1  # iteration
OUT_OF_FOLD = 1.1  # how much wider intervals are, as gold texts are judged by fits without their fold


def refine_default(
    X: NDArray[Any],
    groups: Sequence[Sequence[slice]],
    annotators: Sequence[Annotator],
    gold: GoldLabels | None,
    keys: Callable[[], Keys],
    loop: Loop,
    done: list[Iteration],
    store: Store,
) -> list[Iteration]:
    """Refine the labels of one LLM or several by `silr.posterior`.

    The labels and scores of gold texts are those of fits that did not know their gold label, so that the estimates are
    honest; who writes the result puts the gold labels in.

    Parameters
    ----------
    X : array of shape (n, d)
    groups : sequence of sequence of slice
        The columns of each kind of features.
    annotators : sequence of Annotator
    gold : GoldLabels or None
        None: the LLMs' votes and the features are all there is to go by.
    keys : callable
        Keys of the texts, shape (n,), see `silr.corpus_keys`.
    loop : Loop
        Its `estimate`, `seed`, `truth` and `on_step` are used.
    done : list of Iteration
        What an earlier, interrupted call has finished.
    store : callable
        Takes each new iteration and its classifier (None for iteration 0) as soon as it is finished.

    Returns
    -------
    list of Iteration
        Two. ``metrics["of"]`` says so. ``metrics["annotators"]`` of the first estimates the accuracy of each LLM, where
        there are several; ``metrics["classifier_accuracy"]`` of the second that of the classifier of features alone,
        with its interval; ``metrics["model_weights"]`` says how the evidence weighs the models.
    """
    done = [_scored(each, loop) for each in done]
    if len(done) > ONLY:
        return done
    if not done:
        done = [llm_iteration(annotators, gold, loop)]
        store(done[0], None)
    if loop.on_step is not None:
        loop.on_step(ONLY, 0, 1)
    matrix = StandardisedMatrix(X)
    if gold is None:
        found = refine_votes(matrix, annotators, loop.n_classes)
    else:
        found = refine_posterior(matrix, groups, annotators, gold, loop.seed)
    labels = found.probabilities.argmax(axis=1).astype(np.int16)
    priors = loop.estimate(labels, ONLY)
    if gold is not None and priors is not None:
        priors = _of_other_texts(priors, int((gold.weights > 0).sum()), len(labels))
    changed = int((labels != done[0].labels).sum())
    metrics: dict[str, Any] = {"of": ONLY, "changed": changed, **score(loop, labels)}
    metrics |= _against_best(loop.compare(labels), annotators, gold, loop, labels)
    metrics["model_weights"] = [round(float(each), 6) for each in found.model_weights]
    if gold is not None:
        right = right_share(found.classifier_gold.argmax(axis=1) == gold.codes, gold.weights)
        if right is not None:
            metrics["classifier_accuracy"] = right.share
            others = max(len(labels) - right.labels, right.labels)  # if hardly any is left, it is new texts that count
            wider = OUT_OF_FOLD * np.sqrt(1 + right.labels / others)
            metrics["classifier_accuracy_interval"] = _widened(right.interval, right.share, wider).tolist()
    refined = Iteration(ONLY, labels, found.probabilities, priors, metrics)
    store(refined, _classifier(found, matrix, annotators, gold, keys))
    if loop.on_step is not None:
        loop.on_step(ONLY, 1, 1)
    return [done[0], refined]


def _against_best(
    majority: dict[str, Any],
    annotators: Sequence[Annotator],
    gold: GoldLabels | None,
    loop: Loop,
    labels: NDArray[np.int16],
) -> dict[str, Any]:
    """The comparison with the labels that gain least, those of the majority or of one LLM.

    Refined labels that beat a majority of poor LLMs may still be no better than the one good LLM among them.
    """
    found = majority.get("against_llm")
    if found is None or len(annotators) == 1:
        return majority
    for each in annotators:
        of_one = compare(loop.estimate, each.labels, gold, labels).get("against_llm")
        if of_one is not None and of_one["gain"] < found["gain"]:
            found = {**of_one, "llm": each.name}
    return {"against_llm": found}


def _of_other_texts(priors: Priors, m: int, n: int) -> Priors:
    """With an interval for the accuracy on the texts without gold label, of which the m gold labels are no part.

    The variance of the difference of two independent means is p (1 - p) (1/m + 1/(n - m)); the interval of
    `silr.priors` is for the mean of all n texts, with p (1 - p) (1/m - 1/n).
    """
    wider = OUT_OF_FOLD * float(np.sqrt((1 / m + 1 / max(n - m, 1)) / (1 / m - 1 / n))) if m < n else OUT_OF_FOLD
    return replace(priors, accuracy_interval=_widened(priors.accuracy_interval, priors.accuracy, wider))


def _widened(interval: Any, value: float, factor: float) -> NDArray[np.float64]:
    """Limits so many times as far from the value, between 0 and 1."""
    found: NDArray[np.float64] = np.clip(value + factor * (np.asarray(interval) - value), 0.0, 1.0)
    return found


def llm_iteration(annotators: Sequence[Annotator], gold: GoldLabels | None, loop: Loop) -> Iteration:
    """Iteration 0: the LLM's labels (of several LLMs the majority's), its scores, and what is known of them."""
    labels = majority(annotators, loop.n_classes)
    said = one_hot(labels, loop.n_classes)
    if len(annotators) == 1 and annotators[0].scores is not None:
        known = np.isfinite(annotators[0].scores).all(axis=1, keepdims=True)
        said = log_softmax(np.where(known, annotators[0].scores, 0.0), axis=1)
    metrics: dict[str, Any] = {"of": ONLY, **score(loop, labels)}
    if len(annotators) > 1:
        metrics["annotators"] = [_accuracy_of(each, gold, loop) for each in annotators]
    scores = probabilities(said if loop.n_classes > 2 else said[:, 1:] - said[:, :1]).astype(np.float32)
    return Iteration(0, labels, scores, loop.estimate(labels, 0), metrics)


def _accuracy_of(annotator: Annotator, gold: GoldLabels | None, loop: Loop) -> dict[str, Any]:
    found: dict[str, Any] = {"name": annotator.name, **score(loop, annotator.labels)}
    if gold is not None:
        labels = annotator.labels[gold.rows]
        right = right_share((labels == gold.codes)[labels >= 0], gold.weights[labels >= 0])
        if right is not None:
            found |= {"estimated_accuracy": right.share, "estimated_accuracy_interval": list(right.interval)}
    return found


def _classifier(
    found: Refined,
    matrix: StandardisedMatrix,
    annotators: Sequence[Annotator],
    gold: GoldLabels | None,
    keys: Callable[[], Keys],
) -> PosteriorClassifier:
    """What labels new texts. It remembers the corpus, but for gold texts, whose scores here are of other fits."""
    with_evidence = with_annotators(keys(), annotators)
    kept = np.ones(len(with_evidence), bool)
    if gold is not None:
        kept[gold.rows] = False
    known, first = np.unique(with_evidence[kept], return_index=True)
    remembered = Remembered(known, found.probabilities[kept][first])
    scales = [each.scale() for each in annotators]
    mixture = Mixture(found.heads, found.model_weights, scales)
    return PosteriorClassifier(found.alone, mixture, matrix.standardiser, remembered)


def _scored(iteration: Iteration, loop: Loop) -> Iteration:
    return replace(iteration, metrics={**iteration.metrics, **score(loop, iteration.labels)})
