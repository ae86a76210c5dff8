"""The process on the gold labels, against its formulas written out for one combination of hyperparameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from silr.stats.contrasts import contrasts
from silr.stats.gaussian_process import JITTER, Block, GoldProcess, Posterior, Prior

Numbers = NDArray[np.float64]


class Problem:
    """Gold texts and new ones of K classes, two blocks of features, two LLMs (one says nothing of some texts)."""

    def __init__(self, K: int, m: int = 30, new: int = 10) -> None:
        rng = np.random.default_rng(K)
        n, self.K, self.m = m + new, K, m
        self.truth = np.arange(n) % K
        self.X = rng.normal(size=(n, 9)) + np.eye(9)[self.truth]
        self.X[:, 4:] = self.X[:, 4:] @ (np.eye(5) + 1.5 * np.outer(np.ones(5), np.eye(5)[0]))
        self.X = (self.X - self.X.mean(axis=0)) / self.X.std(axis=0)
        columns = (slice(0, 4), slice(4, 9))
        self.blocks = [Block.of(each, self.X[:, each].T @ self.X[:, each] / n) for each in columns]
        self.llms = [rng.integers(-1, K, size=n), np.where(rng.random(n) < 0.6, self.truth, 0)]
        opinion = contrasts(rng.normal(size=(n, K)) + np.eye(K)[self.truth])
        self.terms = {"one": opinion, "two": contrasts(rng.normal(size=(n, K)))}
        self.process = GoldProcess(self.X[:m], self.blocks, [each[:m] for each in self.llms], self.truth[:m], K)

    def fit(self, prior: Prior, rows: Any = None) -> Posterior:
        rows = np.arange(self.m) if rows is None else rows
        return self.process.fit(rows, {name: each[: self.m] for name, each in self.terms.items()}, prior)

    def said(self, found: Posterior) -> Numbers:
        """Contrasts of all texts by the posterior means."""
        total = self.X @ found.weight.T + found.shift
        for name, weight in found.term_weights.items():
            total = total + weight * self.terms[name]
        for table, labels in zip(found.tables, self.llms, strict=True):
            total[labels >= 0] += table[labels[labels >= 0]]
        return np.asarray(total)

    def direct(self, prior: Prior, rows: Any = None) -> tuple[Numbers, Numbers]:
        """Contrasts of all texts for each combination: prior mean + covariance of K logits a text times the duals.

        The covariance is of all K logits, as the formula of the model has it, for two classes as for more.
        """
        rows = np.arange(self.m) if rows is None else rows
        n, K = self.X.shape[0], self.K
        eye = np.eye(K)
        full = {name: np.hstack([-each, each]) / 2 if K == 2 else each for name, each in self.terms.items()}
        mean = sum((mean * full[name] for name, mean, _ in prior.terms), np.zeros((n, K)))
        found, evidence = [], []
        for combination in prior.grid:
            shared = np.full((n, n), prior.shift)
            for labels in self.llms:
                shared += prior.table * ((labels[:, None] == labels) & (labels[:, None] >= 0))
            for block, (number, amplitude) in zip(self.blocks, combination, strict=True):
                part = self.X[:, block.columns]
                shared += amplitude * part @ block.kernels[number] @ part.T
            covariance = np.kron(shared, eye)
            for name, _, variance in prior.terms:
                covariance += variance * np.outer(full[name], full[name])
            known = (rows[:, None] * K + np.arange(K)).ravel()
            inside = covariance[np.ix_(known, known)] + JITTER * np.eye(len(known))
            duals, said = newton(inside, mean[rows], eye[self.truth[rows]])
            logits = mean + (covariance[:, known] @ duals.ravel()).reshape(n, K)
            found.append(contrasts(logits))
            evidence.append(said)
        return np.array(found), np.array(evidence)


def newton(covariance: Numbers, mean: Numbers, targets: Numbers) -> tuple[Numbers, float]:
    """Duals (m, K) and Laplace's evidence by plain Newton steps on all m * K logits."""
    m, K = mean.shape
    latent = mean.copy()
    for _ in range(60):
        p = softmax(latent, axis=1)
        W = np.zeros((m, K, m, K))
        W[np.arange(m), :, np.arange(m), :] = p[:, :, None] * np.eye(K) - p[:, :, None] * p[:, None, :]
        W = W.reshape(m * K, m * K)
        aim = W @ (latent - mean).ravel() + (targets - p).ravel()
        determinant = np.eye(m * K) + W @ covariance
        duals = np.linalg.solve(determinant, aim)
        latent = mean + (covariance @ duals).reshape(m, K)
    height = (log_softmax(latent, axis=1) * targets).sum() - duals @ (latent - mean).ravel() / 2
    return duals.reshape(m, K), float(height - np.linalg.slogdet(determinant)[1] / 2)


