"""The loop itself: what it stores, when it stops, and what it never reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from silr.classifiers.base import Classifier
from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.errors import InputError, NoSignalError
from silr.priors import Priors, given_priors, priors_from_truth
from silr.refine import Labels, Loop, best_iteration, derived_seed, held_out, refine
from silr.risk import UURisk
from silr.run import Iteration
from synthetic import Corpus

NOTHING = np.full((2, 2), 0.5)


def codes(labels: np.ndarray) -> Labels:
    return np.unique(labels, return_inverse=True)[1]


def make_loop(
    corpus: Corpus, estimate: Callable[[Labels, int], Priors | None] | None = None, **changes: object
) -> Loop:
    """Oracle priors, unless told otherwise."""
    truth = codes(corpus.truth)
    values = {
        "estimate": estimate or (lambda labels, number: priors_from_truth(labels, truth, 2)),
        "new_classifier": lambda number: FrozenClassifier(FrozenConfig(epochs=20), "cpu"),
        "new_risk": lambda priors: UURisk(priors.theta, priors.class_prior, "sigmoid", "none"),
        "iterations": 3,
        "seed": 0,
        "class_names": ["negative", "positive"],
    }
    return Loop(**{**values, **changes})


class Shelf:
    """Keeps what the loop stores."""

    def __init__(self) -> None:
        self.iterations: list[Iteration] = []
        self.classifiers: list[Classifier | None] = []

    def __call__(self, iteration: Iteration, classifier: Classifier | None) -> None:
        self.iterations.append(iteration)
        self.classifiers.append(classifier)


def test_every_iteration_is_stored_with_the_classifier_that_made_it(corpus: Corpus) -> None:
    shelf = Shelf()
    llm = codes(corpus.llm_labels)
    iterations = refine(corpus.features, llm, make_loop(corpus, truth=codes(corpus.truth)), [], shelf)
    first, *later = shelf.iterations
    assert [each.number for each in shelf.iterations] == [each.number for each in iterations] == [0, 1, 2, 3]
    for stored, returned in zip(shelf.iterations, iterations, strict=True):
        assert stored.labels is returned.labels and stored.metrics == returned.metrics
    np.testing.assert_array_equal(iterations[3].scores, later[2].scores)  # those of the first ones are stored only
    assert first.scores is None and shelf.classifiers[0] is None
    np.testing.assert_array_equal(first.labels, llm)
    before = first
    for each, classifier in zip(later, shelf.classifiers[1:], strict=True):
        np.testing.assert_array_equal(classifier.predict_proba(corpus.features), each.scores)
        np.testing.assert_array_equal(each.scores.argmax(axis=1), each.labels)
        assert each.metrics["changed"] == (each.labels != before.labels).sum()
        assert each.metrics["true_accuracy"] == (each.labels == codes(corpus.truth)).mean()
        assert each.priors.accuracy == pytest.approx(each.metrics["true_accuracy"])  # oracle priors count the truth
        assert len(each.metrics["fit"]["validation_risk"]) == 20
        before = each
    assert best_iteration(iterations) == 3
    assert later[0].metrics["true_accuracy"] > first.metrics["true_accuracy"] + 0.1


def test_going_on_is_the_same_as_never_having_stopped(corpus: Corpus) -> None:
    llm, whole, rest = codes(corpus.llm_labels), Shelf(), Shelf()
    refine(corpus.features, llm, make_loop(corpus), [], whole)
    refine(corpus.features, llm, make_loop(corpus), whole.iterations[:2], rest)
    assert [each.number for each in rest.iterations] == [2, 3]  # what was done is not done again
    for once, resumed in zip(whole.iterations[2:], rest.iterations, strict=True):
        np.testing.assert_array_equal(once.labels, resumed.labels)
        np.testing.assert_array_equal(once.scores, resumed.scores)


def test_truth_given_later_scores_what_was_done_before(corpus: Corpus) -> None:
    llm, shelf = codes(corpus.llm_labels), Shelf()
    done = refine(corpus.features, llm, make_loop(corpus, iterations=1), [], shelf)
    assert "true_accuracy" not in done[0].metrics
    again = refine(corpus.features, llm, make_loop(corpus, iterations=1, truth=codes(corpus.truth)), done, shelf)
    assert again[0].metrics["true_accuracy"] == pytest.approx(corpus.llm_accuracy)
    assert len(shelf.iterations) == 2


def test_truth_that_is_known_of_some_texts_scores_those(corpus: Corpus) -> None:
    truth = codes(corpus.truth)
    truth[100:] = -1
    done = refine(corpus.features, codes(corpus.llm_labels), make_loop(corpus, iterations=1, truth=truth), [], Shelf())
    assert done[0].metrics["true_accuracy"] == (corpus.llm_labels == corpus.truth)[:100].mean()
    unknown = make_loop(corpus, iterations=1, truth=np.full(len(truth), -1))
    assert "true_accuracy" not in refine(corpus.features, codes(corpus.llm_labels), unknown, [], Shelf())[0].metrics


def test_labels_without_signal_are_refused_before_anything_is_fitted(corpus: Corpus) -> None:
    shelf = Shelf()
    loop = make_loop(corpus, lambda labels, number: given_priors(NOTHING, pseudo_labels=labels))
    with pytest.raises(NoSignalError, match="'negative' and 'positive' cannot be told apart"):
        refine(corpus.features, codes(corpus.llm_labels), loop, [], shelf)
    assert shelf.iterations == []


def test_nothing_known_about_the_labels(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="give gold labels, or theta"):
        refine(corpus.features, codes(corpus.llm_labels), make_loop(corpus, lambda *_: None), [], Shelf())


@pytest.mark.parametrize("lost_at", [1, 2])
def test_signal_lost_on_the_way_stops_the_loop_and_says_why(corpus: Corpus, lost_at: int) -> None:
    truth, shelf = codes(corpus.truth), Shelf()

    def estimate(labels: Labels, number: int) -> Priors:
        return given_priors(NOTHING, None, labels) if number == lost_at else priors_from_truth(labels, truth, 2)

    loop = make_loop(corpus, estimate)
    iterations = refine(corpus.features, codes(corpus.llm_labels), loop, [], shelf)
    assert len(iterations) == len(shelf.iterations) == lost_at + 1
    assert "cannot be told apart" in iterations[-1].metrics["stopped"]
    if lost_at == 1:
        with pytest.raises(NoSignalError, match=r"the first iteration lost it: .* cannot be told apart"):
            best_iteration(iterations)
    else:
        assert best_iteration(iterations) == 1  # the last one before the loss
    assert (
        len(refine(corpus.features, codes(corpus.llm_labels), loop, iterations, shelf)) == lost_at + 1
    )  # stays stopped


def test_priors_known_of_the_first_labels_only_give_one_iteration(corpus: Corpus) -> None:
    truth = codes(corpus.truth)
    loop = make_loop(corpus, lambda labels, number: None if number else priors_from_truth(labels, truth, 2))
    iterations = refine(corpus.features, codes(corpus.llm_labels), loop, [], Shelf())
    assert [each.priors is None for each in iterations] == [False, True]
    assert best_iteration(iterations) == 1


def test_split() -> None:
    mask = held_out(801, seed=3)
    assert mask.shape == (801,) and mask.sum() == 100
    np.testing.assert_array_equal(mask, held_out(801, seed=3))
    assert (mask != held_out(801, seed=4)).any()


def test_seeds_differ_by_iteration_and_by_run() -> None:
    seeds = {derived_seed(seed, number) for seed in range(20) for number in range(1, 20)}
    assert len(seeds) == 20 * 19
    assert min(seeds) >= 0 and derived_seed(7, 2) == derived_seed(7, 2)
