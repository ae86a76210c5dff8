from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from silr import start
from silr.classifiers.standardise import Standardiser
from silr.gold_labels import GoldLabels
from silr.pool import Scores, standard
from silr.ridge import StandardisedMatrix
from silr.start import Opinion, View, first_logits


def begin(X: Scores, columns: list[slice], llm: Scores | None, gold: GoldLabels) -> Scores:
    matrix = StandardisedMatrix(X, Standardiser.of(X))
    gram = matrix.gram()
    opinions = [] if llm is None else [Opinion.of(llm, 1.0, 2.0)]
    return first_logits(matrix, [View.of(each, gram[each, each] / len(X)) for each in columns], opinions, [gold])[0]


def gold_of(truth: Scores, n: int, n_classes: int = 2) -> GoldLabels:
    return GoldLabels.of(np.where(np.arange(len(truth)) < n, truth, -1), None, n_classes)


def test_it_trusts_what_the_gold_labels_confirm() -> None:
    """An LLM that knows everything, and one that knows nothing, beside features that know a little."""
    rng = np.random.default_rng(5)
    truth = rng.integers(2, size=2000)
    X = rng.normal(size=(2000, 5))
    X[:, 0] += truth
    gold = gold_of(truth, 200)
    margin = np.column_stack([np.zeros(2000), 4 * truth - 2 + rng.normal(size=2000)])
    noise = np.column_stack([np.zeros(2000), rng.normal(size=2000)])
    opinions = (standard(margin), standard(noise), None)
    knowing, ignorant, alone = (begin(X, [slice(None)], each, gold).argmax(axis=1) for each in opinions)
    assert (knowing == truth).mean() > 0.95
    assert (ignorant == truth).mean() > (alone == truth).mean() - 0.03


def test_few_gold_labels_leave_a_good_opinion_nearly_as_it_is() -> None:
    rng = np.random.default_rng(6)
    truth = rng.integers(2, size=2000)
    X = rng.normal(size=(2000, 300))
    llm = standard(np.column_stack([np.zeros(2000), 3 * truth + rng.normal(size=2000)]))
    found = begin(X, [slice(None)], llm, gold_of(truth, 12)).argmax(axis=1)
    assert (found == truth).mean() > (llm.argmax(axis=1) == truth).mean() - 0.02


def test_the_evidence_finds_the_view_that_knows() -> None:
    """A hundred gold labels, one kind of features of noise beside one that knows: nearly as good as this one alone."""
    rng = np.random.default_rng(7)
    truth = rng.integers(2, size=2000)
    noise = rng.normal(size=(2000, 300))
    knows = rng.normal(size=(2000, 10)) + 0.6 * truth[:, None]
    gold = gold_of(truth, 100)
    both = begin(np.hstack([noise, knows]), [slice(0, 300), slice(300, 310)], None, gold)
    alone = begin(knows, [slice(None)], None, gold)
    rest = slice(100, None)
    right = [(each.argmax(axis=1) == truth)[rest].mean() for each in (both, alone)]
    assert right[0] > right[1] - 0.02


def test_classes_along_the_main_directions_of_words_are_found() -> None:
    """Twenty of a hundred features say one thing weakly, which the corpus shows: worth much with few gold labels."""
    rng = np.random.default_rng(8)
    truth = rng.integers(2, size=3000)
    X = rng.normal(size=(3000, 100))
    X[:, :20] += 0.5 * (2 * truth[:, None] - 1)
    gold = gold_of(truth, 30)
    found = begin(X, [slice(None)], None, gold).argmax(axis=1)
    plain = LogisticRegression(C=0.01).fit(X[:30], truth[:30]).predict(X)
    assert (found == truth)[30:].mean() > (plain == truth)[30:].mean() + 0.05


def test_features_of_few_directions_have_one_kernel() -> None:
    rng = np.random.default_rng(9)
    even, one = np.eye(50), np.eye(50) * 0.1 + np.outer(np.ones(50), np.ones(50))
    views = [View.of(slice(None), each) for each in (even, one)]
    assert [view.through is None for view in views] == [False, True]
    X = rng.normal(size=(500, 50)) @ rng.normal(size=(50, 50)) * 0.1 + rng.normal(size=(500, 50))
    X -= X.mean(axis=0)
    for mapped in View.of(slice(None), X.T @ X / 500).mapped(X):
        assert (mapped**2).sum(axis=1).mean() == pytest.approx(1.0)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_may_be_in_any_order(n_classes: int) -> None:
    rng = np.random.default_rng(10)
    truth = rng.integers(n_classes, size=400)
    X = rng.normal(size=(400, 6)) + np.eye(6)[truth]
    llm = standard(rng.normal(size=(400, n_classes)) + np.eye(n_classes)[truth])
    turned = np.roll(np.arange(n_classes), 1)
    one = begin(X, [slice(0, 3), slice(3, 6)], llm, gold_of(truth, 60, n_classes))
    other = begin(X, [slice(0, 3), slice(3, 6)], llm[:, turned], gold_of(np.argsort(turned)[truth], 60, n_classes))
    np.testing.assert_allclose(softmax(other, axis=1), softmax(one[:, turned], axis=1), atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_of_many_gold_labels_some_choose_what_all_weigh(n_classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    truth = rng.integers(n_classes, size=2000)
    X = rng.normal(size=(2000, 20)) + 2.0 * np.eye(20)[truth]
    fits: list[tuple[int, int]] = []
    fit = start._Problem.fit

    def watched(self: start._Problem, combinations: list[start.Combination]) -> tuple[Scores, Scores]:
        fits.append((len(combinations), self.targets.shape[1]))
        return fit(self, combinations)

    monkeypatch.setattr(start._Problem, "fit", watched)
    monkeypatch.setattr(start, "STAGES", ())
    whole = begin(X, [slice(None)], None, gold_of(truth, 180, n_classes))
    monkeypatch.setattr(start, "STAGES", ((60, 8), (120, 1)))
    staged = begin(X, [slice(None)], None, gold_of(truth, 180, n_classes))
    every = 2 * len(start.AMPLITUDES) * 2
    assert fits == [(every, 180), (every, 60), (8 if n_classes == 2 else 4, 120), (4, 180)]
    assert (whole.argmax(axis=1) == staged.argmax(axis=1)).mean() > 0.95
    assert not np.array_equal(whole, staged)


def test_of_many_views_some_combinations_are_weighed() -> None:
    found = start._combinations([2, 2, 2, 2], 600)
    assert len(found) == len(set(found)) == 600
    assert {each.shift for each in found} == set(start.SHIFT_VARIANCES)
    every = start._combinations([1, 2], 600)
    assert len(every) == len(set(every)) == 2 * 5 * 10


def test_features_that_say_nothing() -> None:
    """The gold labels shift the LLM's opinion, no more."""
    rng = np.random.default_rng(12)
    truth = rng.integers(2, size=500)
    llm = standard(np.column_stack([np.zeros(500), 2 * truth + rng.normal(size=500)]))
    found = begin(np.zeros((500, 4)), [slice(None)], llm, gold_of(truth, 50))
    order = np.argsort(llm[:, 1] - llm[:, 0])
    assert (np.diff((found[:, 1] - found[:, 0])[order]) >= -1e-9).all()