GRID = (((0, 0.0), (0, 0.0)), ((0, 1.5), (0, 0.0)), ((0, 0.5), (1, 2.0)), ((0, 1.0), (0, 4.0)))
PRIOR = Prior((("one", 1.0, 0.3), ("two", 0.0, 0.2)), 0.3, 0.1, GRID, (2.0, 1.0, 0.0, 0.0))


@pytest.fixture(scope="module", params=[2, 3, 4])
def problem(request: pytest.FixtureRequest) -> Problem:
    return Problem(request.param)


@pytest.mark.parametrize("combination", range(4))
def test_posterior_means_give_the_logits_of_the_formula(problem: Problem, combination: int) -> None:
    """Of the gold texts and of new ones."""
    prior = replace(PRIOR, grid=(GRID[combination],), log_prior=(0.0,))
    found = problem.fit(prior)
    (wanted,), evidence = problem.direct(prior)
    np.testing.assert_allclose(problem.said(found), wanted, atol=2e-3)
    np.testing.assert_allclose(found.evidence, evidence, atol=1e-3)
    assert found.log_evidence == pytest.approx(evidence[0], abs=1e-3)


def test_each_part_has_its_posterior_mean(problem: Problem) -> None:
    """The weight of a prior-mean term is the projection of what is left onto it: take the others out of the prior."""
    only = replace(PRIOR, terms=(("one", 1.0, 0.3),), shift=1e-12, table=0.0, grid=(GRID[0],), log_prior=(0.0,))
    found = problem.fit(only)
    assert set(found.term_weights) == {"one"}
    np.testing.assert_allclose(found.weight, 0.0)
    np.testing.assert_allclose(found.shift, 0.0, atol=1e-9)
    K = problem.K
    opinion = problem.terms["one"][: problem.m]
    opinion = np.hstack([-opinion, opinion]) / 2 if K == 2 else opinion
    targets = np.eye(K)[problem.truth[: problem.m]]
    weights = np.linspace(-2, 4, 60_001)  # the most likely weight, by trying them
    height = -((weights - 1.0) ** 2) / 0.6
    for said, target in zip(opinion, targets, strict=True):
        height += log_softmax(weights[:, None] * said, axis=1) @ target
    assert found.term_weights["one"] == pytest.approx(weights[height.argmax()], abs=2e-3)


def test_hyperparameters_are_averaged_by_the_evidence(problem: Problem) -> None:
    found = problem.fit(PRIOR)
    wanted, evidence = problem.direct(PRIOR)
    np.testing.assert_allclose(found.evidence, evidence, atol=1e-3)
    share = softmax(evidence + np.array(PRIOR.log_prior))
    np.testing.assert_allclose(problem.said(found), np.tensordot(share, wanted, axes=1), atol=5e-3)
    prior = np.exp(PRIOR.log_prior)
    assert found.log_evidence == pytest.approx(np.log((prior * np.exp(evidence)).sum()), abs=1e-3)


def test_some_of_the_gold_labels(problem: Problem) -> None:
    """As if the others did not exist, in whatever order."""
    rows = np.array([3, 17, 4, 25, 9, 10, 28, 0, 11, 5])
    found = problem.fit(PRIOR, rows)
    wanted, evidence = problem.direct(PRIOR, rows)
    np.testing.assert_allclose(found.evidence, evidence, atol=1e-3)
    share = softmax(evidence + np.array(PRIOR.log_prior))
    np.testing.assert_allclose(problem.said(found), np.tensordot(share, wanted, axes=1), atol=5e-3)
    again = problem.fit(PRIOR, np.sort(rows))
    np.testing.assert_allclose(again.weight, found.weight, atol=1e-3)


def test_the_best_combinations_are_kept(problem: Problem) -> None:
    evidence = np.array([1.0, 5.0, 4.0, 2.0])  # with the log prior: 3, 6, 4, 2
    kept = PRIOR.best(evidence, 2)
    assert kept.grid == (GRID[1], GRID[2]) and kept.log_prior == (1.0, 0.0)
    assert PRIOR.best(evidence, 9).grid == (GRID[1], GRID[2], GRID[0], GRID[3])
    assert (kept.terms, kept.shift, kept.table) == (PRIOR.terms, PRIOR.shift, PRIOR.table)


