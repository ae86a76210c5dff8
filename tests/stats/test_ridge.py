"""Ridge regression read in chunks, against plain NumPy and scikit-learn on a standardised copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as ScikitRidge
from sklearn.preprocessing import StandardScaler

from silr.classifiers.standardise import CHUNK_ROWS
from silr.stats.ridge import Ridge, StandardisedMatrix

N, D = 2 * CHUNK_ROWS + 300, 9


def plain(kind: str) -> NDArray[Any]:
    """Correlated features, in more rows than are read at a time."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) @ rng.normal(size=(D, D)) * np.geomspace(0.01, 100, D)
    if kind == "far":  # from 0
        X += 1000 * X.std(axis=0) * np.where(np.arange(D) % 2, 1, -1)
    return X.astype({"float16": np.float16, "float64": np.float64}.get(kind, np.float32))


def scaled(X: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(StandardScaler().fit_transform(np.asarray(X, np.float64)))


@pytest.fixture(scope="module", params=["near", "far", "float16", "float64", "mapped"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The matrix, its standardised copy, targets (N, 3), and how exact results are for rows of length 1."""
    X = plain(request.param)
    if request.param == "mapped":
        path: Path = tmp_path_factory.mktemp("ridge") / "X.npy"
        np.save(path, X)
        X = np.load(path, mmap_mode="r")
        assert isinstance(X, np.memmap)
    targets = np.random.default_rng(1).random((N, 3)) + 0.2 * np.sign(scaled(X)[:, :1])
    return StandardisedMatrix(X), scaled(X), targets, 2e-3 if request.param == "far" else 2e-5


def test_it_is_the_standardised_matrix(data: Any) -> None:
    matrix, X, targets, close = data
    assert matrix.shape == X.shape
    np.testing.assert_allclose(matrix.gram / N, X.T @ X / N, atol=close)
    rows = np.array([N - 1, 3, CHUNK_ROWS, 3])
    np.testing.assert_allclose(matrix.rows(rows), X[rows], atol=5 * close)
    np.testing.assert_allclose(matrix.cross(targets) / N, X.T @ targets / N, atol=close)
    sorted_targets = np.sort(targets, axis=0)  # as in a corpus that is sorted by class
    np.testing.assert_allclose(matrix.cross(sorted_targets) / N, X.T @ sorted_targets / N, atol=close)
    weights, intercepts = np.random.default_rng(2).normal(size=(4, D)), np.array([0.0, 5.0, -3.0, 100.0])
    scores = matrix.scores(weights, intercepts)
    assert scores.dtype == np.float32 and scores.shape == (N, 4)
    np.testing.assert_allclose(scores, X @ weights.T + intercepts, atol=20 * close)
    norms = ((X @ weights.T) ** 2).sum(axis=1)
    np.testing.assert_allclose(matrix.squared_norms(weights), norms, rtol=5 * close, atol=100 * close)


@pytest.mark.parametrize("penalty", [30.0, 3000.0])
def test_it_is_scikit_learns(data: Any, penalty: float) -> None:
    matrix, X, targets, close = data
    weights, intercepts = Ridge(matrix, penalty).fit(targets)
    wanted = ScikitRidge(alpha=penalty).fit(X, targets)
    np.testing.assert_allclose(weights, wanted.coef_, atol=10 * close)
    np.testing.assert_allclose(intercepts, wanted.intercept_, atol=1e-9)
    np.testing.assert_allclose(matrix.scores(weights, intercepts), wanted.predict(X), atol=20 * close)


def test_on_some_columns_the_others_have_no_weight(data: Any) -> None:
    matrix, X, targets, close = data
    some = slice(2, 6)
    weights, intercepts = Ridge(matrix, 100.0, some).fit(targets)
    wanted = ScikitRidge(alpha=100.0).fit(X[:, some], targets)
    np.testing.assert_allclose(weights[:, some], wanted.coef_, atol=20 * close)
    assert not np.delete(weights, np.arange(D)[some], axis=1).any()
    np.testing.assert_allclose(matrix.scores(weights, intercepts), wanted.predict(X[:, some]), atol=20 * close)


@pytest.mark.parametrize("columns", [slice(None), slice(3, 8)])
def test_leverages_are_the_diagonal_of_the_hat_matrix(data: Any, columns: slice) -> None:
    matrix, X, _, close = data
    part = X[:, columns]
    inverse = np.linalg.inv(part.T @ part + 50.0 * np.eye(part.shape[1]))
    leverages = Ridge(matrix, 50.0, columns).leverages
    wanted = np.array([row @ inverse @ row for row in part]) + 1 / N
    np.testing.assert_allclose(leverages, wanted, rtol=20 * close, atol=1e-6)


def refitted(X: NDArray[Any], targets: NDArray[Any], penalty: float, left: int) -> NDArray[Any]:
    """What the regression on the other rows says of one: their intercept, and the standardisation of all."""
    keep = np.arange(len(X)) != left
    return np.asarray(ScikitRidge(alpha=penalty).fit(X[keep], targets[keep]).predict(X[left : left + 1])[0])


@pytest.mark.parametrize("columns", [slice(None), slice(3, 12)])
def test_left_out_predictions_are_of_fits_without_the_text(columns: slice) -> None:
    """More features than texts, some far from 0, and targets that a fit would repeat."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 60)) + 50 * (np.arange(60) % 7 == 0)
    targets = rng.integers(2, size=(40, 2)).astype(np.float32)
    matrix = StandardisedMatrix(X)
    ridge = Ridge(matrix, 5.0, columns)
    weights, _ = ridge.fit(targets)
    found = ridge.leave_one_out(targets, weights)
    Z = scaled(X)[:, columns]
    for row in range(40):
        np.testing.assert_allclose(found[row], refitted(Z, targets, 5.0, row), atol=2e-4)


def test_texts_without_a_target_are_not_left_out() -> None:
    """Their targets are the mean of the others: what is predicted of them is what the whole fit says."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 8))
    targets = rng.random((60, 2))
    known = np.arange(60) % 3 > 0
    targets[~known] = targets[known].mean(axis=0)
    ridge = Ridge(StandardisedMatrix(X), 5.0)
    weights, _ = ridge.fit(targets)
    found = ridge.leave_one_out(targets, weights, known)
    whole = ScikitRidge(alpha=5.0).fit(scaled(X), targets)
    np.testing.assert_allclose(found[~known], whole.predict(scaled(X))[~known], atol=1e-4)
    for row in np.flatnonzero(known):
        np.testing.assert_allclose(found[row], refitted(scaled(X), targets, 5.0, row), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_constant_column_says_nothing(value: float) -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(CHUNK_ROWS + 50, 4)).astype(np.float32)
    wide = np.insert(X, 2, np.float32(value), axis=1)
    targets = rng.random((len(X), 2)) + X[:, :1]
    narrow, widened = (Ridge(StandardisedMatrix(each), 10.0) for each in (X, wide))
    (weights, intercepts), (more, same) = (each.fit(targets) for each in (narrow, widened))
    np.testing.assert_allclose(np.delete(more, 2, axis=1), weights, atol=1e-5)
    np.testing.assert_allclose(more[:, 2], 0.0, atol=1e-5)
    np.testing.assert_allclose(same, intercepts)
    np.testing.assert_allclose(widened.leverages, narrow.leverages, rtol=1e-4, atol=1e-7)
    found = widened.leave_one_out(targets, more)
    np.testing.assert_allclose(found, narrow.leave_one_out(targets, weights), atol=1e-4)


def test_targets_side_by_side_are_as_one_by_one() -> None:
    rng = np.random.default_rng(6)
    X, targets = rng.normal(size=(500, 6)), rng.random((500, 4))
    ridge = Ridge(StandardisedMatrix(X), 10.0)
    together, _ = ridge.fit(targets)
    for column in range(4):
        alone, intercepts = ridge.fit(targets[:, [column]])
        np.testing.assert_allclose(alone[0], together[column], atol=1e-6)
        assert intercepts[0] == pytest.approx(targets[:, column].mean())
