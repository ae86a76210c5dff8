"""An exported fine-tuned run, read by the tools that it is for: transformers, peft and TRL."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import PeftConfig, PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from command_line import Commands
from hub_server import validate_card
from own_paths import own_paths
from silr import FineTuned, LabelRefiner
from silr.errors import InputError
from silr.export import export_run
from silr.export.push import push
from synthetic import Corpus, make_corpus

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*longer than 64")]


@pytest.fixture(scope="session")
def corpus_of_two() -> Corpus:
    corpus = make_corpus(240, seed=1)
    corpus.texts[0] = " ".join(["good0", *corpus.texts[1:30]])  # longer than the model reads
    return corpus


@pytest.fixture(scope="session")
def runs(
    small_llama: str, small_bert: str, corpus_of_two: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A run of two classes for each kind of tuning, and one of three classes."""
    folder = tmp_path_factory.mktemp("runs")
    options: dict[str, Any] = {"epochs": 3, "learning_rate": 5e-3, "device": "cpu"}
    for tuning, model in (("lora", small_llama), ("three", small_llama), ("full", small_bert)):
        corpus = corpus_of_two
        if tuning == "three":
            corpus = make_corpus(300, ("bad", "fair", "good"), n_gold=90, bias=0.4, seed=2)
        kind = "lora" if tuning == "three" else tuning
        if kind == "full":
            options |= {"epochs": 4, "learning_rate": 2e-3}
        refiner = LabelRefiner.from_options(classifier=kind, iterations=1, model=model, run=folder / tuning, **options)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*longer than 64")
            refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def texts(corpus_of_two: Corpus) -> list[str]:
    return corpus_of_two.texts[:100]


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_pipeline_labels_like_predict(tuning: str, runs: dict[str, Path], texts: list[str], tmp_path: Path) -> None:
    export_run(runs[tuning], tmp_path / "model")
    found = pipeline("text-classification", str(tmp_path / "model"))(texts, truncation=True)
    refiner = LabelRefiner.load(runs[tuning], "cpu")
    assert [each["label"] for each in found] == refiner.predict(texts).tolist()
    assert len({each["label"] for each in found}) == 2
    scores = refiner.predict_proba(texts).max(axis=1)
    np.testing.assert_allclose(
        [each["score"] for each in found], scores, atol=2e-4
    )  # rounding of float32, in batches padded otherwise
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors", ".md", ".txt"}


def test_three_classes(runs: dict[str, Path], texts: list[str], tmp_path: Path) -> None:
    export_run(runs["three"], tmp_path / "model")
    found = pipeline("text-classification", str(tmp_path / "model"))(texts, truncation=True)
    assert [each["label"] for each in found] == LabelRefiner.load(runs["three"], "cpu").predict(texts).tolist()


def test_prompt_is_in_the_tokenizer(small_llama: str, texts: list[str], tmp_path: Path) -> None:
    """`pipeline` is given the texts alone, one of them too long for the model."""
    corpus = make_corpus(80, seed=1, n_gold=30)
    options: dict[str, Any] = {"model": small_llama, "epochs": 1, "learning_rate": 5e-3, "device": "cpu"}
    refiner = LabelRefiner.from_options(
        classifier="lora", iterations=1, prompt="Read this: {text} The word is", run=tmp_path / "run", **options
    )
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    export_run(tmp_path / "run", tmp_path / "model")
    reader = pipeline("text-classification", str(tmp_path / "model"))
    assert reader.tokenizer.decode(reader.tokenizer("good0").input_ids) == "[CLS] read this : good0 the word is [SEP]"
    assert reader.tokenizer.decode(reader.tokenizer(texts[0], truncation=True).input_ids).endswith("the word is [SEP]")
    found = reader(texts, truncation=True)
    assert [each["label"] for each in found] == LabelRefiner.load(tmp_path / "run", "cpu").predict(texts).tolist()


