"""The default method with a fine-tuned model, and the parts that only it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from command_line import Commands
from silr import LabelRefiner
from silr.classifiers.finetuned.probe import ProbeStates
from silr.errors import InputError
from silr.hf.tokens import Tokens
from silr.stats.uu_risk import SoftRisk
from synthetic import make_corpus

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 3, "device": "cpu"}


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_soft_risk_is_a_cross_entropy(outputs: int) -> None:
    torch.manual_seed(0)
    classes = max(outputs, 2)
    logits, soft = torch.randn(50, outputs), torch.rand(50, classes).softmax(dim=1)
    full = torch.hstack([torch.zeros(50, 1), logits]) if outputs == 1 else logits
    wanted = nn.functional.cross_entropy(full, soft)
    assert float(SoftRisk(np.full(classes, 1 / classes))(logits, soft)) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_layer_starts_from_the_soft_labels(n_classes: int, intercept: bool) -> None:
    """Where they are a map of the states it finds that map; 7 is what the states have in common."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(20_000, 8)).astype(np.float32)
    states[:, 7] = 7
    logits = 0.4 * states @ rng.normal(size=(8, n_classes))
    logits -= logits.mean(axis=0)
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    kept = ProbeStates(Tokens([np.arange(3, dtype=np.int32)] * len(states), np.arange(len(states))), 8)
    kept.put(np.arange(len(states)), states)
    layer = nn.Linear(8, 1 if n_classes == 2 else n_classes, bias=intercept)
    kept.start(layer, soft.astype(np.float32), SoftRisk(soft.mean(axis=0)), np.zeros(len(states), bool), 0)
    with torch.no_grad():
        found = layer(torch.from_numpy(states)).numpy()
    found = np.hstack([np.zeros_like(found), found]) if n_classes == 2 else found
    assert (found.argmax(axis=1) == soft.argmax(axis=1)).mean() > 0.97


def test_the_model_learns_the_refined_labels(small_llama: str, tmp_path: Path) -> None:
    corpus = make_corpus(360, seed=1)
    refiner = LabelRefiner.from_options(classifier="lora", model=small_llama, run=tmp_path / "run", **QUICK)
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight, truth=corpus.truth)
    assert len(refiner.history_) == 3 and refiner.best_iteration_ == 1 and refiner.classifier_iteration_ == 2
    for entry in refiner.history_[1:]:
        assert entry["metrics"]["true_accuracy"] > corpus.llm_accuracy + 0.15
    head, tuned = (entry["priors"] for entry in refiner.history_[1:])
    share = float((refiner.history_[1]["labels"] != refiner.history_[2]["labels"]).mean())
    assert refiner.history_[2]["metrics"]["changed"] == round(share * 360)
    assert tuned.accuracy == head.accuracy
    low, high = head.accuracy_interval
    np.testing.assert_allclose(tuned.accuracy_interval, [max(low - share, 0), min(high + share, 1)])
    drawn = ~pd.isna(pd.Series(corpus.gold)).to_numpy()
    assert (refiner.history_[1]["labels"] == refiner.history_[2]["labels"])[drawn].all()
    assert (refiner.predict(corpus.texts) == corpus.truth).mean() > corpus.llm_accuracy + 0.15
    again = LabelRefiner.from_options(classifier="lora", model=small_llama, run=tmp_path / "run", **QUICK)
    again.fit(corpus.texts, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    assert (again.out_of_fold_labels_ == refiner.out_of_fold_labels_).all()


def test_settings_of_the_risk_are_refused(small_llama: str) -> None:
    corpus = make_corpus(300, seed=1)
    with pytest.raises(InputError, match="loss is a setting of the methods uu and paper"):
        LabelRefiner.from_options(classifier="lora", model=small_llama, loss="logistic").fit(
            corpus.texts, corpus.llm_labels, corpus.gold
        )


def test_a_killed_run_goes_on(small_llama: str, tmp_path: Path, commands: Commands) -> None:
    """A run without its last iteration, as a kill leaves it: the head is not computed again."""
    make_corpus(160, seed=1).write(tmp_path, "table.csv")
    options = ["--classifier", "lora", "--model", small_llama, "--learning-rate", "2e-3", "--device", "cpu"]
    done = commands("refine", "table.csv", "-o", "run", *options, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "iteration 2 of 2" in done.out and "cannot judge it" in " ".join(done.out.split())
    first = pd.read_csv(tmp_path / "run" / "labels.csv")
    last = tmp_path / "run" / "iteration-2"
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    refused = commands("predict", "run", "table.csv", "-o", "scored.csv", cwd=tmp_path)
    assert refused.code == 2 and "silr refine" in refused.err, refused
    head = (tmp_path / "run" / "iteration-1" / "iteration.json").stat().st_mtime_ns
    assert commands("refine", "table.csv", "-o", "run", *options, cwd=tmp_path).code == 0
    assert (tmp_path / "run" / "iteration-1" / "iteration.json").stat().st_mtime_ns == head
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "run" / "labels.csv"), first)
    report = (tmp_path / "run" / "report.html").read_text()
    assert "About the classifier" in report and "cut off" not in report
