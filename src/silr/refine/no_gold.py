"""Refinement without any gold label: from the LLM's scores alone, and a guess at the class shares.

Whether the scores carry any signal cannot be seen without a gold label: if they do not, the result is noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from silr.classifiers.linear import LinearClassifier
from silr.errors import InputError, NoSignalError
from silr.refine.iteration import Iteration, Notes
from silr.refine.method import Context, Step
from silr.refine.problem import Problem
from silr.stats.annotator_evidence import Annotator, is_constant
from silr.stats.contrasts import probabilities
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.stats.self_training import self_train


def self_training_steps(
    problem: Problem, iterations: int, done: Sequence[Iteration], context: Context
) -> Iterator[Step]:
    """Self-training from the LLM's scores; nothing is known about any labels.

    Raises NoSignalError if the scores are the same for all texts.
    """
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
    """Warn that LLMs are taken at their word, where there are no gold labels.

    Raises InputError if they give all texts the same label, without scores: there is nothing to go by.
    """
    advice = "50 to 100 texts labelled by hand (`silr label`) make it better, and tell"
    source = "scores" if len(annotators) == 1 and annotators[0].scores is not None else "labels"
    if any(len(np.unique(each.labels[each.labels >= 0])) > 1 for each in annotators):
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
