"""The head of a fine-tuned model starts as the linear head that fits the states of the untuned one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig, output_layer
from silr.classifiers.finetuned.classifier import FinetunedClassifier
from silr.classifiers.finetuned.probe import ProbeStates
from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.hf.tokens import TokenFeatures, Tokens, passes
from silr.refine.method import held_out
from silr.stats.uu_risk import UURisk
from synthetic import make_corpus

pytestmark = [pytest.mark.usefixtures("float32"), pytest.mark.slow]

RISK = UURisk([[0.9, 0.1], [0.4, 0.6]], [0.65, 0.35])


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_layer_scores_like_the_probe(n_classes: int, intercept: bool) -> None:
    """Standardisation and intercept are in its weights; 7 is what the states have in common."""
    rng = np.random.default_rng(0)
    truth = rng.integers(n_classes, size=600)
    states = rng.normal(size=(600, 8)).astype(np.float32) * np.linspace(0.1, 9, 8, dtype=np.float32) + 3
    states[:, 0] += truth
    states[:, 7] = 7
    labels = np.where(rng.random(600) < 0.8, truth, 0).astype(np.int16)
    theta = [[(truth[labels == j] == k).mean() for k in range(n_classes)] for j in range(n_classes)]
    risk = UURisk(theta, np.bincount(truth) / 600)
    validation = held_out(600, 0)
    layer = nn.Linear(8, 1 if n_classes == 2 else n_classes, bias=intercept)
    kept = ProbeStates(Tokens([np.arange(3, dtype=np.int32)] * 600, np.arange(600)), 8)
    kept.put(np.arange(600), states)
    kept.start(layer, labels, risk, validation, 3)
    probe = FrozenClassifier(FrozenConfig(match_prior=False), "cpu")
    probe.fit(states, labels, risk, validation, 3)
    wanted = probe.decision_scores(states)
    with torch.no_grad():
        found = layer(torch.from_numpy(states)).numpy()
    np.testing.assert_allclose(found, wanted[:, 1:] if n_classes == 2 else wanted, atol=0.01)


@pytest.mark.parametrize(
    ("family", "tuning", "tune_top"),
    [
        ("small_llama", "full", 1),
        ("small_bert", "full", None),
    ],
)
def test_a_fit_starts_where_the_frozen_classifier_ends(
    family: str, tuning: Any, tune_top: int | None, request: pytest.FixtureRequest
) -> None:
    """With steps of next to nothing the scores are those of a frozen head on the states of the pretrained model."""
    corpus = make_corpus(140, seed=1)
    texts = [*corpus.texts, *corpus.texts[:20]]  # some come twice
    labels = (np.concatenate([corpus.llm_labels, corpus.llm_labels[:20]]) == "positive").astype(np.int16)
    model = request.getfixturevalue(family)
    config = FinetunedConfig(tuning, model, epochs=1, learning_rate=1e-9, linear_probe=True, tune_top=tune_top)
    backbone = Backbone(config, 2, "cpu")
    tokens = TokenFeatures(model).fit_transform(texts)
    validation = held_out(160, 0)
    validation_lengths = np.sort(tokens.lengths()[tokens.where[validation]])[::-1]
    states = plain_states(model, texts)
    for seed in (4, 5):  # the second fit finds the states of the first
        seen: list[tuple[int, int]] = []
        classifier = FinetunedClassifier(backbone, 2)
        classifier.fit(tokens, labels, RISK, validation, seed, lambda *at, seen=seen: seen.append(at))
        scores = classifier.predict_proba(tokens)
        reads = (1 + bool(tune_top)) * (seed == 4)  # of all texts, before the training
        lengths = np.sort(tokens.lengths())[::-1]
        all_texts, held_out_texts = (len(passes(some)) for some in (lengths, validation_lengths))
        total = (reads + 1) * all_texts + 9 + held_out_texts
        assert seen[-1] == (total, total)
        probe = FrozenClassifier(FrozenConfig(match_prior=False), "cpu")
        probe.fit(states, labels, RISK, validation, seed)
        np.testing.assert_allclose(scores, probe.predict_proba(states), atol=0.02)


def plain_states(model: str, texts: list[str]) -> Any:
    """What the last layer reads of each text in the model as it lies in its folder, one text a pass."""
    from transformers import AutoTokenizer

    network = Backbone(FinetunedConfig("full", model), 2, "cpu").fresh(0).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    seen: list[Any] = []
    output_layer(network).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        for text in texts:
            network(**tokenizer(text, return_tensors="pt"))
    return torch.cat([each[:, -1] if each.ndim == 3 else each for each in seen]).numpy()


def test_layers_without_weights_are_the_same_at_every_reading(small_bert: str, tmp_path: Path) -> None:
    """A folder without a pooler: what stands in its place, untrained by LoRA, must be there again for `predict`."""
    from transformers import AutoModel, AutoTokenizer

    model = str(tmp_path / "without")
    AutoModel.from_pretrained(small_bert, add_pooling_layer=False).save_pretrained(model)
    AutoTokenizer.from_pretrained(small_bert).save_pretrained(model)
    corpus = make_corpus(80, seed=1)
    labels = (corpus.llm_labels == "positive").astype(np.int16)
    tokens = TokenFeatures(model).fit_transform(corpus.texts)
    config = FinetunedConfig("lora", model, epochs=1, learning_rate=1e-3)
    classifier = FinetunedClassifier(Backbone(config, 2, "cpu"), 2)
    classifier.fit(tokens, labels, RISK, held_out(80, 0), 0)
    scores = classifier.predict_proba(tokens)
    (tmp_path / "out").mkdir()
    classifier.save(tmp_path / "out")
    torch.manual_seed(99)
    again = FinetunedClassifier.load(tmp_path / "out", "cpu").predict_proba(tokens)
    np.testing.assert_allclose(again, scores, atol=1e-5)
