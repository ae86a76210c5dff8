"""Formats, measures, warnings, scorers and the report, each on its own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_policies import word_tokenizer, write_policy

from report.hostile import HOSTILE
from silr import LabelRefiner
from silr.align.cautions import find_warnings
from silr.align.folder import AlignFolder
from silr.align.generate import Completion, log_probabilities, sample
from silr.align.load_scorer import load_scorer
from silr.align.measures import Measured, distinct_n, repetition
from silr.align.prompts import hold_out
from silr.align.report import write_align_report
from silr.align.run_scorer import log_odds, platt
from silr.align.text_format import format_of, render
from silr.errors import InputError
from silr.export import export_run
from synthetic import make_corpus

pytestmark = pytest.mark.slow


def test_formats(tmp_path: Path) -> None:
    assert render("{prompt} -> {completion} {x}", "{completion}", "b{prompt}") == "{completion} -> b{prompt} {x}"
    assert format_of(tmp_path, chat=False)[0] == "{prompt}{completion}"
    assert format_of(tmp_path, chat=True)[0] == "{prompt}\n\n{completion}"
    rows = {"prompt": ["a", "b"], "completion": ["c", "d"], "text": ["c", "d"]}
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    assert format_of(tmp_path, chat=True)[0] == "{completion}"
    pd.DataFrame({**rows, "text": ["a|c", "b|d"]}).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError, match="say it with --reward-text"):
        format_of(tmp_path, chat=True)


def test_measures_by_hand() -> None:
    assert distinct_n(["a b c", "A b d"]) == 3 / 4  # a b, b c, a b, b d
    assert distinct_n(["one", ""]) == 0
    assert repetition("a b a b a b") == pytest.approx(1 - 2 / 5)
    assert repetition("a b c d") == repetition("") == 0


def test_held_out_prompts() -> None:
    train, test = hold_out(200, 3)
    assert len(test) == 40 and sorted(train + test) == list(range(200)) and test != hold_out(200, 4)[1]
    assert len(hold_out(5000, 0)[1]) == 100
    assert hold_out(19, 0) == (list(range(19)), list(range(19)))


def measured(reward: float, judge: float | None, text: str = "a b c d e", n: int = 50) -> Measured:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=n) / 100
    judged = None if judge is None else judge + noise
    texts = [f"{text} {rng.integers(1000)} {rng.integers(1000)}" for _ in range(n)]
    return Measured(texts, reward + noise, judged, np.full(n, len(text.split())), 0.5)


def titles(before: Measured, after: Measured, kl: float = 1.0) -> list[str]:
    return [f"{each.level}: {each.title}" for each in find_warnings(before, after, kl, True)]


def test_a_hacked_reward_is_said_first() -> None:
    start = measured(0.5, 0.5)
    assert titles(start, measured(0.8, 0.7)) == []
    assert titles(start, measured(0.8, 0.4))[0] == "serious: The reward rose while the judge fell"
    assert titles(start, measured(0.8, 0.7, "a b a b a b a b"), 50.0) == [
        "careful: The length changed",
        "careful: Completions repeat themselves",
        "careful: Less diversity",
        "careful: Far from the starting policy",
    ]
    assert "careful: No clear gain in reward" in titles(start, measured(0.5, 0.5))
    assert "note: No judge" in titles(measured(0.5, None), measured(0.7, None))


def test_log_probabilities_are_the_networks_own(tmp_path: Path) -> None:
    """Padded in a batch, against one sequence at a time."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(write_policy(tmp_path)).eval()
    tokenizer = word_tokenizer()
    tokenizer.padding_side = "left"
    prompts = tokenizer(["word1", "word2 word3 word4"])["input_ids"]
    found = sample(network, tokenizer, prompts, max_new_tokens=9, temperature=0.7, seed=0)
    assert found == sample(network, tokenizer, prompts, max_new_tokens=9, temperature=0.7, seed=0)
    found.append(Completion("", [], False))
    prompts.append(prompts[0])
    wanted = []
    for prompt, each in zip(prompts, found, strict=True):
        logits = network(torch.tensor([[*prompt, *each.ids]])).logits[0, len(prompt) - 1 : -1] / 0.7
        picked = logits.log_softmax(dim=1)[torch.arange(len(each.ids)), each.ids] if each.ids else torch.zeros(1)
        wanted.append(float(picked.sum().detach()))
    np.testing.assert_allclose(log_probabilities(network, prompts, found, 0.7, 2), wanted, atol=1e-4)


