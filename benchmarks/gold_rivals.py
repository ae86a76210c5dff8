"""Rivals that learn from the gold labels: logistic regression, a stack with the LLM's labels, the ceiling."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import StandardScaler

from answers import Answer, Pair, by_model
from feature_cache import tfidf_features
from tables import Gold, Split, one_hot

PENALTIES = np.logspace(-5, 1, 13)
FOLDS = 5
STRONG = 1e-3  # C where the gold labels are too few for cross-validation


def gold_only(view: str, weighted: bool = True) -> Callable[[Split, Gold], list[Answer]]:
    """Logistic regression on the gold labels alone; the penalty by cross-validation."""

    def method(part: Split, gold: Gold) -> list[Answer]:
        return [fitted(VIEWS[view](part), part, gold, weighted)]

    return method


def stack(part: Split, gold: Gold) -> list[Answer]:
    """Logistic regression on the features and the LLM's label (or labels) together; the penalty by cross-validation.

    The columns of the labels have the same total variance as the features: one penalty for both would silence a few
    columns among hundreds.
    """
    features, labels = both_views(part), scaled(*(labels_in_columns(each, len(part.classes)) for each in part.llm))
    weight = np.sqrt((features[0].std(axis=0) > 0).sum() / max(1, (labels[0].std(axis=0) > 0).sum()))
    joined = tuple(np.hstack([matrix, weight * said]) for matrix, said in zip(features, labels, strict=True))
    return [fitted(joined, part, gold)]


def labels_in_columns(llm: Any, n_classes: int) -> Any:
    """One-hot labels of each LLM, (n, L K)."""
    return np.hstack([one_hot(column, n_classes) for column in np.atleast_2d(llm.T)])


def ceiling(part: Split, gold: Gold) -> list[Answer]:
    """Logistic regression on all true labels of the corpus, on all features."""
    features, penalties = both_views(part), np.logspace(-4, 0, 5)
    model = regression(features[0], part.truth[0], None, penalties)
    return [by_model(model, features, len(part.classes))]


def fitted(features: Pair, part: Split, gold: Gold, weighted: bool = True) -> Answer:
    """What logistic regression on the gold labels says of both parts."""
    weights = gold.weights[gold.rows] if weighted else None
    model = regression(features[0][gold.rows], gold.labels[gold.rows], weights, PENALTIES)
    return by_model(model, features, len(part.classes))


def regression(X: Any, labels: Any, weights: Any, penalties: Any) -> Any:
    """Logistic regression with the penalty of least log loss in cross-validation.

    A class with a single label cannot be in two folds, so the penalty is chosen without it.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        return OneClass(classes)
    common = np.isin(labels, classes[counts > 1])
    folds = min(FOLDS, int(counts[counts > 1].min(initial=FOLDS)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        C = STRONG
        if (counts > 1).sum() > 1:
            chosen = LogisticRegressionCV(Cs=penalties, cv=folds, scoring="neg_log_loss", max_iter=1000)
            chosen.fit(X[common], labels[common], sample_weight=None if weights is None else weights[common])
            if common.all():
                return chosen
            C = float(np.ravel(chosen.C_)[0])
        return LogisticRegression(C=C, max_iter=1000).fit(X, labels, sample_weight=weights)


class OneClass:
    """All gold labels are of one class."""

    def __init__(self, classes: Any) -> None:
        self.classes_ = classes

    def predict_proba(self, X: Any) -> Any:
        return np.ones((len(X), 1))


def tfidf(part: Split) -> Pair:
    """TF-IDF of words and of characters, standardised."""
    return scaled(*tfidf_features(*part.texts, part.cache)[:2])


def both_views(part: Split) -> Pair:
    """Dense features and TF-IDF, standardised; what there is where there are no dense ones."""
    if not part.has_dense:
        return standardised(part)
    corpus, test = (np.hstack(pair) for pair in zip(standardised(part), tfidf(part), strict=True))
    return corpus, test


def embeddings(part: Split) -> Pair:
    return scaled(*part.embedded)


def standardised(part: Split) -> Pair:
    return scaled(*part.features)


def scaled(corpus: Any, test: Any) -> Pair:
    scaler = StandardScaler().fit(corpus)
    return scaler.transform(corpus), scaler.transform(test) if len(test) else test


VIEWS = {"states": standardised, "embeddings": embeddings, "TF-IDF": tfidf, "both": both_views}
