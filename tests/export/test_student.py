"""The student of a distilled classifier: it learns soft labels, and its head on features says the same."""

from __future__ import annotations

import numpy as np
import pytest

from silr.export.student import Design, Student
from silr.features.tfidf import TfidfFeatures
from synthetic import make_corpus


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_the_head_is_the_student(classes: tuple[str, ...]) -> None:
    corpus = make_corpus(200, classes, seed=1)
    tfidf = TfidfFeatures()
    tfidf.fit_transform(corpus.texts)
    codes = np.searchsorted(classes, corpus.truth)
    soft = np.full((200, len(classes)), 0.1 / (len(classes) - 1), np.float32)
    soft[np.arange(200), codes] = 0.9

    class Encoder:
        record = None

        def transform(self, texts: list[str]) -> np.ndarray:
            return corpus.features[: len(texts)]

    design = Design.of(tfidf, [Encoder()], [corpus.features], corpus.texts)
    student = Student.fit(design.X, soft)
    expected = student.probabilities(design.X)
    assert (expected.argmax(axis=1) == codes).mean() > 0.95
    np.testing.assert_allclose(expected.mean(axis=0), soft.mean(axis=0), atol=0.01)  # its intercepts are not penalised
    classifier, features = student.as_classifier(design)
    np.testing.assert_allclose(classifier.predict_proba(features.transform(corpus.texts)), expected, atol=1e-4)
    unsure = Student.fit(design.X, np.full_like(soft, 1 / len(classes)))
    np.testing.assert_allclose(unsure.probabilities(design.X), 1 / len(classes), atol=0.05)
