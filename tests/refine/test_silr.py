"""The default method as iterations, and what is known of its labels."""

from __future__ import annotations

import numpy as np
import pytest

from silr import LabelRefiner
from silr.refine.posterior_step import of_other_texts
from silr.stats.intervals import OUT_OF_FOLD
from silr.stats.priors import priors_from_gold
from synthetic import Corpus


@pytest.mark.parametrize(("m", "n"), [(100, 500), (100, 20_000)])
def test_the_interval_is_for_texts_without_gold_label(m: int, n: int) -> None:
    """Simulated: m labels of n are checked, and the share of right ones among the others is covered."""
    rng = np.random.default_rng(0)
    covered, narrow = [], []
    for _ in range(400):
        right = rng.random(n) < 0.7
        gold = np.full(n, -1)
        gold[:m] = np.where(right[:m], 1, 0)
        priors = priors_from_gold(np.ones(n, int), gold, 2)
        other = right[m:].mean()
        for found, wider in ((covered, OUT_OF_FOLD), (narrow, 1.0)):
            low, high = of_other_texts(priors, m, n).accuracy_interval
            middle = priors.accuracy
            low, high = (middle + (each - middle) * wider / OUT_OF_FOLD for each in (low, high))
            found.append(low <= other <= high)
    assert 0.92 <= np.mean(narrow) <= 0.98 and np.mean(covered) >= np.mean(narrow)


def test_two_iterations_and_two_accuracies(corpus: Corpus) -> None:
    refiner = LabelRefiner().fit(
        corpus.features, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight, truth=corpus.truth
    )
    first, second = (entry["metrics"] for entry in refiner.history_)
    assert first["of"] == second["of"] == 1 and refiner.best_iteration_ == refiner.classifier_iteration_ == 1
    assert second["changed"] == (refiner.out_of_fold_labels_ != corpus.llm_labels).sum()
    low, high = second["classifier_accuracy_interval"]
    assert 0 <= low <= second["classifier_accuracy"] <= high <= 1
    assert sum(second["model_weights"]) == pytest.approx(1, abs=1e-4)
    again = refiner.predict(corpus.features, llm_labels=corpus.llm_labels)
    free = np.array([each is None for each in corpus.gold])
    assert (again == refiner.out_of_fold_labels_)[free].all()
    np.testing.assert_allclose(
        refiner.predict_proba(corpus.features, llm_labels=corpus.llm_labels)[free],
        refiner.out_of_fold_scores_[free],
        atol=1e-6,
    )


def test_where_all_texts_have_gold_labels_the_classifier_is_judged_for_new_ones(corpus: Corpus) -> None:
    some = slice(0, 120)
    refiner = LabelRefiner().fit(corpus.features[some], corpus.llm_labels[some], corpus.truth[some])
    low, high = refiner.history_[1]["metrics"]["classifier_accuracy_interval"]
    assert 0.1 < high - low < 0.3
