"""Offsets that set the share of every predicted class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from silr.stats.prior_matching import prior_offsets, soft_prior_offsets


def predicted_shares(logits: NDArray[np.float32], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount((logits + offsets).argmax(axis=1), minlength=logits.shape[1]) / len(logits)


def some_logits(seed: int, n: int, n_classes: int) -> NDArray[np.float32]:
    """Two thirds of the texts have a class that stands out; scales and biases differ by class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, n_classes)) * rng.uniform(0.5, 2, n_classes) + rng.normal(size=n_classes)
    logits += 3 * np.eye(n_classes)[rng.integers(n_classes, size=n)] * (rng.random((n, 1)) < 2 / 3)
    return logits.astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(1, 300), share=st.floats(0, 1), scale=st.sampled_from([1e-6, 1, 1e4]))
def test_two_classes_match_to_the_nearest_text(seed: int, n: int, share: float, scale: float) -> None:
    logits = some_logits(seed, n, 2) * np.float32(scale)
    offsets = prior_offsets(logits, np.array([1 - share, share]))
    assert offsets[0] == 0
    assert abs(predicted_shares(logits, offsets)[1] - share) <= 0.5 / n + 1e-9


@pytest.mark.parametrize("n_classes", [3, 4, 5, 6, 20, 50])
@pytest.mark.parametrize("seed", [0, 1])
def test_more_classes_match_within_a_percent(n_classes: int, seed: int) -> None:
    logits = some_logits(seed, 3000, n_classes)
    prior = np.random.default_rng(seed).dirichlet(2 * np.ones(n_classes))
    offsets = prior_offsets(logits, prior)
    assert offsets[0] == 0
    assert np.abs(predicted_shares(logits, offsets) - prior).max() < 0.01


@pytest.mark.parametrize("prior", [[0.98, 0.01, 0.01], [0.001, 0.499, 0.5], [0, 0.3, 0.7], [0, 0, 1], [0.5, 0.5, 0]])
def test_extreme_priors(prior: list[float]) -> None:
    logits = some_logits(4, 3000, 3)
    shares = predicted_shares(logits, prior_offsets(logits, np.array(prior)))
    assert np.abs(shares - prior).max() < 0.01
    assert (shares[np.array(prior) == 0] < 0.005).all()


@pytest.mark.parametrize("prior", [[0, 1], [1, 0]])
def test_one_of_two_classes_that_nobody_has_is_never_predicted(prior: list[float]) -> None:
    logits = some_logits(5, 200, 2)
    assert predicted_shares(logits, prior_offsets(logits, np.array(prior))).tolist() == prior


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), n_classes=st.integers(2, 5))
def test_what_a_texts_logits_have_in_common_decides_nothing(seed: int, n_classes: int) -> None:
    logits = some_logits(seed, 400, n_classes)
    common = np.random.default_rng(seed).normal(size=(400, 1)) * 50
    prior = np.random.default_rng(seed).dirichlet(3 * np.ones(n_classes))
    plain = predicted_shares(logits, prior_offsets(logits, prior))
    shifted_logits = (logits + common).astype(np.float32)
    shifted = predicted_shares(shifted_logits, prior_offsets(shifted_logits, prior))
    assert np.abs(shifted - plain).max() <= 0.01
    assert np.abs(shifted - prior).max() < 0.015


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a_bias_of_the_classes_is_undone(n_classes: int) -> None:
    """Offsets depend on the order of the texts within each class only: a bias added to a class is taken off again."""
    logits = some_logits(6, 2000, n_classes)
    prior = np.full(n_classes, 1 / n_classes)
    bias = np.linspace(-8, 8, n_classes)
    before = prior_offsets(logits, prior)
    after = prior_offsets((logits + bias).astype(np.float32), prior)
    assert after == pytest.approx(before - (bias - bias[0]), abs=0.1)


@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_the_scale_of_the_logits_does_not_matter(factor: float) -> None:
    logits = some_logits(7, 2000, 4)
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    scaled = prior_offsets((logits * factor).astype(np.float32), prior)
    assert scaled / factor == pytest.approx(prior_offsets(logits, prior), abs=0.02)


def test_a_text_with_huge_logits_does_not_spoil_the_others() -> None:
    logits = some_logits(8, 2000, 3)
    prior = np.array([0.2, 0.3, 0.5])
    logits[0] = [1e9, 0, -1e9]
    assert np.abs(predicted_shares(logits, prior_offsets(logits, prior)) - prior).max() < 0.01