def test_sampling_follows_the_distribution(tmp_path: Path) -> None:
    """One token of one prompt, drawn 4,000 times."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(write_policy(tmp_path)).eval()
    with torch.no_grad():
        network.lm_head.weight *= 20
    tokenizer = word_tokenizer()
    prompt = tokenizer("word1")["input_ids"]
    p = (network(torch.tensor([prompt])).logits[0, -1] / 1.3).softmax(dim=0).detach().numpy()
    found = sample(network, tokenizer, [prompt] * 4000, max_new_tokens=1, temperature=1.3, seed=1)
    counts = np.bincount([each.ids[0] for each in found], minlength=len(p))
    assert np.abs(counts - 4000 * p).max() < 5 * math.sqrt(4000 * p.max())


def test_platt_finds_scale_and_offset() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(size=20_000) * 2
    positive = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * odds - 1)))
    slope, offset = platt(odds, positive, np.ones(20_000)) or (0, 0)
    assert slope == pytest.approx(0.5, abs=0.03) and offset == pytest.approx(-1, abs=0.05)
    assert platt(-odds, positive, np.ones(20_000)) is None
    assert platt(odds, np.zeros(20_000, dtype=bool), np.ones(20_000)) is None


def test_a_run_scores_like_predict(reward: Path) -> None:
    texts = make_corpus(80, seed=9).texts
    scorer = load_scorer(reward, "negative", "cpu")
    np.testing.assert_allclose(scorer(texts), LabelRefiner.load(reward).predict_proba(texts)[:, 0], atol=1e-6)
    assert "probability of 'negative'" in scorer.scale


def test_a_run_of_method_uu_is_calibrated_on_its_gold_labels(tmp_path: Path) -> None:
    from silr.refine.table import refine_table

    table = make_corpus(400, seed=1).write(tmp_path)
    refine_table(table, tmp_path / "run", method="uu", iterations=1, device="cpu")
    scorer = load_scorer(tmp_path / "run", "positive", "cpu")
    assert "Platt" in scorer.scale
    texts = make_corpus(300, seed=9).texts
    raw = LabelRefiner.load(tmp_path / "run").predict_proba(texts)[:, 1].astype(float)
    slope, offset = np.polyfit(log_odds(raw), log_odds(scorer(texts)), 1)
    assert slope > 0 and (abs(slope - 1) > 0.01 or abs(offset) > 0.01)


def test_exported_folders_score_like_their_run(
    reward: Path, small_llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silr.classifiers.finetuned.backbone.best_dtype", lambda device: "float32")  # the folder's own
    corpus = make_corpus(160, seed=9)
    export_run(reward, tmp_path / "frozen")
    wanted = LabelRefiner.load(reward).predict_proba(corpus.texts)[:, 1]
    np.testing.assert_allclose(load_scorer(tmp_path / "frozen", "positive", "cpu")(corpus.texts), wanted, atol=1e-5)
    tuned = LabelRefiner.from_options(
        classifier="lora", iterations=1, model=small_llama, epochs=1, run=tmp_path / "run", device="cpu"
    )
    tuned.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    wanted = tuned.predict_proba(corpus.texts)[:, 1]
    export_run(tmp_path / "run", tmp_path / "classifier")
    export_run(tmp_path / "run", tmp_path / "adapter", adapter=True)
    export_run(tmp_path / "run", tmp_path / "model", reward="positive")
    for folder, name in (("classifier", "positive"), ("adapter", "positive"), ("model", None)):
        scorer = load_scorer(tmp_path / folder, name, "cpu")
        assert scorer.wanted == "positive"
        np.testing.assert_allclose(scorer(corpus.texts), wanted, atol=1e-3)
    with pytest.raises(InputError, match="the classes of --reward"):
        load_scorer(tmp_path / "model", "negative", "cpu")


def test_features_without_texts_are_no_reward(tmp_path: Path) -> None:
    corpus = make_corpus(300)
    LabelRefiner.from_options(iterations=1, run=tmp_path / "run").fit(corpus.features, corpus.llm_labels, corpus.gold)
    with pytest.raises(InputError, match="made from features, not from texts"):
        load_scorer(tmp_path / "run", "positive", "cpu")


def test_hostile_text_is_only_text_on_the_page(tmp_path: Path) -> None:
    prompts = [f"{text} {number}" for number, text in enumerate(HOSTILE)]
    n = len(prompts)
    before = Measured(list(HOSTILE), np.linspace(0, 1, n), np.linspace(0, 1, n), np.arange(n), 0.5)
    after = Measured(list(reversed(HOSTILE)), np.linspace(0, 1, n), np.linspace(0, 1, n), np.arange(n), 0.5)
    bad = "<script>alert(1)</script>"
    with AlignFolder.start(tmp_path / bad.replace("/", ""), identity={}) as folder:
        folder.manifest["identity"] = {
            "policy": {"model": bad, "weights": "0"},
            "reward": {"class": bad},
            "judge": {"path": bad},
        }
        result = {
            "method": "grpo",
            "prompts": {"train": 1, "test": n, "held_out": True},
            "reward": f"probability of {bad}",
            "judge": bad,
            "before": before.means(),
            "after": after.means(),
            "kl": {"completion": 1.0},
            "warnings": [],
        }
        log = [{"loss": 0.1, "reward": 0.2 + step / 100, "kl": 100.0 * step, "step": step} for step in range(90)]
        write_align_report(folder, json.loads(json.dumps(result)), before, after, prompts, log)
        page = (folder.folder / "report.html").read_text()
    assert page.count("<script") == 1 and bad not in page
    assert page.count("<svg viewBox") >= 2 and 'content="default-src &#39;none&#39;' in page
