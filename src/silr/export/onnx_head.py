"""The head of a classifier in a graph: from the features' shares of its first layer to labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from silr.classifiers.linear import FeatureClassifier
from silr.export.frozen import sklearn_head
from silr.export.onnx_graph import STRINGS, Graph

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]  # weights, shape (d, T), and intercepts, shape (T,)


def folded(classifier: FeatureClassifier) -> list[Layer]:
    """The layers of a classifier, standardisation and thresholds worked in."""
    head = sklearn_head(classifier, np.arange(len(classifier.offsets_)))
    if isinstance(head, LogisticRegression):
        return [(head.coef_.T, head.intercept_)]
    return list(zip(head.coefs_, head.intercepts_, strict=True))


def add_head(graph: Graph, shares: Sequence[str], layers: Sequence[Layer]) -> str:
    """The nodes from the features' shares of the first layer to logits, shape (n, 1) or (n, K)."""
    total = reduce(lambda left, right: graph.add("Add", left, right), shares)
    logits = graph.add("Add", total, layers[0][1])
    for weights, intercepts in layers[1:]:
        logits = graph.add("Add", graph.add("MatMul", graph.add("Relu", logits), weights), intercepts)
    return logits


def add_outputs(graph: Graph, logits: str, width: int, classes: Sequence[str]) -> None:
    """The nodes from logits, of which two classes have `width` 1, to the outputs ``label`` and ``probabilities``."""
    if width == 1:
        logits = graph.add("Concat", graph.add("Sub", logits, logits), logits, axis=1)
    number = graph.add("ArgMax", logits, axis=1, keepdims=0)
    label = graph.add("Gather", np.array(classes, STRINGS), number)
    graph.output(label, "label", STRINGS, ["n"])
    graph.output(
        graph.cast(graph.add("Softmax", logits, axis=1), np.float32), "probabilities", np.float32, ["n", len(classes)]
    )