def test_texts_in_tight_clusters_are_parted_within_them() -> None:
    rng = np.random.default_rng(9)
    logits = (10 * np.eye(3)[rng.integers(3, size=3000)] + 0.01 * rng.normal(size=(3000, 3))).astype(np.float32)
    for prior in (np.array([0.2, 0.3, 0.5]), np.array([0.05, 0.05, 0.9])):
        assert np.abs(predicted_shares(logits, prior_offsets(logits, prior)) - prior).max() < 0.01


def test_a_shift_to_the_truth_repairs_a_biased_classifier() -> None:
    rng = np.random.default_rng(10)
    truth = rng.choice(3, p=[0.5, 0.3, 0.2], size=3000)
    logits = (4 * np.eye(3)[truth] + rng.normal(size=(3000, 3)) + [0, 0, 4]).astype(np.float32)  # prefers the third
    shifted = logits + prior_offsets(logits, np.bincount(truth) / 3000)
    assert (logits.argmax(axis=1) == truth).mean() < 0.75
    assert (shifted.argmax(axis=1) == truth).mean() > 0.98


@pytest.mark.parametrize("n_classes", [3, 4])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_few_texts_match_within_a_few_texts(n: int, n_classes: int) -> None:
    for seed in range(5):
        logits = some_logits(seed, n, n_classes)
        prior = np.random.default_rng(seed).dirichlet(2 * np.ones(n_classes))
        offsets = prior_offsets(logits, prior)
        assert np.isfinite(offsets).all()
        assert np.abs(predicted_shares(logits, offsets) - prior).max() <= max(1, n_classes - 1) / n + 1e-9


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("constant", [0.0, -3.5, 1e6])
def test_constant_scores_have_finite_offsets(n_classes: int, constant: float) -> None:
    """Nothing tells the texts apart, so one class gets them all; the offsets must not drown later texts."""
    logits = np.full((50, n_classes), constant, dtype=np.float32)
    offsets = prior_offsets(logits, np.full(n_classes, 1 / n_classes))
    assert np.abs(offsets).max() < 1e-3
    assert predicted_shares(logits, offsets).max() == 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_tied_texts_stay_together(n_classes: int) -> None:
    """Copies of five texts: the shares are met as nearly as whole groups allow."""
    rng = np.random.default_rng(12)
    logits = np.repeat(rng.normal(size=(5, n_classes)), 100, axis=0).astype(np.float32)
    prior = np.array([0.5, 0.5]) if n_classes == 2 else np.array([0.3, 0.3, 0.4])
    offsets = prior_offsets(logits, prior)
    predicted = (logits + offsets).argmax(axis=1).reshape(5, 100)
    assert (predicted == predicted[:, :1]).all()
    assert np.abs(predicted_shares(logits, offsets) - prior).max() <= 0.2 + 1e-9


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=6), share=st.floats(0.01, 0.99))
def test_two_classes_with_ties_match_as_nearly_as_whole_groups_allow(counts: list[int], share: float) -> None:
    logits = np.zeros((sum(counts), 2), dtype=np.float32)
    logits[:, 1] = np.repeat(np.arange(len(counts)) - 2.5, counts)
    found = predicted_shares(logits, prior_offsets(logits, np.array([1 - share, share])))[1]
    possible = 1 - np.array([0, *np.cumsum(counts)]) / sum(counts)
    assert abs(found - share) <= np.abs(possible - share).min() + 0.5 / sum(counts) + 1e-9


def test_the_input_is_left_alone() -> None:
    logits, prior = some_logits(13, 100, 3), np.array([0.2, 0.3, 0.5])
    logits.flags.writeable = prior.flags.writeable = False
    first, second = prior_offsets(logits, prior), prior_offsets(logits, prior)
    assert (first == second).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_soft_offsets_give_the_wanted_mean_probabilities(n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, shares = rng.normal(size=(500, n_classes)) * 3, rng.dirichlet(np.full(n_classes, 3.0))
    shift = soft_prior_offsets(logits, shares)
    moved = np.exp(logits + shift)
    np.testing.assert_allclose((moved / moved.sum(axis=1, keepdims=True)).mean(axis=0), shares, atol=1e-4)
    assert shift.mean() == pytest.approx(0, abs=1e-9)
