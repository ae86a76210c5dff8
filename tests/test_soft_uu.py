from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as ScikitRidge
from sklearn.preprocessing import StandardScaler

from silr.classifiers.standardise import Standardiser
from silr.gold_labels import GoldLabels
from silr.pool import Pool, centred, scale_of
from silr.ridge import Ridge, StandardisedMatrix
from silr.soft_uu import SoftIteration, _alike, is_worse, loss_of_labels, refine_softly
from synthetic import Corpus, make_corpus


def evidence(corpus: Corpus, classes: tuple[str, ...]) -> tuple[Any, Any, GoldLabels, Any]:
    """Standardised features, most of them noise, the LLM's log-probabilities (a little surer if right), gold, truth."""
    noise = np.random.default_rng(1).normal(size=(len(corpus.texts), 100))
    X = np.hstack([corpus.features, noise]).astype(np.float32)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    code = {name: number for number, name in enumerate(classes)}
    truth, said = (np.array([code[each] for each in labels]) for labels in (corpus.truth, corpus.llm_labels))
    logits = np.eye(len(classes))[said] * 2 + np.eye(len(classes))[truth] * 0.5
    logits += np.random.default_rng(0).normal(size=logits.shape)
    gold = np.array([-1 if label is None else code[label] for label in corpus.gold])
    return X, log_softmax(logits, axis=1), GoldLabels.of(gold, corpus.gold_weight, len(classes)), truth


def standardised(X: Any) -> StandardisedMatrix:
    return StandardisedMatrix(X, Standardiser.of(X))


def refined(
    X: Any, scores: Any, gold: GoldLabels, iterations: int, views: tuple[slice, ...] = (slice(None),)
) -> list[SoftIteration]:
    return list(islice(refine_softly(standardised(X), views, scores, gold, 0), iterations + 1))


def accuracy(iteration: SoftIteration, truth: Any) -> float:
    return float((iteration.logits.argmax(axis=1) == truth).mean())


# --- the risk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])
def test_with_the_squared_loss_the_uu_risk_is_least_squares_onto_unmixed_labels(K: int) -> None:
    """``R(g) = 1/2n sum_i |g_i - t_i|^2 + constant`` for the risk as it is defined, summed by loops."""
    rng = np.random.default_rng(K)
    n = 40
    q = rng.dirichlet(np.ones(K), size=n)
    theta = np.eye(K) * 0.6 + rng.dirichlet(np.ones(K), size=K) * 0.4
    size = q.sum(axis=0)
    prior = size / n @ theta
    A = np.linalg.inv(theta)

    def risk(g: Any) -> float:
        total = 0.0
        for k in range(K):
            for j in range(K):
                losses = [0.5 * sum((g[i, c] - (c == k)) ** 2 for c in range(K)) for i in range(n)]
                total += prior[k] * A[k, j] * sum(q[i, j] * losses[i] for i in range(n)) / size[j]
        return total

    unmixed = n * prior * ((q / size) @ A.T)
    gaps = []
    for _ in range(5):
        g = rng.normal(size=(n, K))
        gaps.append(risk(g) - 0.5 * ((g - unmixed) ** 2).sum() / n)
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-9)


