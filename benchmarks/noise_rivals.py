"""Rivals that learn from the LLM's labels: plain training, confident learning, contrastive credibility propagation."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from answers import Answer, all_classes, answer, on_both
from ccp import propagate_credibility
from gold_rivals import FOLDS, standardised
from silr import UUClassifier
from tables import Gold, Split

ITERATIONS = 5


def pn(part: Split, gold: Gold) -> list[Answer]:
    """Ordinary training on the LLM's labels, and on what came out again; silr's head and steps."""
    found: list[Answer] = []
    corpus, test = part.features
    rows, labels = np.flatnonzero(part.llm[0] >= 0), part.llm[0]
    for iteration in range(ITERATIONS):
        model = UUClassifier(match_prior=False, random_state=part.seed * 100 + iteration)
        model.fit(corpus[rows], labels[rows])
        probabilities = tuple(all_classes(model, matrix, len(part.classes)) for matrix in (corpus, test))
        found.append(Answer(on_both(model.predict, (corpus, test)), probabilities))
        rows, labels = np.arange(len(corpus)), found[-1].labels[0]
        if len(np.unique(labels)) < 2:
            break
    return found


def cleanlab(part: Split, gold: Gold) -> list[Answer]:
    """Confident learning (Northcutt et al., 2021) on the LLM's labels, by cleanlab around a logistic regression.

    It wants each class in each fold, so texts of rarer labels train nothing.
    """
    from cleanlab.classification import CleanLearning

    classes, counts = np.unique(part.llm[0][part.llm[0] >= 0], return_counts=True)
    classes = classes[counts >= FOLDS]
    if len(classes) < 2:
        return [Answer(part.llm)]  # nothing to be confident about
    corpus, test = standardised(part)
    rows = np.isin(part.llm[0], classes)
    alone = {"n_jobs": 1}  # other cells have the other cores
    model = CleanLearning(
        LogisticRegression(C=0.01, max_iter=1000),
        seed=part.seed,
        cv_n_folds=FOLDS,
        find_label_issues_kwargs=alone,
    )
    model.fit(corpus[rows], np.searchsorted(classes, part.llm[0][rows]))
    found = []
    for matrix in (corpus, test):
        probabilities = np.zeros((len(matrix), len(part.classes)))
        if len(matrix):
            probabilities[:, classes] = model.predict_proba(matrix)
        found.append(probabilities)
    return [answer((found[0], found[1]))]


def ccp(part: Split, gold: Gold) -> list[Answer]:
    """Contrastive credibility propagation (Kutt et al., AAAI 2024) from the LLM's labels, gold labels clamped."""
    if len(np.unique(part.llm[0])) < 2:
        return [Answer(part.llm)]  # no pairs of different credibility
    corpus, test = standardised(part)
    return [Answer(propagate_credibility(corpus, test, part.llm[0], gold.labels, len(part.classes), part.seed))]
