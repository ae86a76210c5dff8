"""The default method on corpora of known truth: what it gains, what it must not lose, and that gold does not leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression

from silr import LabelRefiner
from silr.refine.posterior import (
    ALL,
    KEPT_COMBINATIONS,
    CrossFitting,
    Refined,
    first_student,
    hyperparameters,
    refine_posterior,
)
from silr.stats.annotator_evidence import Annotator
from silr.stats.gaussian_process import Block, GoldProcess, Prior
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix, Student
from synthetic import make_corpus

pytestmark = pytest.mark.slow

SEEDS = range(3)


def seeds_of(K: int) -> range:
    """A softmax takes five times as long as two classes."""
    return SEEDS if K == 2 else range(1)


def made(n: int, K: int, seed: int, signal: float = 1.2, dimensions: int = 40) -> tuple[Any, Any, Any]:
    """A generator, true codes, and features of which ten per class tell something."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=n)
    X = rng.normal(size=(n, dimensions)) + signal * rng.normal(size=(K, dimensions))[truth] / 2
    return rng, truth, X.astype(np.float32)


def biased(rng: np.random.Generator, truth: NDArray[Any], K: int, bias: float = 0.5) -> NDArray[np.int16]:
    """Labels of an LLM that gives class 0 too often, and any class to a tenth of the texts."""
    labels = np.where(rng.random(len(truth)) < bias, 0, truth)
    return np.where(rng.random(len(truth)) < 0.1, rng.integers(K, size=len(truth)), labels).astype(np.int16)


def gold_of(truth: NDArray[Any], m: int, K: int) -> GoldLabels:
    return GoldLabels.of(np.where(np.arange(len(truth)) < m, truth, -1), None, K)


def refine(X: Any, annotators: list[Annotator], gold: GoldLabels, groups: Any = None, seed: int = 0) -> Refined:
    groups = [[slice(0, X.shape[1])]] if groups is None else groups
    found = refine_posterior(StandardisedMatrix(X), groups, annotators, gold, seed)
    assert np.isfinite(found.probabilities).all() and np.isfinite(found.classifier_gold).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found.classifier_gold.sum(axis=1), 1.0, atol=1e-5)
    assert found.model_weights.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(found.cross_fitted[gold.rows], found.probabilities[gold.rows])
    np.testing.assert_allclose(found.cross_fitted.sum(axis=1), 1.0, atol=1e-5)
    return found


def test_cross_fitted_probabilities_are_the_mean_of_fits_without_a_fold() -> None:
    """They know fewer gold labels than the fit to all, so they are less sure."""
    rng, truth, X = made(400, 2, 0)
    gold = gold_of(truth, 60, 2)
    found = refine(X, [Annotator(biased(rng, truth, 2))], gold)
    others = np.arange(400) >= 60
    p, cross = found.probabilities[others, 1], found.cross_fitted[others, 1]
    assert 0.95 < np.corrcoef(p, cross)[0, 1] < 1 - 1e-9
    assert np.abs(cross - 0.5).mean() < np.abs(p - 0.5).mean()  # fewer gold labels, and a mean of five fits


def right(found: Refined | NDArray[Any], truth: NDArray[Any], m: int) -> float:
    """Share of right labels of the texts without gold label, which are those from m on."""
    values = found.probabilities.argmax(axis=1) if isinstance(found, Refined) else found
    return float((values == truth)[m:].mean())


