"""Thresholds by the class prior, in a head with and without intercept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig
from silr.classifiers.finetuned.classifier import FinetunedClassifier
from silr.classifiers.finetuned.thresholds import constant_direction, match_prior
from silr.hf.tokens import TokenFeatures
from silr.refine.method import held_out
from silr.stats.uu_risk import UURisk
from synthetic import make_corpus

pytestmark = [pytest.mark.usefixtures("float32"), pytest.mark.slow]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("intercept", [True, False])
def test_each_class_is_predicted_as_often_as_the_prior_says(outputs: int, intercept: bool) -> None:
    """The returned scores are those that the changed layer gives."""
    torch.manual_seed(0)
    states = torch.randn(2000, 12) + torch.linspace(1, 3, 12)
    states[1990:] *= -0.5  # odd ones, in no corpus: their part in the constant direction is negative
    layer = nn.Linear(12, outputs, bias=intercept)
    prior = np.array([0.3, 0.7] if outputs == 1 else [0.2, 0.3, 0.5])
    where = np.arange(1500)  # the others are in no corpus

    def score() -> Any:
        with torch.no_grad():
            return nn.functional.linear(states, layer.weight, layer.bias).numpy()

    scores = match_prior(layer, None if intercept else constant_direction(states), score, where, prior)
    np.testing.assert_allclose(scores, score(), atol=1e-4)
    labels = scores[where].argmax(axis=1) if outputs > 1 else (scores[where, 0] > 0).astype(int)
    np.testing.assert_allclose(np.bincount(labels) / 1500, prior, atol=0.01)


def test_all_states_are_about_one_in_the_constant_direction() -> None:
    """Where some combination of the states is constant it is found, also among few texts with many numbers."""
    torch.manual_seed(0)
    states = torch.randn(3000, 20) * torch.linspace(0.1, 5, 20)
    states[:, 3] = 7 - states[:, :3].sum(dim=1)  # the first four sum to 7
    products = states @ constant_direction(states[:1000])
    assert products.mean() == pytest.approx(1, abs=0.02) and products.std() < 0.05
    few = torch.randn(30, 200) + 1
    assert (few @ constant_direction(few)).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("family", "tune_top"), [("small_llama", None), ("small_llama", 1), ("small_bert", None)])
def test_a_fitted_classifier_predicts_by_the_prior(
    family: str, tune_top: int | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In the fit, for new texts, and after it was saved and its weights merged."""
    corpus = make_corpus(300, seed=1)
    model = request.getfixturevalue(family)
    config = FinetunedConfig("lora", model, learning_rate=5e-3, epochs=1, match_prior=True, tune_top=tune_top)
    features = TokenFeatures(model)
    tokens = features.fit_transform(corpus.texts)
    classifier = FinetunedClassifier(Backbone(config, 2, "cpu"), 2)
    labels = (corpus.llm_labels == "positive").astype(np.int16)
    classifier.fit(tokens, labels, UURisk([[0.9, 0.1], [0.4, 0.6]], [0.65, 0.35]), held_out(300, 0), 0)
    scores = classifier.predict_proba(tokens)
    assert scores.argmax(axis=1).mean() == pytest.approx(0.35, abs=0.01)
    np.testing.assert_allclose(classifier.predict_proba(features.transform(corpus.texts)), scores, atol=1e-4)
    classifier.save(tmp_path)
    again = FinetunedClassifier.load(tmp_path, "cpu").predict_proba(tokens)
    np.testing.assert_allclose(again, scores, atol=1e-4)
