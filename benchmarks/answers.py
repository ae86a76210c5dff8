"""What a method answers, and small helpers that all methods share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Pair = tuple[Any, Any]
"""Of the corpus and of the test part."""


@dataclass(frozen=True)
class Answer:
    """What a method calls the texts.

    Attributes
    ----------
    labels : pair of int arrays of shape (n,)
    probabilities : pair of arrays of shape (n, K), default None
        None: the method gives none.
    estimate : dict, default None
        The method's own estimate of the accuracy of its labels of the corpus: accuracy, low, high.
    """

    labels: Pair
    probabilities: Pair | None = None
    estimate: dict[str, float] | None = None


def answer(probabilities: Pair) -> Answer:
    """The most probable class of each text."""
    corpus, test = (np.asarray(each) for each in probabilities)
    return Answer((corpus.argmax(axis=1), test.argmax(axis=1)), (corpus, test))


def by_model(model: Any, features: Pair, n_classes: int) -> Answer:
    """What a fitted classifier, some classes of which may be missing, says of both parts."""
    return answer(tuple(all_classes(model, matrix, n_classes) for matrix in features))


def all_classes(model: Any, matrix: Any, n_classes: int) -> Any:
    """A classifier's probabilities with a column for each class, 0 for one that it never saw."""
    found = np.zeros((len(matrix), n_classes))
    if len(matrix):
        found[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(matrix)
    return found


def on_both(function: Callable[[Any], Any], features: Pair) -> Pair:
    """Labels by a function; none of an empty test part, which scikit-learn refuses."""
    corpus, test = (function(matrix) if len(matrix) else np.empty(0, dtype=int) for matrix in features)
    return corpus, test


def gold_column(labels: Any) -> Any:
    """Codes as `LabelRefiner` takes them: NaN where there is no label."""
    return np.where(labels < 0, np.nan, labels)