# --- what it gains ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("m", [10, 25, 100])
def test_a_biased_llm_is_mended(K: int, m: int) -> None:
    """With its labels, and with its scores; better than the LLM, and than gold labels alone."""
    gains = []
    for seed in SEEDS:
        rng, truth, X = made(900, K, seed)
        labels = biased(rng, truth, K)
        scores = log_softmax(1.5 * np.eye(K)[labels] + 0.7 * np.eye(K)[truth] + rng.normal(size=(900, K)), axis=1)
        gold = gold_of(truth, m, K)
        alone = LogisticRegression(C=0.1).fit(X[:m], truth[:m]).predict(X)
        for annotator in (Annotator(labels), Annotator(scores.argmax(axis=1).astype(np.int16), scores)):
            found = right(refine(X, [annotator], gold), truth, m)
            gains.append([found - right(annotator.labels, truth, m), found - right(alone, truth, m)])
    by_llm, by_gold = np.mean(gains, axis=0)
    assert by_llm > (0.02 if m == 10 else 0.1)
    assert by_gold > 0.0


@pytest.mark.parametrize("classes", [("negative", "positive"), ("bad", "fair", "good")])
def test_through_the_estimator(classes: tuple[str, ...]) -> None:
    corpus = make_corpus(1500, classes, n_gold=80, seed=6)
    refiner = LabelRefiner().fit(corpus.features, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight)
    assert (refiner.out_of_fold_labels_ == corpus.truth).mean() > corpus.llm_accuracy + 0.15
    without = np.array([each is None for each in corpus.gold])
    np.testing.assert_array_equal(
        refiner.classes_[refiner.out_of_fold_scores_.argmax(axis=1)], refiner.out_of_fold_labels_
    )
    low, high = refiner.priors_.accuracy_interval
    assert low < (refiner.out_of_fold_labels_ == corpus.truth)[without].mean() < high


@pytest.mark.parametrize("K", [2, 3])
def test_two_llms_are_better_than_each(K: int) -> None:
    """They err in different directions; a third one is a blind guesser, which harms nobody."""
    for seed in seeds_of(K):
        rng, truth, X = made(1000, K, seed, signal=0.6)
        one = Annotator(biased(rng, truth, K, 0.3), name="one")
        scores = log_softmax(2.0 * np.eye(K)[truth] + 1.5 * rng.normal(size=(1000, K)), axis=1)
        two = Annotator(scores.argmax(axis=1).astype(np.int16), scores, "two")
        guess = Annotator(rng.integers(K, size=1000).astype(np.int16), name="guess")
        gold = gold_of(truth, 60, K)
        both = right(refine(X, [one, two], gold), truth, 60)
        assert both > max(right(refine(X, [each], gold), truth, 60) for each in (one, two))
        assert right(refine(X, [one, two, guess], gold), truth, 60) > both - 0.03


def test_groups_of_features_are_weighed() -> None:
    """A hundred columns of noise beside ten that know: nearly as good as these alone."""
    gaps = []
    for seed in SEEDS:
        rng, truth, X = made(1500, 2, seed, dimensions=10)
        annotator, gold = Annotator(biased(rng, truth, 2)), gold_of(truth, 60, 2)
        both = np.hstack([rng.normal(size=(1500, 60)), X, rng.normal(size=(1500, 40))]).astype(np.float32)
        groups = [[slice(0, 60)], [slice(60, 70)], [slice(70, 90), slice(90, 110)]]
        gaps.append(
            right(refine(X, [annotator], gold), truth, 60) - right(refine(both, [annotator], gold, groups), truth, 60)
        )
    assert np.mean(gaps) < 0.03


# --- what it must not lose --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
def test_a_blind_llm_costs_little(K: int) -> None:
    """Labels or scores by lot, beside gold labels and features that tell something: as good as without any LLM."""
    gaps = []
    for seed in seeds_of(K):
        rng, truth, X = made(1000, K, seed)
        gold, scores = gold_of(truth, 60, K), rng.normal(size=(1000, K))
        none = Annotator(np.zeros(1000, np.int16))
        lots = (
            Annotator(rng.integers(K, size=1000).astype(np.int16)),
            Annotator(scores.argmax(1).astype(np.int16), scores),
        )
        alone, *blind = (right(refine(X, [each], gold), truth, 60) for each in (none, *lots))
        assert alone > 1 / K + 0.15
        gaps.append([alone - each for each in blind])
    assert np.mean(gaps, axis=0).max() < 0.03


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("m", [10, 25, 100])
def test_labels_that_are_good_stay_where_features_know_nothing(K: int, m: int) -> None:
    lost = []
    for seed in seeds_of(K):
        rng = np.random.default_rng(seed)
        truth = rng.integers(K, size=1200)
        X = rng.normal(size=(1200, 100)).astype(np.float32)
        labels = np.where(rng.random(1200) < 0.15, rng.integers(K, size=1200), truth).astype(np.int16)
        found = refine(X, [Annotator(labels)], gold_of(truth, m, K))
        lost.append(right(labels, truth, m) - right(found, truth, m))
    assert np.mean(lost) < 0.01


