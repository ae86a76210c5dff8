"""Logits up to what the classes have in common."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from silr.stats.contrasts import (
    as_targets,
    contrasts,
    deviation,
    from_targets,
    logits,
    probabilities,
    standardised,
)


@pytest.fixture(params=[2, 3, 7])
def values(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(request.param)
    return rng.normal(size=(400, request.param)) * 3 + rng.normal(size=(400, 1)) * 50 + np.arange(request.param)


def test_probabilities_are_those_of_the_logits(values: np.ndarray) -> None:
    found = contrasts(values)
    assert found.shape == (400, 1 if values.shape[1] == 2 else values.shape[1])
    np.testing.assert_allclose(probabilities(found), softmax(values, axis=1), atol=1e-12)
    np.testing.assert_allclose(contrasts(logits(found)), found, atol=1e-12)
    np.testing.assert_allclose(contrasts(values + 1000.0), found, atol=1e-9)


def test_of_two_classes_the_contrast_is_the_log_odds_of_the_second() -> None:
    found = contrasts(np.array([[1.0, 3.0], [0.0, -4.0]]))
    np.testing.assert_array_equal(found, [[2.0], [-4.0]])
    np.testing.assert_allclose(probabilities(found)[:, 1], expit([2.0, -4.0]))


def test_huge_contrasts_are_sure() -> None:
    np.testing.assert_array_equal(probabilities(np.array([[5000.0], [-5000.0]])), [[0, 1], [1, 0]])


def test_the_deviation_is_of_the_difference_of_two_classes() -> None:
    """As it is for independent logits of deviation 3: 3 sqrt 2 for two classes, and nearly so for many."""
    rng = np.random.default_rng(0)
    two = contrasts(3 * rng.normal(size=(100_000, 2)))
    assert deviation(two - two.mean(axis=0)) == pytest.approx(3 * np.sqrt(2), rel=0.02)
    assert deviation(np.zeros((5, 1))) > 0 and deviation(np.zeros((5, 3))) > 0


def test_standardised_contrasts(values: np.ndarray) -> None:
    found, mean, size = standardised(contrasts(values))
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-9)
    assert deviation(found) == pytest.approx(1.0)
    np.testing.assert_allclose(found * size + mean, contrasts(values), atol=1e-9)
    scaled, _, _ = standardised(10 * contrasts(values) + mean)
    np.testing.assert_allclose(scaled, found, atol=1e-9)


def test_targets_are_probabilities_and_back(values: np.ndarray) -> None:
    shares = softmax(values, axis=1)
    targets = as_targets(shares)
    if values.shape[1] == 2:
        np.testing.assert_array_equal(targets, shares[:, 1:])
        np.testing.assert_array_equal(from_targets(targets), targets)
    else:
        np.testing.assert_array_equal(targets, shares)
        np.testing.assert_allclose(from_targets(targets), shares - 1 / values.shape[1], atol=1e-12)
    order = np.argsort(from_targets(targets)[:, -1])
    assert (np.diff(shares[order, -1]) >= 0).all()