def test_for_two_classes_theta_changes_only_scale_and_intercept() -> None:
    """The head fitted to the unmixed labels is the one fitted to the soft labels, up to an affine map."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    X -= X.mean(axis=0)
    q = softmax(np.column_stack([np.zeros(300), X[:, 0] + rng.normal(size=300)]), axis=1)
    theta, size = np.array([[0.9, 0.1], [0.3, 0.7]]), q.sum(axis=0)
    unmixed = 300 * (size / 300 @ theta) * ((q / size) @ np.linalg.inv(theta).T)
    ridge = Ridge(standardised(X), 10.0)
    (plain,), _ = ridge.fit(q[:, 1:])
    (moved,), _ = ridge.fit(unmixed[:, 1:])
    np.testing.assert_allclose(moved / np.linalg.norm(moved), plain / np.linalg.norm(plain), atol=1e-6)


def test_ridge_is_scikit_learns() -> None:
    """On more rows than are read at a time, and of features that are not standardised."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(3, 5, size=(5000, 7)).astype(np.float32), rng.normal(size=(5000, 3))
    matrix = standardised(X)
    weight, intercept = Ridge(matrix, 50.0).fit(y)
    scaled = StandardScaler().fit_transform(X.astype(np.float64))
    wanted = ScikitRidge(alpha=50.0).fit(scaled, y)
    np.testing.assert_allclose(weight, wanted.coef_, atol=1e-6)
    np.testing.assert_allclose(matrix.scores(weight, intercept), wanted.predict(scaled), atol=1e-5)
    np.testing.assert_allclose(
        matrix.scores(weight[:, 2:5], intercept, slice(2, 5)), scaled[:, 2:5] @ weight[:, 2:5].T + intercept, atol=1e-5
    )
    np.testing.assert_allclose(matrix.rows(np.array([4999, 3])), scaled[[4999, 3]], atol=1e-5)


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [("negative", "positive"), ("a", "b", "c", "d")])
def test_evidence_adds_up(classes: tuple[str, ...]) -> None:
    """The start is better than the LLM and than gold labels alone; from the latter, iterations are better still."""
    right = []
    for seed in range(3):
        corpus = make_corpus(2000, classes, n_gold=80, seed=seed)
        X, scores, gold, truth = evidence(corpus, classes)
        start, alone = (refined(X, each, gold, 3) for each in (scores, None))
        right.append([accuracy(each, truth) for each in (start[0], alone[0], alone[-1])])
        assert right[-1][0] > corpus.llm_accuracy + 0.1 and right[-1][2] > right[-1][1]
        assert all(each.logits.shape == (2000, len(classes)) for each in alone)
        honest = np.average(alone[-1].gold_logits.argmax(axis=1) == gold.codes, weights=gold.weights)
        assert honest == pytest.approx(right[-1][2], abs=0.12)
    by_start, by_gold, _ = np.mean(right, axis=0)
    assert by_start > by_gold


@pytest.mark.parametrize("classes", [("negative", "positive"), ("a", "b", "c")])
def test_the_head_gives_the_logits(classes: tuple[str, ...]) -> None:
    """Of the last iteration, as one linear map of the features."""
    X, _, gold, _ = evidence(make_corpus(600, classes, seed=3), classes)
    last = refined(X, None, gold, 2)[-1]
    assert last.head is not None and not last.pooled
    np.testing.assert_allclose(X @ last.head.weight.T + last.head.intercept, last.logits, atol=1e-3)


def test_gold_texts_are_judged_without_their_own_labels() -> None:
    """Labels drawn by lot, and more features than labels: fits repeat them, left-out scores are chance."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 300)).astype(np.float32)
    codes = np.full(800, -1)
    codes[:120] = rng.permutation(np.arange(120) % 2)
    gold = GoldLabels.of(codes, None, 2)
    found = refined(X, None, gold, 3)
    for each in found:
        assert each.gold_loss > 0.66  # log 2 is 0.693
        assert 0.35 < (each.gold_logits.argmax(axis=1) == gold.codes).mean() < 0.65


def misleading() -> tuple[Any, Any, GoldLabels]:
    """Features, truth, and gold labels: what most features have in common is not the class."""
    rng = np.random.default_rng(4)
    truth = (rng.random(2000) < 0.5).astype(int)
    X = rng.normal(size=(2000, 30)) * 0.05
    X[:, :20] += 3 * rng.normal(size=(2000, 1))  # twenty features say one thing, which is another one
    X[:, 20] = truth * 2 - 1 + 0.7 * rng.normal(size=2000)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    codes = np.where(np.arange(2000) < 150, truth, -1)
    return X, truth, GoldLabels.of(codes, None, 2)


def test_gold_labels_show_what_an_iteration_made_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the features have in common is not the class: it would win, if nothing held the labels to the first ones."""
    monkeypatch.setattr("silr.soft_uu.ANCHOR", 0.0)
    X, _, gold = misleading()
    found = refined(X, None, gold, 50, (slice(20, 21),))
    assert any(is_worse(later.gold_logits, found[1].gold_logits, gold) for later in found[2:])
    assert not is_worse(found[1].gold_logits, found[1].gold_logits, gold)