def test_swapped_labels_are_swapped_back() -> None:
    for seed in SEEDS:
        rng, truth, X = made(1500, 2, seed)
        swapped = np.where(rng.random(1500) < 0.85, 1 - truth, truth).astype(np.int16)
        assert right(refine(X, [Annotator(swapped)], gold_of(truth, 80, 2)), truth, 80) > 0.8


# --- gold labels as they come -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
def test_gold_labels_of_one_class_only(K: int) -> None:
    """A rare drawing: the labels of the LLM count, and nothing breaks."""
    rng, truth, X = made(1200, K, 0)
    labels = np.where(rng.random(1200) < 0.25, rng.integers(K, size=1200), truth).astype(np.int16)
    codes = np.full(1200, -1)
    codes[np.flatnonzero(truth == 1)[:12]] = 1
    found = refine(X, [Annotator(labels)], GoldLabels.of(codes, None, K))
    assert (found.probabilities.argmax(axis=1) == truth).mean() > (labels == truth).mean() - 0.03
    assert set(found.probabilities.argmax(axis=1)) == set(range(K))


def test_a_class_without_gold_label() -> None:
    """The LLM knows it: it is not lost."""
    rng, truth, X = made(1500, 3, 1)
    labels = np.where(rng.random(1500) < 0.25, rng.integers(3, size=1500), truth).astype(np.int16)
    codes = np.full(1500, -1)
    codes[np.flatnonzero(truth != 2)[:60]] = truth[truth != 2][:60]
    found = refine(X, [Annotator(labels)], GoldLabels.of(codes, None, 3)).probabilities.argmax(axis=1)
    assert (found == truth).mean() > (labels == truth).mean()
    assert (found[truth == 2] == 2).mean() > 0.5


@pytest.mark.parametrize("each", [1, 2, 3])
def test_many_classes_with_few_gold_labels_each(each: int) -> None:
    """As many labels as `silr label` asks for at least, in twelve classes: there are no five folds, but a result."""
    rng, truth, X = made(900, 12, 2, signal=2.0)
    labels = np.where(rng.random(900) < 0.3, rng.integers(12, size=900), truth).astype(np.int16)
    codes = np.full(900, -1)
    for k in range(12):
        codes[np.flatnonzero(truth == k)[:each]] = k
    found = refine(X, [Annotator(labels)], GoldLabels.of(codes, None, 12))
    assert (found.probabilities.argmax(axis=1) == truth).mean() > (labels == truth).mean()


@pytest.mark.parametrize("m", [120, 140])
def test_forty_classes(m: int) -> None:
    """From 125 gold labels on with fewer hyperparameters."""
    rng, truth, X = made(1500, 40, 3, signal=2.5)
    labels = np.where(rng.random(1500) < 0.4, rng.integers(40, size=1500), truth).astype(np.int16)
    found = refine(X, [Annotator(labels)], gold_of(truth, m, 40))
    assert right(found, truth, m) > right(labels, truth, m) + 0.1
    judged = (found.probabilities.argmax(axis=1) == truth)[:m].mean()
    assert judged == pytest.approx(right(found, truth, m), abs=0.1)


