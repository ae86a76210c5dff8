"""Refinement without any gold label: from one LLM's scores and a guess at the class shares, or from labels alone.

Whether scores carry any signal cannot be seen without a gold label: if they do not, the result is noise. Of labels,
nothing tells how far they and the labels of similar texts are to be trusted, so both have fixed weights. A label
changes where texts alike were labelled otherwise far more often than texts usually are.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from silr.classifiers.linear import LinearClassifier
from silr.classifiers.posterior import Head
from silr.errors import InputError, NoSignalError
from silr.refine.iteration import Iteration, Notes
from silr.refine.method import Context, Step
from silr.refine.posterior import Refined, vote_student
from silr.refine.problem import Problem
from silr.stats.annotator_evidence import Annotator, is_constant, one_hot
from silr.stats.contrasts import as_targets, contrasts, from_targets, probabilities
from silr.stats.prior_matching import prior_offsets
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.stats.self_training import self_train

WEIGHT = 0.7  # of the student, beside 1 of the labels; benchmarks/without_gold.py


def self_training_steps(
    problem: Problem, iterations: int, done: Sequence[Iteration], context: Context
) -> Iterator[Step]:
    """Self-training from the LLM's scores, which are not constant; nothing is known about any labels."""
    scores_of_llm = problem.annotators[0].scores
    assert scores_of_llm is not None
    matrix = StandardisedMatrix(problem.matrix)
    students = self_train(matrix, Ridge(matrix, PENALTY), scores_of_llm)
    for number in range(1, iterations + 1):
        context.report(number, 0)
        student = next(students)
        if number >= len(done):
            scores = probabilities(matrix.scores(student.weight, student.intercept)).astype(np.float32)
            labels = scores.argmax(axis=1).astype(np.int16)
            classifier = LinearClassifier(student.weight, student.intercept, matrix.standardiser)
            yield Iteration(number, labels, scores, None, Notes("iteration")), classifier
        context.report(number, 1)


def check_scores(problem: Problem) -> None:
    """Refuse scores of one LLM that are the same for all texts."""
    scores = problem.annotators[0].scores
    if scores is not None and is_constant(scores):
        raise NoSignalError("the LLM's scores are the same for all texts: they say nothing; label 50 texts by hand")


def warn_of_no_gold(annotators: Sequence[Annotator]) -> None:
    """Warn that LLMs are taken at their word; InputError where they give all texts one label, without scores."""
    advice = "50 to 100 texts labelled by hand (`silr label`) make it better, and tell"
    source = "scores" if len(annotators) == 1 and annotators[0].scores is not None else "labels"
    if any(len(np.unique(annotator.labels[annotator.labels >= 0])) > 1 for annotator in annotators):
        warnings.warn(
            f"there are no gold labels, so the LLM's {source} are taken at their word, and how good the result is "
            f"nobody knows; {advice}",
            stacklevel=3,
        )
    elif source == "scores":
        warnings.warn(
            "the LLM gives all texts the same label, and there are no gold labels: all there is to go by is for which "
            f"texts its scores are higher, which is often worth nothing where the labels are; {advice}",
            stacklevel=3,
        )
    else:
        raise InputError(f"the LLM gives all texts the same label, and there are no gold labels: {advice}")


def refine_votes(X: StandardisedMatrix, annotators: Sequence[Annotator], n_classes: int) -> Refined:
    """Refine labels by labels alone.

    At least one of the annotators gives two labels. The result is without gold texts; its classifier gives the classes
    in the shares of the refined labels.
    """
    ridge = Ridge(X, PENALTY)
    student = vote_student(ridge, annotators, n_classes)
    T = student.contrasts.shape[1]
    values = WEIGHT * student.contrasts.astype(np.float64)
    for annotator in annotators:
        values += contrasts(one_hot(annotator.labels, n_classes)) / len(annotators)
    refined = probabilities(values).astype(np.float32)
    weight, intercept = ridge.fit(as_targets(refined))
    weight, intercept = from_targets(weight.T).T, from_targets(intercept[None])[0]
    fitted = X.scores(weight, intercept)
    shares = np.bincount(refined.argmax(axis=1), minlength=n_classes) / len(refined)
    as_logits = np.hstack([np.zeros_like(fitted), fitted]) if T == 1 else fitted
    intercept = intercept + contrasts(prior_offsets(as_logits, shares)[None])[0]
    nothing, slopes = np.zeros((len(annotators), n_classes, T)), np.zeros(len(annotators))
    tables = np.tile(contrasts(np.eye(n_classes)) / len(annotators), (len(annotators), 1, 1))
    model = Head(WEIGHT * student.weight, WEIGHT * student.intercept, tables, slopes)
    alone = Head(weight, intercept, nothing, slopes)
    labels = refined.argmax(axis=1).astype(np.int16)
    return Refined(refined, np.empty((0, n_classes), np.float32), labels, refined, np.ones(1), [model], alone)