def test_many_combinations_at_once_or_a_few(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = problem.fit(PRIOR)
    monkeypatch.setattr("silr.stats.gaussian_process.NUMBERS_AT_ONCE", 1)
    parts = problem.fit(PRIOR)
    np.testing.assert_allclose(parts.evidence, whole.evidence, atol=1e-3)
    np.testing.assert_allclose(parts.weight, whole.weight, atol=1e-3)


def test_no_terms_and_no_llm(problem: Problem) -> None:
    process = GoldProcess(problem.X[: problem.m], problem.blocks, [], problem.truth[: problem.m], problem.K)
    prior = replace(PRIOR, terms=(), table=0.1)
    found = process.fit(np.arange(problem.m), {}, prior)
    assert found.term_weights == {} and found.tables == []
    contrast = problem.X @ found.weight.T + found.shift
    right = np.hstack([-contrast, contrast]) if problem.K == 2 else contrast
    assert (right.argmax(axis=1) == problem.truth).mean() > 1.2 / problem.K


@pytest.mark.parametrize("K", [2, 3])
def test_the_evidence_prefers_the_block_that_knows(K: int) -> None:
    rng = np.random.default_rng(K)
    truth = np.arange(90) % K
    X = rng.normal(size=(90, 60))
    X[:, 40:] += 1.5 * np.eye(20)[truth]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    columns = (slice(0, 40), slice(40, 60))
    blocks = [Block.of(each, X[:, each].T @ X[:, each] / 90) for each in columns]
    process = GoldProcess(X, blocks, [], truth, K)
    grid = (((0, 0.0), (0, 0.0)), ((0, 4.0), (0, 0.0)), ((0, 0.0), (0, 4.0)), ((0, 4.0), (0, 4.0)))
    noise, knows = 1, 2
    found = process.fit(np.arange(90), {}, Prior((), 0.3, 0.0, grid, (0.0,) * 4))
    assert found.evidence[knows] > found.evidence[0] + 3 and found.evidence[knows] > found.evidence[3]
    assert found.evidence[noise] < found.evidence[0]
    shuffled = GoldProcess(X, blocks, [], rng.permutation(truth), K)
    assert shuffled.fit(np.arange(90), {}, Prior((), 0.3, 0.0, grid, (0.0,) * 4)).evidence.argmax() == 0


def test_classes_along_the_main_directions_of_a_corpus_are_found() -> None:
    """Twenty of a hundred features say one thing weakly, which the corpus shows: the evidence sees it, too."""
    rng = np.random.default_rng(8)
    truth = rng.integers(2, size=3000)
    X = rng.normal(size=(3000, 100))
    X[:, :20] += 0.5 * (2 * truth[:, None] - 1)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    block = Block.of(slice(0, 100), X.T @ X / 3000)
    flat = Block(slice(0, 100), [np.eye(100) / 100])
    right = []
    for each in (replace(block, kernels=block.kernels[1:]), flat):
        process = GoldProcess(X[:30], [each], [], truth[:30], 2)
        found = process.fit(np.arange(30), {}, Prior((), 0.3, 0.0, (((0, 4.0),),), (0.0,)))
        said = (X @ found.weight.T + found.shift)[:, 0] > 0
        right.append(((said == truth)[30:].mean(), found.evidence[0]))
    assert right[0][0] > right[1][0] + 0.05
    assert right[0][1] > right[1][1]


def test_features_of_few_directions_have_one_kernel() -> None:
    """For which all directions are alike; others have two. By each the corpus has a mean square of 1."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(500, 50)) @ rng.normal(size=(50, 50)) * 0.1 + rng.normal(size=(500, 50))
    X -= X.mean(axis=0)
    even = np.eye(50)
    steep = np.eye(50) * 0.1 + np.outer(np.ones(50), np.ones(50))
    assert [len(Block.of(slice(None), each).kernels) for each in (even, steep)] == [2, 1]
    for covariance in (X.T @ X / 500, even, steep):
        for kernel in Block.of(slice(None), covariance).kernels:
            np.testing.assert_allclose(kernel, kernel.T)
            assert np.trace(kernel @ covariance) == pytest.approx(1.0)
    nothing, *_ = Block.of(slice(None), np.zeros((3, 3))).kernels
    assert np.isfinite(nothing).all()


def test_labels_of_one_class(problem: Problem) -> None:
    """All gold texts are of class 1: finite, and everything speaks for it."""
    codes = np.ones(problem.m, int)
    process = GoldProcess(problem.X[: problem.m], problem.blocks, [], codes, problem.K)
    found = process.fit(np.arange(problem.m), {}, replace(PRIOR, terms=()))
    assert np.isfinite(found.evidence).all() and np.isfinite(found.weight).all()
    assert found.shift[0] > 0 if problem.K == 2 else found.shift.argmax() == 1