def test_texts_without_an_llm_label() -> None:
    """They are labelled by the features; with scores or without."""
    rng, truth, X = made(1500, 3, 4)
    labels = biased(rng, truth, 3)
    scores = log_softmax(2.0 * np.eye(3)[labels] + rng.normal(size=(1500, 3)), axis=1)
    silent = np.arange(1500) % 3 == 0
    labels[silent], scores[silent] = -1, np.nan
    for annotator in (Annotator(labels), Annotator(labels, scores)):
        found = refine(X, [annotator], gold_of(truth, 80, 3)).probabilities.argmax(axis=1)
        assert (found == truth)[silent].mean() > (labels == truth)[~silent].mean()
        assert (found == truth)[~silent].mean() > (labels == truth)[~silent].mean() + 0.1


def test_llms_that_say_nothing_of_most_texts() -> None:
    """One labels five texts, the other none of the gold texts."""
    rng, truth, X = made(1000, 2, 5)
    five, others = np.full((2, 1000), -1, np.int16)
    five[100:105] = truth[100:105]
    others[50:] = biased(rng, truth, 2)[50:]
    found = refine(X, [Annotator(five), Annotator(others)], gold_of(truth, 50, 2))
    assert right(found, truth, 50) > right(others, truth, 50)


def test_an_llm_of_scores_alone_beside_one_that_says_one_thing() -> None:
    """All labels of the one are missing, those of the other all the same: there are the scores to go by."""
    rng, truth, X = made(1000, 2, 6)
    scores = log_softmax(2.0 * np.eye(2)[truth] + rng.normal(size=(1000, 2)), axis=1)
    same, none = np.zeros(1000, np.int16), np.full(1000, -1, np.int16)
    found = refine(X, [Annotator(same), Annotator(none, scores)], gold_of(truth, 50, 2))
    assert right(found, truth, 50) > right(scores.argmax(axis=1), truth, 50)


@pytest.mark.parametrize("labels", [(1, 1), (1, 0), (1, 1, 0)])
def test_labels_that_are_all_alike_teach_no_student(labels: tuple[int, ...]) -> None:
    """LLMs with useful scores, each with one label for all texts: no first student, rather than one of rounding."""
    rng, truth, X = made(1000, 2, 7)
    annotators = [
        Annotator(np.full(1000, label, np.int16), np.column_stack([np.zeros(1000), truth + rng.normal(size=1000)]))
        for label in labels
    ]
    matrix = StandardisedMatrix(X)
    for values in first_student(matrix, Ridge(matrix, PENALTY), annotators, 2).values():
        told = values[:, 0]
        assert not told.any() or np.corrcoef(told, truth)[0, 1] > 0.3
    assert right(refine(X, annotators, gold_of(truth, 50, 2)), truth, 50) > 0.7


def test_no_llm_says_anything_useful() -> None:
    """One label for all texts, in two classes and in three: the gold labels and the features are left."""
    for K in (2, 3):
        _, truth, X = made(1000, K, 8)
        found = refine(X, [Annotator(np.full(1000, K - 1, np.int16))], gold_of(truth, 60, K))
        assert right(found, truth, 60) > 1 / K + 0.2
        assert len(found.model_weights) == len(found.heads) == 3


def test_duplicates_with_different_labels() -> None:
    """Each of 300 texts four times, labelled otherwise by the LLM and some otherwise by hand: finite, and better."""
    rng, truth, X = made(300, 2, 9)
    X, truth = np.tile(X, (4, 1)), np.tile(truth, 4)
    labels = biased(rng, truth, 2)
    codes = np.where(np.arange(1200) % 15 == 0, truth, -1)
    codes[300:310] = codes[0:10].max(initial=0)
    codes[0:10], codes[300:310] = truth[:10], 1 - truth[:10]  # ten texts have both gold labels
    found = refine(X, [Annotator(labels)], GoldLabels.of(codes, None, 2))
    assert (found.probabilities.argmax(axis=1) == truth).mean() > (labels == truth).mean() + 0.05


