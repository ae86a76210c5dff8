from __future__ import annotations

import json
import os
import signal
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from silr.classifiers.base import FitHistory
from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig, trained_state
from silr.classifiers.finetuned.classifier import FinetunedClassifier
from silr.errors import InputError
from silr.hf.tokens import TokenFeatures, Tokens, passes
from silr.refine.method import held_out
from silr.stats.priors import priors_from_truth
from silr.stats.uu_risk import UURisk
from synthetic import Corpus, make_corpus

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float32")]

QUICK = {"epochs": 2, "learning_rate": 2e-3}


@pytest.fixture(scope="module")
def toy() -> Corpus:
    return make_corpus(320, seed=1)


@pytest.fixture(scope="module")
def few() -> Corpus:
    """Too few to learn from: nine steps an epoch."""
    return make_corpus(160, seed=1)


def codes(labels: Any) -> Any:
    return (labels == "positive").astype(np.int16)


def read(model: str, toy: Corpus) -> Tokens:
    return TokenFeatures(model).fit_transform(toy.texts)


def fit(
    toy: Corpus, model: str, tuning: Any, folder: Path | None = None, on_step: Any = None, **options: Any
) -> tuple[FinetunedClassifier, FitHistory, Tokens]:
    config = FinetunedConfig(tuning, model, **{**QUICK, **options})
    tokens = read(model, toy)
    classifier = FinetunedClassifier(Backbone(config, 2, "cpu"), 2, folder)
    return classifier, refit(classifier, toy, tokens, on_step), tokens


def refit(classifier: FinetunedClassifier, toy: Corpus, tokens: Tokens, on_step: Any = None, seed: int = 5) -> Any:
    priors = priors_from_truth(codes(toy.llm_labels), codes(toy.truth), 2)
    risk = UURisk(priors.theta, priors.class_prior)
    return classifier.fit(tokens, codes(toy.llm_labels), risk, held_out(len(tokens), 0), seed, on_step)


def accuracy(scores: Any, toy: Corpus) -> float:
    return float((scores.argmax(axis=1) == codes(toy.truth)).mean())


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["small_llama", "small_bert"])
def test_learns_from_biased_labels(toy: Corpus, family: str, request: pytest.FixtureRequest) -> None:
    classifier, history, tokens = fit(toy, request.getfixturevalue(family), "full", epochs=4)
    scores = classifier.predict_proba(tokens)
    assert scores.shape == (320, 2) and scores.sum(axis=1) == pytest.approx(1)
    assert accuracy(scores, toy) > toy.llm_accuracy + 0.15
    assert len(history.train_risk) == len(history.validation_risk) == 4
    assert history.best_epoch == int(np.argmin(history.validation_risk))


def test_the_best_epoch_is_the_one_that_is_kept(few: Corpus, small_llama: str) -> None:
    """The validation risk, computed anew from the kept weights' scores, is the lowest of the epochs'."""
    classifier, history, tokens = fit(few, small_llama, "full", epochs=3, learning_rate=2e-2)
    scores = classifier.predict_proba(tokens)
    priors = priors_from_truth(codes(few.llm_labels), codes(few.truth), 2)
    rows = held_out(160, 0)
    logit = torch.from_numpy(np.log(scores[rows, 1]) - np.log(scores[rows, 0]))
    labels = torch.from_numpy(codes(few.llm_labels)[rows].astype(np.int64))
    risk = float(UURisk(priors.theta, priors.class_prior)(logit, labels))
    assert risk == pytest.approx(min(history.validation_risk), abs=1e-4)


