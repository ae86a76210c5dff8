"""The student of a distilled classifier: it learns soft labels, and its head on features says the same."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from silr.export.distill import Distilled
from silr.export.student import Design, Student
from silr.features.tfidf import TfidfFeatures
from silr.refine.classifier_caution import Estimate
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


def test_a_gain_has_the_interval_of_the_gain() -> None:
    known = {"gold": 50, "accuracy": Estimate(0.72, (0.6, 0.8)), "run": Estimate(0.63, (0.5, 0.7))}
    for value, limits, said in (
        (-0.087, (-0.204, 0.036), "a gain of 8.7 points (95 % interval of the gain -3.6 to +20.4)"),
        (0.12, (0.022, 0.213), "a loss of 12.0 points (95 % interval of the loss +2.2 to +21.3)"),
    ):
        loss = SimpleNamespace(value=value, interval=limits)
        (line,) = Distilled(None, None, 50, 0.8, loss=loss, **known).lines
        assert said in line