def test_adapter_alone(runs: dict[str, Path], texts: list[str], tmp_path: Path) -> None:
    """The code of its model card, with the folder put in."""
    folder = tmp_path / "adapter"
    export_run(runs["lora"], folder, adapter=True)
    assert not (folder / "model.safetensors").exists()
    card = (folder / "README.md").read_text()
    names: dict[str, Any] = {"DIR": str(folder), "texts": texts}
    exec(card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', "texts"), names)
    found = names["classify"](texts, truncation=True)
    assert [each["label"] for each in found] == LabelRefiner.load(runs["lora"], "cpu").predict(texts).tolist()


def test_reward_is_the_log_odds_of_its_class(runs: dict[str, Path], texts: list[str], tmp_path: Path) -> None:
    refiner = LabelRefiner.load(runs["lora"], "cpu")
    probabilities = refiner.predict_proba(texts)
    odds = np.log(probabilities[:, 1] / probabilities[:, 0])
    for sign, name in ((1, "positive"), (-1, "negative")):
        export_run(runs["lora"], tmp_path / name, reward=name)
        np.testing.assert_allclose(_rewards(tmp_path / name, texts), sign * odds, atol=1e-4)


def test_reward_of_one_in_three_classes(runs: dict[str, Path], texts: list[str], tmp_path: Path) -> None:
    export_run(runs["three"], tmp_path / "fair", reward="fair")
    logs = np.log(LabelRefiner.load(runs["three"], "cpu").predict_proba(texts))
    np.testing.assert_allclose(_rewards(tmp_path / "fair", texts), logs[:, 1] - logs[:, [0, 2]].mean(1), atol=1e-4)


def _rewards(folder: Path, texts: list[str]) -> Any:
    scorer = pipeline("text-classification", str(folder), function_to_apply="none")
    return [each["score"] for each in scorer(texts, truncation=True)]


def test_trl_takes_it_as_a_reward_model(runs: dict[str, Path], small_causal: str, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    export_run(runs["lora"], tmp_path / "reward", reward="positive")
    settings = GRPOConfig(
        str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=8,
        report_to="none",
        use_cpu=True,
        bf16=False,
        logging_steps=1,
    )
    prompts = Dataset.from_dict({"prompt": ["positive0 word1", "negative3 word2", "word3", "word4"]})
    trainer = GRPOTrainer(
        model=small_causal, reward_funcs=str(tmp_path / "reward"), args=settings, train_dataset=prompts
    )
    trainer.train()
    assert np.isfinite(next(each["reward"] for each in trainer.state.log_history if "reward" in each))
    assert trainer.reward_funcs[0].config.num_labels == 1


def test_no_path_of_this_machine(
    runs: dict[str, Path], small_llama: str, small_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter's configuration has one: it is how peft finds the model that the adapter sits on."""
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    for kind, adapter in (("lora", True), ("full", False)):
        export_run(runs[kind], tmp_path / kind, adapter=adapter)
        allowed = ["adapter_config.json"] if adapter else []
        assert own_paths(tmp_path / kind, small_llama, small_bert, runs[kind].parent) == allowed
        if adapter:
            with pytest.raises(InputError, match="which others lack; leave out --adapter"):
                push(tmp_path / kind, "ada/x")
        card = (tmp_path / kind / "README.md").read_text()
        assert validate_card(card, "model") == [] and "license: unknown" in card


def test_card(runs: dict[str, Path], tmp_path: Path) -> None:
    export_run(runs["lora"], tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    refiner = LabelRefiner.load(runs["lora"], "cpu")
    priors, (low, high) = refiner.priors_, refiner.history_[2]["priors"].accuracy_interval
    assert f"| refined: LLM and features | {priors.accuracy:.1%} |" in card
    assert f"| this classifier: the text alone | unknown | {low:.0%} to {high:.0%} |" in card  # gold labels taught it
    assert f"| `positive` | {priors.class_prior[1]:.1%} (" in card
    assert "240 texts" in card and "60 of them with a label by hand" in card
    assert "## Intended use" in card and "## Limits" in card and "truncation=True" in card


def test_hostile_names_in_the_card(small_llama: str, tmp_path: Path) -> None:
    names = ("</code><script>alert(1)</script>", "a|b`c\n---\nlicense: x")
    corpus = make_corpus(80, names, seed=1, n_gold=30)
    tuned = FineTuned(small_llama, epochs=1, learning_rate=5e-3)
    refiner = LabelRefiner(classifier=tuned, run=tmp_path / "run", device="cpu")
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold)
    export_run(tmp_path / "run", tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    for line in card.split("```")[0].splitlines() + card.split("```")[-1].splitlines():
        assert line.count("`") % 2 == 0
        assert "<script>" not in "".join(line.split("`")[::2])
    assert card.count("\n---\n") == 1
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert set(config["label2id"]) == set(names)


def test_refusals(runs: dict[str, Path], tmp_path: Path, commands: Commands) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    for run, folder, options, said in (
        (runs["lora"], tmp_path / "used", {}, "exists already"),
        (runs["full"], tmp_path / "new", {"adapter": True}, "has no adapter"),
        (runs["lora"], tmp_path / "new", {"adapter": True, "reward": "positive"}, "leave out --adapter"),
        (runs["lora"], tmp_path / "new", {"reward": "great"}, "the classes of the run are negative, positive"),
        (tmp_path, tmp_path / "new", {}, "is not a run"),
        (runs["lora"], Path("/proc/new"), {}, "cannot write /proc/new"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            export_run(run, folder, **options)
    assert not (tmp_path / "new").exists()
    done = commands("export", runs["lora"], tmp_path / "small", file_size=50_000)  # as on a full disk
    assert done.code == 2 and done.err.startswith("silr: ") and done.err.count("\n") == 1, done
    assert not (tmp_path / "small").exists() and not list(tmp_path.glob(".*"))


def test_model_that_is_gone(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["three"], run)
    kept = run / "iteration-2" / "classifier.json"
    values = json.loads(kept.read_text())
    kept.write_text(json.dumps({**values, "model": "/gone/model"}))
    with pytest.raises(InputError, match="no model at /gone/model"):
        export_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_survive_a_reload_by_hand(runs: dict[str, Path], tmp_path: Path) -> None:
    """The adapter folder on its own names labels and base."""
    export_run(runs["three"], tmp_path / "adapter", adapter=True)
    config = AutoConfig.from_pretrained(tmp_path / "adapter")
    assert config.id2label == {0: "bad", 1: "fair", 2: "good"}
    base = PeftConfig.from_pretrained(tmp_path / "adapter").base_model_name_or_path
    model = AutoModelForSequenceClassification.from_pretrained(base, config=config)
    assert PeftModel.from_pretrained(model, tmp_path / "adapter").num_labels == 3
    assert AutoTokenizer.from_pretrained(tmp_path / "adapter").model_max_length == 64
