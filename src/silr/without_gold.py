"""Refinement without any gold label: from the LLM's scores alone, and a guess at the class shares.

Whether the scores carry any signal cannot be seen without a gold label: if they do not, the result is noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotator_evidence import is_constant
from silr.classifiers.linear import LinearClassifier
from silr.contrasts import Numbers, probabilities
from silr.errors import NoSignalError
from silr.refine import Labels, Loop, Store, score
from silr.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.run import Iteration
from silr.self_training import self_train


def refine_without_gold(
    X: NDArray[Any], llm_labels: Labels, llm_scores: Numbers, loop: Loop, done: list[Iteration], store: Store
) -> list[Iteration]:
    """Refine the LLM's labels by its scores.

    Parameters
    ----------
    X : array of shape (n, d)
    llm_labels : int16 array of shape (n,)
        -1 where the LLM gave none.
    llm_scores : array of shape (n, K)
        Log-probabilities, NaN where it gave none.
    loop : Loop
        Its `iterations`, `truth` and `on_step` are used.
    done, store
        As `silr.refine.refine` takes them.

    Returns
    -------
    list of Iteration
        From 0, the LLM's labels. None has priors: nothing is known about them.

    Raises
    ------
    NoSignalError
        The scores are the same for all texts.
    """
    if is_constant(llm_scores):
        raise NoSignalError("the LLM's scores are the same for all texts: they say nothing; label 50 texts by hand")
    iterations = [Iteration(0, llm_labels, None, None, score(loop, llm_labels))]
    if not done:
        store(iterations[0], None)
    matrix = StandardisedMatrix(X)
    students = self_train(matrix, Ridge(matrix, PENALTY), llm_scores)
    for number in range(1, loop.iterations + 1):
        if loop.on_step is not None:
            loop.on_step(number, 0, 1)
        student = next(students)
        scores = probabilities(matrix.scores(student.weight, student.intercept)).astype(np.float32)
        labels = scores.argmax(axis=1).astype(np.int16)
        metrics = {"changed": int((labels != iterations[-1].labels).sum()), **score(loop, labels)}
        metrics["asked"] = loop.iterations
        iterations[-1] = replace(iterations[-1], scores=None)  # many texts, many bytes
        iterations.append(Iteration(number, labels, scores, None, metrics))
        if number >= len(done):
            store(
                iterations[-1],
                LinearClassifier(student.weight, student.intercept, matrix.standardiser),
            )
        if loop.on_step is not None:
            loop.on_step(number, 1, 1)
    return iterations
