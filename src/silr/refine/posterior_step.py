"""The posterior as an iteration: labels, what is known of them, and the classifier for new texts."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.classifiers.posterior import Mixture, PosteriorClassifier, Remembered, keys_of, with_annotators
from silr.refine.iteration import Iteration, Notes
from silr.refine.no_gold import refine_votes
from silr.refine.posterior import Refined, refine_posterior
from silr.refine.problem import Problem
from silr.stats.intervals import OUT_OF_FOLD, Right, right_share, wider_out_of_fold
from silr.stats.priors import Priors
from silr.stats.ridge import StandardisedMatrix


def posterior_step(problem: Problem) -> tuple[Iteration, PosteriorClassifier]:
    """Labels by the posterior, and the classifier for new texts.

    The labels and scores of gold texts are those of fits that did not know their gold label, so that the estimates are
    honest; who writes the result puts the gold labels in.
    """
    gold = problem.gold
    matrix = StandardisedMatrix(problem.matrix)
    if gold is None:
        refined = refine_votes(matrix, problem.annotators, problem.n_classes)
    else:
        refined = refine_posterior(matrix, problem.groups, problem.annotators, gold, problem.seed)
    labels = refined.probabilities.argmax(axis=1).astype(np.int16)
    priors = problem.estimate(labels)
    notes = Notes("posterior", model_weights=[round(float(weight), 6) for weight in refined.model_weights])
    if gold is not None:
        if priors is not None:
            priors = of_other_texts(priors, int((gold.weights > 0).sum()), len(labels))
        right = right_share(refined.classifier_gold.argmax(axis=1) == gold.codes, gold.weights)
        if right is not None:
            interval = of_new_texts(right, len(labels))
            notes = replace(notes, classifier_accuracy=right.share, classifier_accuracy_interval=interval)
    further = () if gold is None else (refined.classifier_labels, refined.cross_fitted)
    iteration = Iteration(1, labels, refined.probabilities, priors, notes, *further)
    return iteration, _classifier(refined, matrix, problem)


def of_other_texts(priors: Priors, m: int, n: int) -> Priors:
    """With an interval for the accuracy on the texts without gold label, of which the m gold labels are no part.

    The variance of the difference of two independent means is p (1 - p) (1/m + 1/(n - m)); the interval of
    `silr.stats.priors` is for the mean of all n texts, with p (1 - p) (1/m - 1/n).
    """
    interval = _widened(priors.accuracy_interval, priors.accuracy, wider_for_other_texts(m, n))
    return replace(priors, accuracy_interval=interval)


def of_new_texts(right: Right, n: int) -> list[float]:
    """An interval for the share of right labels on the texts without gold label, by fits that left gold texts out."""
    limits: list[float] = _widened(right.interval, right.share, wider_out_of_fold(right.labels, n)).tolist()
    return limits


def wider_for_other_texts(m: int, n: int) -> float:
    """How much wider an interval for all n texts is when it is for those without one of the m gold labels."""
    return OUT_OF_FOLD * float(np.sqrt((1 / m + 1 / max(n - m, 1)) / (1 / m - 1 / n))) if m < n else OUT_OF_FOLD


def _widened(interval: ArrayLike, value: float, factor: float) -> NDArray[np.float64]:
    """Limits so many times as far from the value, between 0 and 1."""
    return np.asarray(np.clip(value + factor * (np.asarray(interval) - value), 0.0, 1.0))


def _classifier(refined: Refined, matrix: StandardisedMatrix, problem: Problem) -> PosteriorClassifier:
    """What labels new texts. It remembers the corpus, but for gold texts, whose scores here are of other fits."""
    keys = with_annotators(keys_of(problem.texts, problem.matrix), problem.annotators)
    gold = np.empty(0, np.int64) if problem.gold is None else problem.gold.rows
    order = np.argsort(keys, kind="stable")
    order = order[~np.isin(order, gold)]  # of texts that are there twice the first counts
    keys = keys[order]
    is_first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    remembered = Remembered(keys[is_first], refined.probabilities[order[is_first]])
    scales = [annotator.scale() for annotator in problem.annotators]
    mixture = Mixture(refined.heads, refined.model_weights, scales)
    return PosteriorClassifier(refined.alone, mixture, matrix.standardiser, remembered)
