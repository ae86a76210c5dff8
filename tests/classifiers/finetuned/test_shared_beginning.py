"""Reading what all texts begin with once a batch changes neither scores nor gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig
from silr.classifiers.finetuned.classifier import FinetunedClassifier
from silr.classifiers.finetuned.reading import collate
from silr.classifiers.finetuned.shared_beginning import begin_once
from silr.hf.tokens import TokenFeatures, Tokens
from silr.refine.method import held_out
from silr.stats.uu_risk import UURisk
from synthetic import make_corpus

pytestmark = pytest.mark.usefixtures("float32")

PROMPT = "Read what comes now and say whether it is good or not, in one word. {text} The word is"
TEXTS = ["good0 good1 good2", "bad1", "fair1 word2 word3 word4 word5 word6", ""]


def inputs(tokens: Tokens) -> dict[str, Any]:
    batch = collate([{"position": at, "ids": ids} for at, ids in enumerate(tokens.ids)], padding=0)
    del batch["positions"]
    return batch


def test_common_start() -> None:
    rows = [np.array(row, np.int32) for row in ([1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 9])]
    assert Tokens(rows, np.arange(3)).common_start == 2
    assert Tokens(rows[:2], np.arange(2)).common_start == 3
    assert Tokens([rows[0], rows[0][:3]], np.arange(2)).common_start == 2  # a token of each is left over
    assert Tokens(rows[:1], np.arange(1)).common_start == 3
    assert Tokens([], np.arange(0)).common_start == 0


def test_scores_and_gradients_are_the_same(small_llama: str) -> None:
    tokens = TokenFeatures(small_llama, prompt=PROMPT).fit_transform(TEXTS)
    network = AutoModelForSequenceClassification.from_pretrained(small_llama, num_labels=1, pad_token_id=0)
    found = []
    for once in (False, True):
        network.zero_grad()
        if once:
            with begin_once(network, tokens) as length:
                assert length >= 16
                logits = network(**inputs(tokens)).logits
        else:
            logits = network(**inputs(tokens)).logits
        (logits * torch.tensor([[1.0], [-2.0], [3.0], [0.5]])).sum().backward()
        found.append((logits.detach(), {name: weight.grad.clone() for name, weight in network.named_parameters()}))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-5, rtol=1e-4)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, atol=1e-5, rtol=1e-3, msg=name)
    assert "forward" not in vars(network)


@pytest.mark.parametrize("family", ["small_llama", "small_bert"])
def test_what_it_leaves_alone(family: str, request: pytest.FixtureRequest) -> None:
    """An encoder reads all words with all others; texts without a common beginning have nothing to read once."""
    model = request.getfixturevalue(family)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, pad_token_id=0)
    prompt = PROMPT if family == "small_bert" else "{text} The word is"
    with begin_once(network, TokenFeatures(model, prompt=prompt).fit_transform(TEXTS)) as length:
        assert length == 0 and "forward" not in vars(network)


@pytest.mark.parametrize("tune_top", [None, 2])
def test_a_fit_with_a_prompt_ends_like_one_that_reads_all(
    small_llama: str, tune_top: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(96, seed=1)
    labels = (corpus.llm_labels == "positive").astype(np.int16)
    config = FinetunedConfig(
        "lora", small_llama, learning_rate=5e-3, epochs=1, tune_top=tune_top, match_prior=True, dropout=0.0
    )
    found = []
    for least in (8, 10_000):
        monkeypatch.setattr("silr.classifiers.finetuned.shared_beginning.MIN_BEGINNING", least)
        tokens = TokenFeatures(small_llama, prompt=PROMPT).fit_transform(corpus.texts)
        classifier = FinetunedClassifier(Backbone(config, 2, "cpu"), 2)
        history = classifier.fit(
            tokens, labels, UURisk([[0.9, 0.1], [0.4, 0.6]], [0.6, 0.4]), held_out(96, 0), random_state=0
        )
        (tmp_path / str(least)).mkdir()
        classifier.save(tmp_path / str(least))
        merged = FinetunedClassifier.load(tmp_path / str(least), "cpu").predict_proba(tokens)
        found.append((history.validation_risk, classifier.predict_proba(tokens), merged))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-3)
    for scores in (*found[0][1:], found[1][2]):
        np.testing.assert_allclose(scores, found[1][1], atol=5e-3)