@pytest.mark.parametrize("tuning", ["lora", "qlora", "full"])
def test_saved_and_loaded_scores_are_the_same(few: Corpus, small_llama: str, tuning: str, tmp_path: Path) -> None:
    corpus = make_corpus(480, seed=1) if tuning == "qlora" else few  # four bits are merged exactly but for rounding
    classifier, _, tokens = fit(corpus, small_llama, tuning, epochs=1)
    classifier.save(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    expected = classifier.predict_proba(tokens)
    loaded = FinetunedClassifier.load(tmp_path, "cpu").predict_proba(tokens)
    assert np.abs(loaded - expected).max() < 1e-4
    assert (loaded.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_every_fit_starts_afresh(few: Corpus, small_llama: str, tuning: str) -> None:
    classifier, _, tokens = fit(few, small_llama, tuning, epochs=1)
    first = classifier.predict_proba(tokens)
    refit(classifier, few, tokens, seed=6)
    assert np.abs(classifier.predict_proba(tokens) - first).max() > 1e-6
    refit(classifier, few, tokens, seed=5)
    assert (classifier.predict_proba(tokens) == first).all()


def test_an_earlier_classifier_scores_by_its_own_weights(few: Corpus, small_llama: str) -> None:
    earlier, _, tokens = fit(few, small_llama, "lora", epochs=1)
    expected = earlier.predict_proba(tokens)
    later = FinetunedClassifier(earlier._backbone, 2)
    refit(later, few, tokens, seed=9)
    assert np.abs(earlier.predict_proba(tokens) - expected).max() < 1e-5


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_half_precision(
    toy: Corpus, small_llama: str, tuning: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: with the start from the probe, thresholds by the prior, and scores fine enough to set them."""
    monkeypatch.setattr("silr.classifiers.finetuned.backbone.best_dtype", lambda device: "bfloat16")
    classifier, _, tokens = fit(toy, small_llama, tuning, epochs=4, linear_probe=True, match_prior=True)
    assert classifier._backbone.autocast == "bfloat16"
    scores = classifier.predict_proba(tokens)
    assert accuracy(scores, toy) > toy.llm_accuracy + 0.15
    assert scores.argmax(axis=1).mean() == pytest.approx(codes(toy.truth).mean(), abs=0.01)
    assert len(np.unique(scores)) > 270
    classifier.save(tmp_path)
    loaded = FinetunedClassifier.load(tmp_path, "cpu").predict_proba(tokens)
    assert np.abs(loaded - scores).max() < 0.03
    assert (loaded.argmax(axis=1) == scores.argmax(axis=1)).mean() > 0.98


# --- lower layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["small_llama", "small_bert"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_kept_states_of_lower_layers_change_no_score(
    few: Corpus, family: str, tuning: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    classifier, _, tokens = fit(few, request.getfixturevalue(family), tuning, tune_top=1)
    by_states = classifier.predict_proba(tokens)
    classifier.save(tmp_path)
    whole = FinetunedClassifier.load(tmp_path, "cpu").predict_proba(tokens)
    assert np.abs(by_states - whole).max() < 1e-5
    trained = trained_state(classifier._backbone.network)
    assert any("layers.2" in name or "layer.2" in name for name in trained)
    assert not any("layers.1" in name or "layer.1" in name for name in trained)


@pytest.mark.parametrize("tune_top", [None, 1])
def test_a_family_that_peft_has_no_places_for(few: Corpus, make_small: Any, tune_top: int | None) -> None:
    from transformers import SmolLM3Config

    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = SmolLM3Config(vocab_size=30522, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, **sizes)
    classifier, _, tokens = fit(few, make_small(config), "lora", tune_top=tune_top, epochs=1)
    adapted = {name.split(".layers.")[1][0] for name in classifier.state_ if ".layers." in name}
    assert adapted == ({"1"} if tune_top else {"0", "1"})
    assert any("gate_proj" in name for name in classifier.state_)
    assert classifier.predict_proba(tokens).shape == (160, 2)


@pytest.mark.parametrize("tune_top", [None, 1])
def test_steps_are_counted_to_the_end(few: Corpus, small_llama: str, tune_top: int | None) -> None:
    """Passes that read or score, and batches of 16 texts that train."""
    seen: list[tuple[int, int]] = []
    classifier, _, tokens = fit(
        few, small_llama, "full", on_step=lambda *at: seen.append(at), tune_top=tune_top, epochs=2
    )
    classifier.predict_proba(tokens)
    lengths, total = np.sort(tokens.lengths())[::-1], seen[-1][1]
    scored, validated = (
        len(passes(lengths)),
        len(passes(np.sort(tokens.lengths()[tokens.where[held_out(160, 0)]])[::-1])),
    )
    assert scored > 1
    assert seen[0] == (0, total) and seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert total == scored * (2 if tune_top else 1) + 2 * (9 + validated)


def test_the_callers_risk_may_move(few: Corpus, small_llama: str) -> None:
    """To another device, as it does on a GPU: what trains and what validates are copies."""
    tokens, labels = read(small_llama, few), codes(few.llm_labels)
    found = []
    for device in ("cpu", "meta"):
        risk = UURisk([[0.9, 0.1], [0.4, 0.6]], [0.65, 0.35])
        classifier = FinetunedClassifier(Backbone(FinetunedConfig("full", small_llama, epochs=2), 2, "cpu"), 2)
        history = classifier.fit(
            tokens, labels, risk, held_out(160, 0), 0, lambda *_, risk=risk, device=device: risk.to(device)
        )
        assert risk.weights.device.type == device
        found.append(history.validation_risk)
    assert found[0] == found[1]


def test_too_many_layers_to_tune(few: Corpus, small_llama: str) -> None:
    with pytest.raises(InputError, match="--tune-top 3: the model has 3 layers"):
        fit(few, small_llama, "lora", tune_top=3)


# --- stops ------------------------------------------------------------------------------------------------------------


def fit_in_a_fork(toy: Corpus, model: str, checkpoints: Path, out: Path, kill_at: int = 0) -> int:
    """Exit code of a process that fits and saves, or kills itself when so many steps were reported."""
    out.mkdir(exist_ok=True)
    if (child := os.fork()) == 0:
        seen: list[int] = []

        def on_step(done: int, total: int) -> None:
            seen.append(done)
            if len(seen) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            found = fit(toy, model, "lora", checkpoints, on_step, checkpoint_seconds=0.0, match_prior=True)
            found[0].save(out)
            (out / "first").write_text(str(seen[0]))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_killed_fit_goes_on_from_its_last_checkpoint(few: Corpus, small_llama: str, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    checkpoints = tmp_path / "checkpoints"
    assert fit_in_a_fork(few, small_llama, checkpoints, killed, 16) == -signal.SIGKILL  # second epoch of 9 steps
    assert list(checkpoints.glob("checkpoint-*"))
    assert fit_in_a_fork(few, small_llama, checkpoints, killed) == 0
    assert int((killed / "first").read_text()) >= 12
    assert fit_in_a_fork(few, small_llama, tmp_path / "others", whole) == 0
    assert int((whole / "first").read_text()) == 0
    name = "classifier.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_a_risk_that_is_no_number_names_its_step_and_keeps_the_checkpoint(
    toy: Corpus, small_llama: str, tmp_path: Path
) -> None:
    seen: list[int] = []

    def spoil(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 10:
            next(weight for weight in classifier._backbone.network.parameters()).data.fill_(float("nan"))

    config = FinetunedConfig("full", small_llama, **QUICK, checkpoint_seconds=0.0)
    classifier = FinetunedClassifier(Backbone(config, 2, "cpu"), 2, tmp_path / "checkpoints")
    with pytest.raises(InputError, match="not a number at step 10;"):
        refit(classifier, toy, read(small_llama, toy), spoil)
    assert list((tmp_path / "checkpoints").glob("checkpoint-*/model.safetensors"))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_folder_without_weights(few: Corpus, small_llama: str, tmp_path: Path) -> None:
    for path in Path(small_llama).iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="cannot load the model") as error:
        fit(few, str(tmp_path), "lora")
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_padding_and_end_tokens(few: Corpus, small_llama: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for path in Path(small_llama).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(small_llama)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="neither a padding token nor an end token"):
        read(str(tmp_path), few)


def test_long_and_empty_texts(small_llama: str) -> None:
    with pytest.warns(UserWarning, match="2 texts are longer than 64 tokens"):
        tokens = TokenFeatures(small_llama).fit_transform(["", "word " * 500, "a text", "word " * 500])
    assert tokens.lengths().tolist() == [2, 64, 4] and tokens.where.tolist() == [0, 1, 2, 1]
    with pytest.raises(InputError, match="the model reads 64 tokens at most"):
        TokenFeatures(small_llama, 65).fit_transform(["a"])


def test_fewer_texts_than_one_batch(small_llama: str) -> None:
    with pytest.raises(InputError, match="fewer than one batch of 16"):
        fit(make_corpus(16, n_gold=10, seed=1), small_llama, "lora")


def test_weights_of_another_model(few: Corpus, small_llama: str, small_bert: str, tmp_path: Path) -> None:
    classifier, _, _ = fit(few, small_llama, "lora", epochs=1)
    classifier.save(tmp_path)
    record = tmp_path / "classifier.json"
    record.write_text(record.read_text().replace(small_llama, small_bert))
    with pytest.raises(InputError, match="has other weights, or another tokenizer"):
        FinetunedClassifier.load(tmp_path, "cpu")
    values = json.loads(record.read_text())
    del values["weights"]  # as it was before there were fingerprints
    record.write_text(json.dumps(values))
    with pytest.raises(InputError, match="another model"):
        FinetunedClassifier.load(tmp_path, "cpu").predict_proba(read(small_bert, few))


def test_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "classifier.json").write_text('{"kind": "finetuned"}')
    with pytest.raises(InputError, match="cannot read the classifier"):
        FinetunedClassifier.load(tmp_path)