@pytest.mark.parametrize("m", [10, 11])
def test_nearly_all_texts_have_gold_labels(m: int) -> None:
    """A corpus of twelve texts."""
    rng, truth, X = made(12, 2, 10)
    refine(X, [Annotator(biased(rng, truth, 2))], gold_of(truth, m, 2))


# --- gold labels do not leak ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "m"), [(2, 120), (2, 170), (3, 60)])
def test_gold_labels_by_lot_are_not_foretold(K: int, m: int) -> None:
    """Many features, few texts, labels by hand that are a lottery: predictions of gold texts out of fold are chance.

    A leak would show as an accuracy above it. Of more than 150 gold labels some choose hyperparameters for all.
    """
    shares = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, 400)).astype(np.float32)
        codes = np.full(300, -1)
        codes[:m] = rng.permutation(np.arange(m) % K)
        annotator = Annotator(rng.integers(K, size=300).astype(np.int16))
        found = refine(X, [annotator], GoldLabels.of(codes, None, K), [[slice(0, 200)], [slice(200, 400)]])
        said = found.probabilities[:m], found.classifier_gold
        shares.append([(each.argmax(axis=1) == codes[:m]).mean() for each in said])
    error = np.sqrt(1 / K * (1 - 1 / K) / (4 * m))
    np.testing.assert_allclose(np.mean(shares, axis=0), 1 / K, atol=3.5 * error)


def test_predictions_of_gold_texts_are_as_good_as_of_the_others() -> None:
    """On average: the accuracy that they estimate is that of the whole result, its log loss too."""
    gaps = []
    for seed in range(5):
        rng, truth, X = made(1000, 3, seed, signal=0.8)
        found = refine(X, [Annotator(biased(rng, truth, 3))], gold_of(truth, 100, 3))
        said = found.probabilities
        loss = -np.log(said[np.arange(1000), truth])
        hit = said.argmax(axis=1) == truth
        gaps.append([hit[:100].mean() - hit[100:].mean(), loss[:100].mean() - loss[100:].mean()])
    gap, loss = np.mean(gaps, axis=0)
    assert abs(gap) < 0.04
    assert -0.05 < loss < 0.15


def test_a_gold_label_does_not_change_the_prediction_of_its_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of others in its fold: all labels of a fold are turned round, the folds stay.

    But for the hyperparameters, which folds take from the fit to all labels: here they take all.
    """
    monkeypatch.setattr("silr.refine.posterior.KEPT_COMBINATIONS", 1000)
    rng, truth, X = made(600, 2, 11)
    annotator, gold = Annotator(biased(rng, truth, 2)), gold_of(truth, 40, 2)
    folds = gold.folds(0)
    monkeypatch.setattr(GoldLabels, "folds", lambda self, seed: folds)
    held = folds[2][1]
    codes = gold.codes.copy()
    codes[held] = 1 - codes[held]
    before, after = (refine(X, [annotator], each) for each in (gold, GoldLabels(gold.rows, codes, gold.weights, 2)))
    np.testing.assert_allclose(before.probabilities[held], after.probabilities[held], atol=2e-3)
    np.testing.assert_allclose(before.classifier_gold[held], after.classifier_gold[held], atol=2e-3)
    others = np.setdiff1d(np.arange(40), held)
    for change in (
        before.probabilities[others] - after.probabilities[others],
        (before.probabilities - after.probabilities)[40:],
    ):
        assert np.abs(change).mean() > 0.01


def test_sets_of_folds() -> None:
    gold = GoldLabels.of(np.arange(43) % 3, None, 3)
    found = CrossFitting.of(gold, 0)
    assert len(found.cuts) == 1 + 5 + 10 == len(set(found.cuts)) and found.cuts[0] == ALL
    assert found.judged == [ALL, (0,), (1,), (2,), (3,), (4,)]
    np.testing.assert_array_equal(np.sort(np.concatenate(found.folds)), np.arange(43))
    for cut in found.cuts:
        left = np.concatenate([np.empty(0, int), *(found.folds[fold] for fold in cut)])
        np.testing.assert_array_equal(found.learn(cut), np.setdiff1d(np.arange(43), left))


def test_out_of_fold_values_are_of_sets_without_the_text() -> None:
    """Each set's values are its number: look up, for each fit and text, which set spoke."""
    found = CrossFitting.of(GoldLabels.of(np.arange(30) % 2, None, 2), 1)
    values = [np.full((30, 1), number, np.float32) for number in range(len(found.cuts))]
    fold_of = np.empty(30, int)
    for fold, positions in enumerate(found.folds):
        fold_of[positions] = fold
    for cut in found.judged:
        spoke = found.out_of_fold(cut, values)[:, 0].astype(int)
        for text in range(30):
            left_out = set(found.cuts[spoke[text]])
            assert left_out == {fold_of[text], *cut}


