"""An exported decoder whose tokenizer makes nothing of an empty text labels it as silr does, alone and in a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, LlamaConfig, PreTrainedTokenizerFast, pipeline

from silr import LabelRefiner
from silr.align.load_scorer import load_scorer
from silr.export import export_run
from silr.export.empty_text import with_last_padding
from synthetic import FILLER, make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small decoder with a tokenizer that adds no special token."""
    words = ["<pad>", "<end>", "<unk>", *FILLER, *(f"{name}{n}" for name in ("negative", "positive") for n in range(6))]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = str(tmp_path_factory.mktemp("decoder"))
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    AutoModel.from_config(LlamaConfig(vocab_size=len(words), max_position_embeddings=64, **sizes)).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def run(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = make_corpus(200, seed=1)
    folder = tmp_path_factory.mktemp("run") / "run"
    options: dict[str, Any] = {"epochs": 2, "learning_rate": 5e-3, "device": "cpu", "method": "uu", "max_length": 12}
    LabelRefiner.from_options(classifier="lora", iterations=1, model=model, run=folder, **options).fit(
        corpus.texts, corpus.llm_labels, corpus.gold
    )
    return folder


@pytest.mark.parametrize("adapter", [False, True])
def test_labels_and_scores_are_those_of_silr(
    run: Path, adapter: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silr.classifiers.finetuned.backbone.best_dtype", lambda device: "float32")  # the folder's own
    corpus = make_corpus(200, seed=1)
    texts = ["", *corpus.texts[:6], "", " ".join(corpus.texts[6:9])]
    wanted = LabelRefiner.load(run, "cpu").predict_proba(texts)
    export_run(run, tmp_path / "model", adapter=adapter)
    scorer = load_scorer(tmp_path / "model", "positive", "cpu")
    assert scorer(texts) == pytest.approx(wanted[:, 1], abs=1e-4)
    assert scorer([""]) == pytest.approx(wanted[:1, 1], abs=1e-4)
    if adapter:
        return
    classify = pipeline("text-classification", str(tmp_path / "model"))
    for found in (
        classify(texts, truncation=True, batch_size=8),
        [*classify([""]), *classify(texts[1:], truncation=True)],
    ):
        labels = ["negative", "positive"]
        assert [each["label"] for each in found] == [labels[row.argmax()] for row in wanted[: len(found)]]
        assert [each["score"] for each in found] == pytest.approx(wanted[: len(found)].max(axis=1), abs=1e-4)


def test_others_stay_as_they_are(small_bert: str, small_llama: str, model: str) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    for folder in (small_bert, small_llama):  # their tokenizer puts special tokens around an empty text
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert with_last_padding(tokenizer, None) is tokenizer
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    bert: Any = AutoModelForSequenceClassification.from_pretrained(small_bert).eval()
    assert with_last_padding(tokenizer, bert) is tokenizer  # reads the whole text, padding that is not masked too
