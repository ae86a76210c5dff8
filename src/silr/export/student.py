"""The student of a distilled classifier: logistic regression of soft labels on TF-IDF itself and on embeddings.

TF-IDF has a weight a term here, and no projection to few dimensions: soft labels of a whole corpus teach as many.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from silr.classifiers.linear import LinearClassifier
from silr.features.base import Features
from silr.features.joined import JoinedFeatures
from silr.features.tfidf import Kind, TfidfFeatures
from silr.stats.contrasts import Floats, Numbers
from silr.stats.standardise import Standardiser

C = 3.0  # inverse of the penalty; our choice, as is the next
EMBEDDING_SIZE = 1.0  # root mean square length of an embedding, beside 1 of each kind of TF-IDF
LEAST = 0.01  # a soft label below this teaches nothing
STEPS = 200  # of L-BFGS


@dataclass(frozen=True)
class Design:
    """What the student reads of the corpus."""

    tfidf: TfidfFeatures  # fitted
    encoders: Sequence[Features]
    widths: list[int]  # of the embeddings
    scale: float  # of the embeddings
    X: sparse.csr_matrix  # shape (n, d): TF-IDF of each unit, and embeddings

    @classmethod
    def of(
        cls, tfidf: TfidfFeatures, encoders: Sequence[Features], embeddings: Sequence[Any], texts: list[str]
    ) -> Design:
        """Of texts and their embeddings by each encoder."""
        blocks = [kind.vectorizer.transform(texts) for kind in tfidf.kinds.values()]
        scale = 1.0
        if embeddings:
            dense = np.hstack(embeddings).astype(np.float32)
            scale = EMBEDDING_SIZE / max(float(np.sqrt((dense**2).sum(axis=1).mean())), 1e-12)
            blocks.append(sparse.csr_matrix(dense * np.float32(scale)))
        widths = [matrix.shape[1] for matrix in embeddings]
        return cls(tfidf, encoders, widths, scale, sparse.hstack(blocks).tocsr())


@dataclass(frozen=True)
class Student:
    """Weights, shape (T, d), and intercepts, shape (T,), of contrasts: one for two classes, else one a class."""

    weight: Numbers
    intercept: Numbers

    @classmethod
    def fit(cls, X: sparse.csr_matrix, soft: Floats) -> Student:
        """Least cross-entropy to soft labels, shape (n, K), with a ridge penalty."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        teaches = (soft >= LEAST) | (soft == soft.max(axis=0))  # each class has a text that is most like it
        rows, codes = np.nonzero(teaches)
        model = LogisticRegression(C=C, max_iter=STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # weights change little by then
            model.fit(X[rows], codes, sample_weight=np.maximum(soft[rows, codes], 1e-6))
        return cls(model.coef_, model.intercept_)

    def probabilities(self, X: sparse.csr_matrix) -> Floats:
        """Class probabilities, shape (n, K)."""
        scores = np.asarray(X @ self.weight.T + self.intercept)
        if scores.shape[1] > 1:
            return np.asarray(softmax(scores, axis=1))
        second = expit(scores)
        return np.hstack([1 - second, second])

    def as_classifier(self, design: Design) -> tuple[LinearClassifier, Any]:
        """A linear head, and the features that it reads: TF-IDF summed up by the weights, beside the embeddings."""
        T, start, tfidf = len(self.weight), 0, TfidfFeatures()
        for unit, kind in design.tfidf.kinds.items():
            end = start + len(kind.vectorizer.vocabulary_)
            tfidf.kinds[unit] = Kind(kind.vectorizer, self.weight[:, start:end].astype(np.float32))
            start = end
        sums = np.tile(np.eye(T), len(tfidf.kinds))
        weight = np.hstack([self.weight[:, start:] * design.scale, sums])
        if T > 1:
            weight, intercept = weight - weight.mean(axis=0), self.intercept - self.intercept.mean()
        else:
            intercept = self.intercept
        plain = Standardiser(np.zeros(weight.shape[1], np.float32), np.ones(weight.shape[1], np.float32))
        features = JoinedFeatures([*design.encoders, tfidf]) if design.encoders else tfidf
        return LinearClassifier(weight, intercept, plain), features