# --- parts ------------------------------------------------------------------------------------------------------------


def test_the_grid_has_each_combination_once() -> None:
    """Groups share an amplitude; of kinds that have one kernel the second power is no other."""
    two = Block(slice(0, 3), [np.eye(3), np.diag([3.0, 2.0, 1.0])])
    one = Block(slice(3, 5), [np.eye(2)])
    grid, log_prior = hyperparameters([[slice(0, 3)], [slice(3, 5)]], [two, one], 2)
    assert len(grid) == len(set(grid)) == len(log_prior)
    assert len(grid) == 4 * 4 + 3 * 4
    assert np.exp(log_prior).sum() == pytest.approx(1)
    log_odds = [sum(size == 0 for _, size in combination) for combination in grid]
    np.testing.assert_allclose(np.array(log_prior) - log_prior[-1], np.array(log_odds) - log_odds[-1])
    assert all(combination[1][0] == 0 for combination in grid)
    shared, _ = hyperparameters([[slice(0, 3), slice(3, 5)]], [two, one], 2)
    assert {combination[0][1] for combination in shared} == {0.0, 0.25, 2.0, 15.0}
    plain, _ = hyperparameters([[slice(0, 3)], [slice(3, 5)]], [two, one], 1)
    assert set(plain) == {each for each in grid if each[0][0] == 0}
    assert all(len({size for _, size in combination}) == 1 for combination in shared)


def test_the_evidence_of_a_part_of_the_grid_is_not_higher() -> None:
    """Combinations that are left out are worth nothing; it is not as if the others had been all there was.

    Else the model with corrections, whose grid is cut, would gain weight against those that have none.
    """
    _, truth, X = made(400, 2, 12)
    matrix = StandardisedMatrix(X)
    groups = [[slice(0, 20)], [slice(20, 40)]]
    blocks = [Block.of(columns, matrix.gram[columns, columns] / 400) for (columns,) in groups]
    process = GoldProcess(matrix.rows(np.arange(60)), blocks, [], truth[:60], 2)
    prior = Prior((), 0.3, 0.0, *hyperparameters(groups, blocks, 2))
    whole = process.fit(np.arange(60), {}, prior)
    part = process.fit(np.arange(60), {}, prior.best(whole.evidence, KEPT_COMBINATIONS))
    height = whole.evidence + np.array(prior.log_prior)
    kept = np.exp(np.sort(height)[-KEPT_COMBINATIONS:] - logsumexp(height)).sum()
    assert part.log_evidence == pytest.approx(whole.log_evidence + np.log(kept), abs=1e-3)


