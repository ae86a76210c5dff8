"""The default method without gold labels and without scores: the LLMs' labels, and what texts alike were labelled.

Nothing tells how far either is to be trusted, so both have fixed weights. A label changes where texts alike were
labelled otherwise far more often than texts usually are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from silr.classifiers.posterior import Head
from silr.refine.posterior import Refined, vote_student
from silr.stats.annotator_evidence import Annotator, one_hot
from silr.stats.contrasts import as_targets, contrasts, from_targets, probabilities
from silr.stats.prior_matching import prior_offsets
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix

WEIGHT = 0.7  # of the student, beside 1 of the labels; benchmarks/without_gold.py


def refine_votes(X: StandardisedMatrix, annotators: Sequence[Annotator], n_classes: int) -> Refined:
    """Refine labels by labels alone.

    At least one of the annotators gives two labels. The result is without gold texts; its classifier gives the classes
    in the shares of the refined labels.
    """
    ridge = Ridge(X, PENALTY)
    student = vote_student(ridge, annotators, n_classes)
    T = student.contrasts.shape[1]
    values = WEIGHT * student.contrasts.astype(np.float64)
    for each in annotators:
        values += contrasts(one_hot(each.labels, n_classes)) / len(annotators)
    found = probabilities(values).astype(np.float32)
    weight, intercept = ridge.fit(as_targets(found))
    weight, intercept = from_targets(weight.T).T, from_targets(intercept[None])[0]
    fitted = X.scores(weight, intercept)
    shares = np.bincount(found.argmax(axis=1), minlength=n_classes) / len(found)
    as_logits = np.hstack([np.zeros_like(fitted), fitted]) if T == 1 else fitted
    intercept = intercept + contrasts(prior_offsets(as_logits, shares)[None])[0]
    nothing, slopes = np.zeros((len(annotators), n_classes, T)), np.zeros(len(annotators))
    tables = np.tile(contrasts(np.eye(n_classes)) / len(annotators), (len(annotators), 1, 1))
    model = Head(WEIGHT * student.weight, WEIGHT * student.intercept, tables, slopes)
    alone = Head(weight, intercept, nothing, slopes)
    return Refined(found, np.empty((0, n_classes), np.float32), np.ones(1), [model], alone)
