"""No gold label and no scores: labels, and what texts alike were labelled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import Ridge as ScikitRidge
from sklearn.preprocessing import StandardScaler

from silr import LabelRefiner
from silr.errors import InputError
from silr.refine.no_gold import WEIGHT, refine_votes
from silr.refine.posterior import Refined
from silr.stats.annotator_evidence import Annotator
from silr.stats.ridge import PENALTY, StandardisedMatrix
from synthetic import Corpus


def made(n: int, K: int, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=n)
    return rng, truth, (rng.normal(size=(n, 20)) + rng.normal(size=(K, 20))[truth] / 1.5).astype(np.float32)


def noisy(rng: Any, truth: Any, K: int, share: float = 0.3) -> Any:
    return np.where(rng.random(len(truth)) < share, rng.integers(K, size=len(truth)), truth).astype(np.int16)


def refine(X: Any, labels: list[Any], K: int) -> Refined:
    found = refine_votes(StandardisedMatrix(X), [Annotator(each) for each in labels], K)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert found.classifier_gold.shape == (0, K) and found.model_weights.tolist() == [1.0]
    return found


@pytest.mark.parametrize("K", [2, 3, 6])
def test_random_errors_are_averaged_out(K: int) -> None:
    for seed in range(3):
        rng, truth, X = made(2000, K, seed)
        labels = noisy(rng, truth, K)
        found = refine(X, [labels], K).probabilities.argmax(axis=1)
        assert (found == truth).mean() > (labels == truth).mean()
        changed = found != labels
        assert changed.any() and (found[changed] == truth[changed]).mean() > 0.5


@pytest.mark.parametrize("K", [2, 3])
def test_the_formula(K: int) -> None:
    """Label plus 0.7 of what a regression without the text says of it, the latter on the scale of one deviation."""
    rng, truth, X = made(150, K, 0)
    labels = noisy(rng, truth, K)
    Z, targets = StandardScaler().fit_transform(X.astype(float)), np.eye(K)[labels]
    left_out = np.array(
        [
            ScikitRidge(alpha=PENALTY)
            .fit(np.delete(Z, row, axis=0), np.delete(targets, row, axis=0))
            .predict(Z[[row]])[0]
            for row in range(150)
        ]
    )
    left_out -= left_out.mean(axis=1, keepdims=True)
    left_out -= left_out.mean(axis=0)
    scale = (left_out[:, 1] - left_out[:, 0]).std() if K == 2 else 2 * left_out.std()
    wanted = softmax(targets + WEIGHT * left_out / scale, axis=1)
    if K == 2:  # the label's log-odds are 1, not 2
        log_odds = 2 * targets[:, 1] - 1 + WEIGHT * (left_out[:, 1] - left_out[:, 0]) / scale
        wanted = np.column_stack([1 / (1 + np.exp(log_odds)), 1 / (1 + np.exp(-log_odds))])
    np.testing.assert_allclose(refine(X, [labels], K).probabilities, wanted, atol=2e-3)


@pytest.mark.parametrize("K", [2, 3])
def test_features_that_know_nothing_change_little(K: int) -> None:
    rng = np.random.default_rng(K)
    labels = rng.integers(K, size=2000).astype(np.int16)
    found = refine(rng.normal(size=(2000, 50)), [labels], K).probabilities.argmax(axis=1)
    assert (found == labels).mean() > 0.85


def test_three_llms_are_better_than_one() -> None:
    rng, truth, X = made(2000, 3, 4)
    labels = [noisy(rng, truth, 3, 0.5) for _ in range(3)]
    alone = max((refine(X, [each], 3).probabilities.argmax(axis=1) == truth).mean() for each in labels)
    assert (refine(X, labels, 3).probabilities.argmax(axis=1) == truth).mean() > alone


def test_texts_without_a_label_go_by_their_features() -> None:
    rng, truth, X = made(2000, 2, 5)
    labels = noisy(rng, truth, 2)
    silent = np.arange(2000) % 4 == 0
    labels[silent] = -1
    found = refine(X, [labels], 2).probabilities.argmax(axis=1)
    assert (found == truth)[silent].mean() > 0.8


def test_an_llm_that_says_one_thing_shifts_all_alike() -> None:
    """Beside one that tells texts apart; one that says nothing only halves the weight of a label."""
    rng, truth, X = made(1000, 2, 6)
    labels = noisy(rng, truth, 2)
    one = refine(X, [labels, np.ones(1000, np.int16)], 2).probabilities
    none = refine(X, [labels, np.full(1000, -1, np.int16)], 2).probabilities
    log_odds = [np.log(each[:, 1] / each[:, 0]) for each in (one, none)]
    np.testing.assert_allclose(log_odds[0] - log_odds[1], 0.5, atol=1e-3)


@pytest.mark.parametrize("K", [2, 3])
def test_its_classifier_keeps_the_class_shares(K: int) -> None:
    rng, truth, X = made(2000, K, 7)
    found = refine(X, [noisy(rng, truth, K)], K)
    values = StandardisedMatrix(X).rows(np.arange(2000)) @ found.alone.weight.T + found.alone.intercept
    labels = (values[:, 0] > 0).astype(int) if K == 2 else values.argmax(axis=1)
    shares = [np.bincount(each, minlength=K) / 2000 for each in (labels, found.probabilities.argmax(axis=1))]
    np.testing.assert_allclose(*shares, atol=0.01)
    assert (labels == truth).mean() > 0.8


def test_through_the_estimator(corpus: Corpus) -> None:
    """Who is told that nobody knows how good it is; the corpus is known again."""
    with pytest.warns(UserWarning, match="no gold labels"):
        refiner = LabelRefiner().fit(corpus.features, corpus.llm_labels)
    assert refiner.priors_ is None
    assert (refiner.out_of_fold_labels_ == corpus.truth).mean() > corpus.llm_accuracy
    found = refiner.predict_proba(corpus.features, llm_labels=corpus.llm_labels)
    np.testing.assert_allclose(found, refiner.out_of_fold_scores_, atol=1e-6)
    with pytest.raises(InputError, match="the same label, and there are no gold labels"):
        LabelRefiner().fit(corpus.features, np.full(len(corpus.texts), "positive"), classes=["negative", "positive"])


def test_several_llms_through_the_estimator(corpus: Corpus) -> None:
    """One of them has scores, which count by their labels."""
    rng = np.random.default_rng(0)
    other = np.where(rng.random(len(corpus.texts)) < 0.3, "negative", corpus.truth)
    scores = np.column_stack([other == "negative", other == "positive"]) + rng.normal(size=(len(other), 2)) / 9
    with pytest.warns(UserWarning, match="no gold labels"):
        refiner = LabelRefiner().fit(corpus.features, {"a": corpus.llm_labels, "b": other}, llm_scores={"b": scores})
    assert (refiner.out_of_fold_labels_ == corpus.truth).mean() > max(
        corpus.llm_accuracy, (other == corpus.truth).mean()
    )


def test_llms_of_which_each_says_one_thing() -> None:
    """But not the same: there is nothing that tells texts apart, and noise of rounding is not an answer."""
    X = np.random.default_rng(0).normal(size=(100, 3))
    labels = {"a": ["no"] * 100, "b": ["yes"] * 100, "c": ["yes"] * 100}
    with pytest.raises(InputError, match="no gold labels"):
        LabelRefiner().fit(X, labels)
