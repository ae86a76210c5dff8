"""The default method through the estimator: what it starts from, when it stops, what it gives back."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silr import LabelRefiner
from silr.errors import InputError
from silr.report.write import write_report
from silr.summary import remarks, summary, verdict
from synthetic import Corpus, make_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(1500, n_gold=80, seed=6)


def fit(corpus: Corpus, y: Any = None, X: Any = None, gold: Any = None, **parameters: Any) -> LabelRefiner:
    given = {name: parameters.pop(name) for name in ("llm_scores", "truth") if name in parameters}
    X, y = corpus.features if X is None else X, corpus.llm_labels if y is None else y
    weight = corpus.gold_weight if gold is None else None
    gold = corpus.gold if gold is None else gold
    return LabelRefiner(**parameters).fit(X, y, gold, gold_weight=weight, **given)


def part(corpus: Corpus, rows: slice) -> Corpus:
    return Corpus(*(getattr(corpus, field.name)[rows] for field in fields(corpus)))


def accuracy(labels: Any, corpus: Corpus) -> float:
    return float((labels == corpus.truth).mean())


@pytest.mark.parametrize("classes", [("negative", "positive"), ("bad", "fair", "good", "great")])
def test_it_beats_the_llm_and_says_by_how_much(classes: tuple[str, ...]) -> None:
    both = make_corpus(3000, classes, n_gold=150, seed=2)
    corpus, new = part(both, slice(2000)), part(both, slice(2000, 3000))
    refiner = fit(corpus, truth=corpus.truth)
    assert refiner.best_iteration_ == refiner.classifier_iteration_ > 0
    assert accuracy(refiner.labels_, corpus) > corpus.llm_accuracy + 0.1
    low, high = refiner.priors_.accuracy_interval
    assert low < accuracy(refiner.labels_, corpus) < high
    np.testing.assert_array_equal(refiner.classes_[refiner.scores_.argmax(axis=1)], refiner.labels_)
    assert accuracy(refiner.predict(new.features), new) > new.llm_accuracy + 0.1


def test_labels_that_others_must_refuse(corpus: Corpus) -> None:
    """Swapped ones, ones of a single class, ones drawn by lot: the gold labels say what they are worth."""
    swapped = np.where(corpus.llm_labels == "positive", "negative", "positive")
    same = np.full(len(swapped), "positive")
    lot = np.random.default_rng(0).permutation(corpus.llm_labels)
    for labels in (swapped, same, lot):
        assert accuracy(fit(corpus, labels).labels_, corpus) > max(accuracy(labels, corpus), 0.5) + 0.1


def test_scores_tell_more_than_labels(corpus: Corpus) -> None:
    """An LLM whose scores order the texts well, and whose argmax calls nearly all of them positive."""
    margin = (corpus.truth == "positive") * 3.0 + np.random.default_rng(0).normal(size=len(corpus.truth)) + 0.5
    scores = np.column_stack([-margin / 2, margin / 2])
    labels = np.where(margin > 0, "positive", "negative")
    noise = np.random.default_rng(1).normal(size=(len(labels), 30))  # beside features that tell little
    noise[:, :5] += corpus.features[:, :5] / 4
    with_scores, without = (fit(corpus, labels, noise, llm_scores=given) for given in (scores, None))
    assert accuracy(with_scores.labels_, corpus) > accuracy(without.labels_, corpus) + 0.02


def test_texts_without_an_llm_label_get_one(corpus: Corpus) -> None:
    labels = corpus.llm_labels.astype(object)
    labels[::7] = None
    scores = np.where((labels == None)[:, None], np.nan, np.eye(2)[(corpus.llm_labels == "positive").astype(int)])  # noqa: E711
    for given in (None, scores):
        refiner = fit(corpus, labels, llm_scores=given)
        assert accuracy(refiner.labels_, corpus) > corpus.llm_accuracy + 0.1
        assert np.mean(refiner.labels_[::7] == corpus.truth[::7]) > corpus.llm_accuracy


def test_the_llms_labels_are_the_result_where_nothing_is_better(corpus: Corpus) -> None:
    """They are nearly all right, and the features tell nothing: the classifier is of no use, and the user is told."""
    good = np.where(np.random.default_rng(0).random(1500) < 0.97, corpus.truth, "negative")
    good[::50] = "negative"
    noise = np.random.default_rng(0).normal(size=(1500, 8))
    labels = good.astype(object)
    labels[5] = None
    assert (good == corpus.truth).mean() > 0.94
    refiner = fit(corpus, labels, noise)
    assert refiner.best_iteration_ == 0 < refiner.classifier_iteration_
    known = np.arange(1500) != 5
    np.testing.assert_array_equal(refiner.labels_[known], good[known])
    assert refiner.labels_[5] in ("negative", "positive")
    assert "no better than the LLM's, so the LLM's are the result" in " ".join(verdict(summary(refiner)))
    assert "classifier that labels new texts has the features alone" in " ".join(remarks(summary(refiner)))
    np.testing.assert_array_equal(refiner.classes_[refiner.scores_[known].argmax(axis=1)], good[known])
    assert refiner.predict(noise[:3]).shape == (3,)


def test_an_iteration_that_the_gold_labels_call_worse_is_not_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """What most features have in common is not the class: with every fit it gets stronger, if nothing holds it."""
    monkeypatch.setattr("silr.soft_uu.ANCHOR", 0.0)
    rng = np.random.default_rng(4)
    truth = (rng.random(2000) < 0.5).astype(int)
    X = rng.normal(size=(2000, 30)) * 0.05
    X[:, :20] += 3 * rng.normal(size=(2000, 1))
    X[:, 20] = truth * 2 - 1 + 0.7 * rng.normal(size=2000)
    said = np.where(rng.random(2000) < 0.7, truth, 1 - truth)
    gold = np.where(np.arange(2000) < 200, truth, np.nan)
    refiner = LabelRefiner(iterations=50).fit(X, said, gold)
    last = refiner.history_[-1]["metrics"]
    assert "fits the gold labels worse" in last["stopped"]
    assert refiner.best_iteration_ == len(refiner.history_) - 2 < 50
    best = refiner.history_[refiner.best_iteration_]["labels"]
    assert (best == truth).mean() > (refiner.history_[-1]["labels"] == truth).mean()


def test_a_run_that_was_cut_off_ends_alike(corpus: Corpus, tmp_path: Path) -> None:
    whole = fit(corpus, run=tmp_path / "whole", iterations=4)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for number in (3, 4):
        shutil.rmtree(tmp_path / "cut" / f"iteration-{number}")
    before = (tmp_path / "cut" / "iteration-2" / "labels.safetensors").stat().st_mtime_ns
    resumed = fit(corpus, run=tmp_path / "cut", iterations=4)
    assert (tmp_path / "cut" / "iteration-2" / "labels.safetensors").stat().st_mtime_ns == before
    for name in ("labels.safetensors", "classifier.safetensors"):
        last = (tmp_path / each / "iteration-4" / name for each in ("whole", "cut"))
        assert len({path.read_bytes() for path in last}) == 1
    loaded = LabelRefiner.load(tmp_path / "cut")
    for other in (resumed, loaded):
        np.testing.assert_array_equal(other.labels_, whole.labels_)
        np.testing.assert_array_equal(other.predict(corpus.features), whole.predict(corpus.features))


def test_other_scores_are_another_run(corpus: Corpus, tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(1500, 2))
    fit(corpus, run=tmp_path / "run", llm_scores=scores, iterations=1)
    with pytest.raises(InputError, match=r"other input or settings \(input\)"):
        fit(corpus, run=tmp_path / "run", llm_scores=scores + 1, iterations=1)


def test_settings_of_the_other_methods_are_refused(corpus: Corpus) -> None:
    for setting in ({"loss": "logistic"}, {"correction": "relu"}, {"hidden_units": 4}, {"epochs": 3}):
        with pytest.raises(InputError, match=f"{next(iter(setting))} is a setting of the methods uu and paper"):
            fit(corpus, **setting)
    with pytest.raises(InputError, match=r"llm_scores has shape \(1500, 3\)"):
        fit(corpus, llm_scores=np.zeros((1500, 3)))


@pytest.mark.parametrize("few", [1, 2])
def test_a_class_with_hardly_any_gold_label(few: int) -> None:
    """A rare one: it is left out of few folds, and what the LLM says of it counts."""
    rng = np.random.default_rng(few)
    truth = (rng.random(2000) < 0.05).astype(int)
    X = rng.normal(size=(2000, 8)) + 2 * truth[:, None] * np.eye(8)[0]
    margin = 4 * truth - 2 + rng.normal(size=2000)
    gold = np.full(2000, np.nan)
    gold[np.flatnonzero(truth == 0)[: 40 - few]] = 0
    gold[np.flatnonzero(truth == 1)[:few]] = 1
    with pytest.warns(UserWarning, match=f"class '1' has {few} gold labels?, too few to tell"):
        found = LabelRefiner().fit(X, (margin > 0).astype(int), gold, llm_scores=np.column_stack([-margin, margin]) / 2)
    assert "gold_loss" in found.history_[1]["metrics"]
    assert (found.labels_ == truth).mean() > 0.95


def test_the_report_says_that_nothing_is_better(corpus: Corpus, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(1500, 8))
    fit(corpus, corpus.truth, noise, run=tmp_path / "run")
    page = write_report(tmp_path / "run").read_text()
    assert "so the LLM&#39;s are the result" in page and "or nothing better than the LLM's labels" in page