def test_a_student_maps_features_to_its_contrasts() -> None:
    """Up to the text's own target, which the contrasts leave out."""
    for K in (2, 3):
        rng, truth, X = made(3000, K, 13)
        targets = rng.dirichlet(np.ones(K), size=3000)
        targets = (0.5 * targets + 0.5 * np.eye(K)[truth])[:, (1 if K == 2 else 0) :].astype(np.float32)
        matrix = StandardisedMatrix(X)
        ridge = Ridge(matrix, PENALTY)
        weights, intercepts = ridge.fit(targets)
        student = Student.of(ridge.leave_one_out(targets, weights), weights, intercepts)
        np.testing.assert_allclose(student.contrasts.mean(axis=0), 0.0, atol=1e-5)
        mapped = matrix.scores(student.weight, student.intercept)
        assert np.corrcoef(mapped.ravel(), student.contrasts.ravel())[0, 1] > 0.99
        np.testing.assert_allclose(mapped.mean(axis=0), 0.0, atol=0.01)


@pytest.mark.parametrize("K", [2, 3])
def test_heads_give_the_probabilities_of_the_corpus_nearly(K: int) -> None:
    """Except for what a text's own soft label adds; the classifier of features alone is one of them."""
    rng, truth, X = made(3000, K, 14)
    labels = biased(rng, truth, K)
    found = refine(X, [Annotator(labels)], gold_of(truth, 60, K))
    standardised = StandardisedMatrix(X).rows(np.arange(3000))
    total = np.zeros((3000, K))
    for weight, head in zip(found.model_weights, found.heads, strict=True):
        values = standardised @ head.weight.T + head.intercept + head.tables[0][labels]
        values = np.hstack([-values / 2, values / 2]) if K == 2 else values
        total += weight * np.exp(log_softmax(values, axis=1))
    assert np.abs(total - found.probabilities)[60:].mean() < 0.01
    assert not found.alone.tables.any() and not found.alone.slopes.any()
    alone = standardised @ found.alone.weight.T + found.alone.intercept
    alone = (alone[:, 0] > 0).astype(int) if K == 2 else alone.argmax(axis=1)
    assert right(alone, truth, 60) > right(labels, truth, 60)


# --- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same() -> None:
    rng, truth, X = made(800, 3, 15)
    annotator, gold = Annotator(biased(rng, truth, 3)), gold_of(truth, 40, 3)
    one, same, other = (refine(X, [annotator], gold, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.probabilities, same.probabilities)
    np.testing.assert_array_equal(one.classifier_gold, same.classifier_gold)
    assert (one.probabilities != other.probabilities).any()
    assert (one.probabilities.argmax(axis=1) == other.probabilities.argmax(axis=1)).mean() > 0.95


@pytest.mark.parametrize("K", [2, 3])
def test_classes_may_be_in_any_order(K: int) -> None:
    rng, truth, X = made(800, K, 16)
    labels, scores = biased(rng, truth, K), np.eye(K)[truth] + rng.normal(size=(800, K))
    gold = gold_of(truth, 80, K)
    turned = np.roll(np.arange(K), 1)  # new class k is old class turned[k]
    code = np.argsort(turned)
    one = refine(X, [Annotator(labels), Annotator(scores.argmax(1).astype(np.int16), scores)], gold)
    swapped = [
        Annotator(code[labels].astype(np.int16)),
        Annotator(code[scores.argmax(1)].astype(np.int16), scores[:, turned]),
    ]
    other = refine(X, swapped, gold_of(code[truth], 80, K))
    np.testing.assert_allclose(other.probabilities[80:], one.probabilities[80:, turned], atol=0.02)
    assert (other.probabilities.argmax(1) == code[one.probabilities.argmax(1)]).mean() > 0.99


def test_features_that_are_far_from_0_or_constant() -> None:
    rng, truth, X = made(800, 2, 17)
    annotator, gold = Annotator(biased(rng, truth, 2)), gold_of(truth, 40, 2)
    far = np.insert(X * 0.01 + 10, 5, 7.0, axis=1).astype(np.float32)
    one, other = (refine(each, [annotator], gold) for each in (X, far))
    assert (one.probabilities.argmax(axis=1) == other.probabilities.argmax(axis=1)).mean() > 0.98