def test_labels_stay_with_what_the_gold_labels_said() -> None:
    """Where they would drift without end, they come to rest near the first ones."""
    X, truth, gold = misleading()
    found = refined(X, None, gold, 20, (slice(20, 21),))
    assert accuracy(found[20], truth) > accuracy(found[0], truth) - 0.05
    moved = (found[10].logits.argmax(axis=1) != found[20].logits.argmax(axis=1)).mean()
    assert moved < 0.005


def test_a_pool_of_two_classes_is_a_logistic_regression() -> None:
    """Of the differences of the two scores, with scikit-learn's penalty."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=200)
    opinions = [rng.normal(size=(200, 2)) + np.eye(2)[truth] * strength for strength in (0.5, 2.0)]
    gold = GoldLabels(np.arange(200), truth, rng.uniform(0.5, 1.5, size=200), 2)
    pool = Pool.fit(opinions, gold, 0.7)
    differences = np.column_stack([each[:, 1] - each[:, 0] for each in opinions])
    wanted = LogisticRegression(C=0.7, tol=1e-8).fit(differences, truth, gold.weights)
    np.testing.assert_allclose(pool.trust, wanted.coef_[0], atol=1e-3)
    logits = pool(opinions)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted.decision_function(differences), atol=5e-3)


def test_a_pool_does_not_depend_on_the_order_of_classes() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(3, size=90)
    opinion = rng.normal(size=(90, 3)) + np.eye(3)[truth]
    turned = [2, 0, 1]
    one = Pool.fit([opinion], GoldLabels(np.arange(90), truth, np.ones(90), 3), 10.0)([opinion])
    other = Pool.fit([opinion[:, turned]], GoldLabels(np.arange(90), np.argsort(turned)[truth], np.ones(90), 3), 10.0)
    np.testing.assert_allclose(other([opinion[:, turned]]), one[:, turned], atol=1e-3)


def test_a_pool_is_held_to_what_is_believed() -> None:
    """Its parameters are a minimum of the loss as it is said, summed by hand: no step in any direction is better."""
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=60)
    opinions = [rng.normal(size=(60, 3)) + np.eye(3)[truth] * strength for strength in (0.5, 2.0)]
    gold = GoldLabels(np.arange(60), truth, rng.uniform(0.5, 1.5, size=60), 3)
    belief = Pool(np.array([1.0, 0.0]), np.array([0.5, 0.0, -0.5]))

    def loss(pool: Pool) -> float:
        away = ((pool.trust - belief.trust) ** 2).sum() / 2.0 + 5.0 * ((pool.shift - belief.shift) ** 2).sum()
        said = log_softmax(pool(opinions), axis=1)
        return float(away / 2 - sum(gold.weights[i] * said[i, truth[i]] for i in range(60)))

    found = Pool.fit(opinions, gold, 2.0, belief, 5.0)
    for direction in np.vstack([np.eye(5), -np.eye(5)]) * 0.01:
        assert loss(Pool(found.trust + direction[:2], found.shift + direction[2:])) > loss(found)
    held = Pool.fit(opinions, gold, 1e-6, belief, 1e6)
    np.testing.assert_allclose(np.append(held.trust, held.shift), np.append(belief.trust, belief.shift), atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_what_an_iteration_is_held_to_has_spread_and_class_shares_of_the_labels_before(n_classes: int) -> None:
    rng = np.random.default_rng(3)
    opinion, before = (rng.normal(size=(500, n_classes)) * size + rng.normal(size=n_classes) for size in (1.0, 3.0))
    opinion = centred(opinion) / scale_of(centred(opinion))
    alike = _alike(opinion, before)
    shares = [np.bincount(logits.argmax(axis=1)) / 500 for logits in (alike([opinion]), before)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.006)
    assert scale_of(alike.trust[0] * opinion) == pytest.approx(scale_of(centred(before)))


def test_labels_by_lot_tell_nothing() -> None:
    """Not even of the gold texts that they were compared with."""
    rng = np.random.default_rng(7)
    losses = []
    for seed in range(30):
        gold = GoldLabels.of(np.where(np.arange(400) < 24, rng.integers(2, size=400), -1), None, 2)
        losses.append(loss_of_labels(rng.integers(2, size=400).astype(np.int16), gold, seed))
    assert np.mean(losses) > np.log(2)
