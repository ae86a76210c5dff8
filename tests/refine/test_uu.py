"""The driver and its loop: what it stores, when it stops, and what it never reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from silr.classifiers.base import Classifier
from silr.errors import InputError, NoSignalError
from silr.refine.iteration import Iteration
from silr.refine.method import Context, derived_seed, held_out
from silr.refine.method import refine as drive
from silr.refine.problem import Labels, Problem
from silr.refine.refinement import Refinement
from silr.refine.uu import UU
from silr.stats.annotator_evidence import Annotator
from silr.stats.priors import Priors, given_priors, priors_from_truth
from synthetic import Corpus

NOTHING = np.full((2, 2), 0.5)


def codes(labels: np.ndarray) -> Labels:
    return np.unique(labels, return_inverse=True)[1].astype(np.int16)


class Known(UU):
    """What is known of labels is given; by default it is the truth."""

    def __init__(
        self,
        corpus: Corpus | None = None,
        told: Callable[[Labels, int], Priors | None] | None = None,
        iterations: int = 3,
    ) -> None:
        super().__init__(iterations, epochs=20)
        self.corpus, self.told = corpus, told

    def estimate(self, problem: Problem, labels: Labels, number: int) -> Priors | None:
        if self.told is not None:
            return self.told(labels, number)
        assert self.corpus is not None
        return priors_from_truth(labels, codes(self.corpus.truth), 2)


def refine(
    corpus: Corpus,
    done: Sequence[Iteration],
    store: Callable[[Iteration, Classifier | None], None],
    told: Callable[[Labels, int], Priors | None] | None = None,
    iterations: int = 3,
    truth: Labels | None = None,
) -> list[Iteration]:
    names = np.array(["negative", "positive"])
    unlabelled = np.full(len(corpus.truth), -1, np.int16)
    problem = Problem(names, [Annotator(codes(corpus.llm_labels))], unlabelled, truth=truth, X=corpus.features)
    return drive(Known(corpus, told, iterations), problem, done, store, Context(device="cpu"))


def best_iteration(iterations: list[Iteration]) -> int:
    return Refinement(iterations, ["negative", "positive"]).classifier_iteration


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
    iterations = refine(corpus, [], shelf, truth=codes(corpus.truth))
    first, *later = shelf.iterations
    assert [each.number for each in shelf.iterations] == [each.number for each in iterations] == [0, 1, 2, 3]
    for stored, returned in zip(shelf.iterations, iterations, strict=True):
        assert stored.labels is returned.labels and stored.notes == returned.notes
    np.testing.assert_array_equal(iterations[3].scores, later[2].scores)  # those of the first ones are stored only
    assert first.scores is None and shelf.classifiers[0] is None
    np.testing.assert_array_equal(first.labels, llm)
    before = first
    for each, classifier in zip(later, shelf.classifiers[1:], strict=True):
        np.testing.assert_array_equal(classifier.predict_proba(corpus.features), each.scores)
        np.testing.assert_array_equal(each.scores.argmax(axis=1), each.labels)
        assert each.notes.changed == (each.labels != before.labels).sum()
        assert each.notes.true_accuracy == (each.labels == codes(corpus.truth)).mean()
        assert each.priors.accuracy == pytest.approx(each.notes.true_accuracy)  # oracle priors count the truth
        assert len(each.notes.fit.validation_risk) == 20
        before = each
    assert best_iteration(iterations) == 3
    assert later[0].notes.true_accuracy > first.notes.true_accuracy + 0.1


def test_going_on_is_the_same_as_never_having_stopped(corpus: Corpus) -> None:
    whole, rest = Shelf(), Shelf()
    refine(corpus, [], whole)
    refine(corpus, whole.iterations[:2], rest)
    assert [each.number for each in rest.iterations] == [2, 3]  # what was done is not done again
    for once, resumed in zip(whole.iterations[2:], rest.iterations, strict=True):
        np.testing.assert_array_equal(once.labels, resumed.labels)
        np.testing.assert_array_equal(once.scores, resumed.scores)


def test_truth_given_later_scores_what_was_done_before(corpus: Corpus) -> None:
    shelf = Shelf()
    done = refine(corpus, [], shelf, iterations=1)
    assert done[0].notes.true_accuracy is None
    again = refine(corpus, done, shelf, iterations=1, truth=codes(corpus.truth))
    assert again[0].notes.true_accuracy == pytest.approx(corpus.llm_accuracy)
    assert len(shelf.iterations) == 2


def test_truth_that_is_known_of_some_texts_scores_those(corpus: Corpus) -> None:
    truth = codes(corpus.truth)
    truth[100:] = -1
    done = refine(corpus, [], Shelf(), iterations=1, truth=truth)
    assert done[0].notes.true_accuracy == (corpus.llm_labels == corpus.truth)[:100].mean()
    unknown = np.full(len(truth), -1, np.int16)
    assert refine(corpus, [], Shelf(), iterations=1, truth=unknown)[0].notes.true_accuracy is None


def test_labels_without_signal_are_refused_before_anything_is_fitted(corpus: Corpus) -> None:
    shelf = Shelf()
    with pytest.raises(NoSignalError, match="'negative' and 'positive' cannot be told apart"):
        refine(corpus, [], shelf, lambda labels, number: given_priors(NOTHING, pseudo_labels=labels))
    assert shelf.iterations == []


def test_nothing_known_about_the_labels(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="give gold labels, or theta"):
        refine(corpus, [], Shelf(), lambda *_: None)


@pytest.mark.parametrize("lost_at", [1, 2])
def test_signal_lost_on_the_way_stops_the_loop_and_says_why(corpus: Corpus, lost_at: int) -> None:
    truth, shelf = codes(corpus.truth), Shelf()

    def estimate(labels: Labels, number: int) -> Priors:
        return given_priors(NOTHING, None, labels) if number == lost_at else priors_from_truth(labels, truth, 2)

    iterations = refine(corpus, [], shelf, estimate)
    assert len(iterations) == len(shelf.iterations) == lost_at + 1
    assert "cannot be told apart" in iterations[-1].notes.stopped
    if lost_at == 1:
        with pytest.raises(NoSignalError, match=r"the first iteration lost it: .* cannot be told apart"):
            best_iteration(iterations)
    else:
        assert best_iteration(iterations) == 1  # the last one before the loss
    assert len(refine(corpus, iterations, shelf, estimate)) == lost_at + 1  # stays stopped


def test_priors_known_of_the_first_labels_only_give_one_iteration(corpus: Corpus) -> None:
    truth = codes(corpus.truth)
    iterations = refine(
        corpus, [], Shelf(), lambda labels, number: None if number else priors_from_truth(labels, truth, 2)
    )
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
