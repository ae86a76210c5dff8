"""Laplace's approximation, against brute force, scikit-learn and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import dblquad
from scipy.special import expit, log_softmax, softmax
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import LogisticRegression

from silr.stats import laplace

Numbers = NDArray[np.float64]


def array(values: object) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def fit(kernel: Numbers, mean: Numbers, targets: Numbers) -> tuple[Numbers, float]:
    duals, evidence = laplace.fit_binary(array(kernel)[None], array(mean)[None], array(targets))
    return duals[0], float(evidence[0])


@pytest.fixture(scope="module")
def data() -> tuple[Numbers, Numbers]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    return X, (X[:, 0] + rng.normal(size=60) > 0).astype(float)


# --- two classes ------------------------------------------------------------------------------------------------------


def test_a_linear_kernel_is_logistic_regression(data: tuple[Numbers, Numbers]) -> None:
    X, y = data
    duals, _ = fit(0.7 * X @ X.T + 1e-9 * np.eye(60), np.zeros(60), y)
    wanted = LogisticRegression(C=0.7, fit_intercept=False, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(0.7 * X.T @ duals, wanted.coef_[0], atol=1e-4)


def test_the_evidence_is_that_of_scikit_learn(data: tuple[Numbers, Numbers]) -> None:
    X, y = data
    kernel = DotProduct(sigma_0=0.5, sigma_0_bounds="fixed")
    wanted = GaussianProcessClassifier(kernel, optimizer=None).fit(X, y).log_marginal_likelihood_value_
    assert fit(X @ X.T + 0.25, np.zeros(60), y)[1] == pytest.approx(wanted, abs=1e-3)


def test_the_evidence_is_nearly_the_integral() -> None:
    """Of two labels, over their two latent values, by quadrature."""
    kernel, mean, y = np.array([[1.0, 0.6], [0.6, 0.8]]), np.array([0.5, -0.2]), np.array([1.0, 0.0])
    prior = multivariate_normal(mean, kernel)
    exact = dblquad(lambda a, b: prior.pdf([a, b]) * expit(a) * expit(-b), -7, 7, -7, 7)[0]
    assert fit(kernel, mean, y)[1] == pytest.approx(np.log(exact), abs=0.02)


def test_the_prior_mean_is_an_offset(data: tuple[Numbers, Numbers]) -> None:
    """At the latent values found no step in any direction is likelier: the slope of the posterior is 0."""
    X, y = data
    mean = np.random.default_rng(1).normal(size=60)
    kernel = X @ X.T + 0.1 * np.eye(60)
    duals, _ = fit(kernel, mean, y)
    latent = mean + kernel @ duals
    np.testing.assert_allclose(duals, y - expit(latent), atol=1e-4)


def test_many_at_once_are_as_one_by_one(data: tuple[Numbers, Numbers]) -> None:
    """Huge and tiny priors among them: the steps of one do not depend on another."""
    X, y = data
    kernels = [size * X @ X.T + 1e-8 * np.eye(60) for size in (1e-4, 1.0, 1e4)]
    duals, evidence = laplace.fit_binary(array(kernels), array(np.zeros((3, 60))), array(y))
    for number, kernel in enumerate(kernels):
        alone = fit(kernel, np.zeros(60), y)
        assert float(evidence[number]) == pytest.approx(alone[1], abs=1e-3)
        np.testing.assert_allclose(kernel @ duals[number], kernel @ alone[0], rtol=1e-2, atol=1e-2)


def test_labels_of_one_class() -> None:
    duals, evidence = fit(np.full((20, 20), 3.0) + 1e-8 * np.eye(20), np.zeros(20), np.ones(20))
    assert np.isfinite(evidence) and evidence < 0
    assert 1.0 < 3.0 * duals.sum() < 10.0


# --- several classes --------------------------------------------------------------------------------------------------


def covariance(kernel: Numbers, features: Numbers, variances: Numbers) -> Numbers:
    """Prior covariance of all m * K latent values, text by text."""
    flat = features.reshape(len(features), features[0].size if len(features) else len(kernel) * features.shape[2])
    return np.kron(kernel, np.eye(features.shape[2])) + (flat.T * variances) @ flat


def brute_force(prior: Numbers, mean: Numbers, targets: Numbers) -> tuple[Numbers, float]:
    """Most likely latent values (m, K) and Laplace's evidence, by dense matrices of all m * K values.

    The values are the mean plus a root of the covariance times whitened ones; Newton's method with halved steps.
    """
    m, K = mean.shape
    values, vectors = np.linalg.eigh(prior)
    root = vectors * np.sqrt(np.maximum(values, 0))

    def at(white: Numbers) -> tuple[float, Numbers, Numbers, Numbers]:
        latent = mean + (root @ white).reshape(m, K)
        said = log_softmax(latent, axis=1)
        p = np.exp(said)
        curvature = np.zeros((m, K, m, K))
        curvature[np.arange(m), :, np.arange(m), :] = p[:, :, None] * np.eye(K) - p[:, :, None] * p[:, None, :]
        slope = white + root.T @ (p - targets).ravel()
        hessian = np.eye(m * K) + root.T @ curvature.reshape(m * K, m * K) @ root
        return white @ white / 2 - (said * targets).sum(), latent, slope, hessian

    white = np.zeros(m * K)
    height, latent, slope, hessian = at(white)
    while np.abs(slope).max() > 1e-8:
        step = np.linalg.solve(hessian, slope)
        while at(white - step)[0] > height:
            step = step / 2
        white = white - step
        height, latent, slope, hessian = at(white)
    sign, logdet = np.linalg.slogdet(hessian)
    assert sign == 1
    return latent, float(-height - logdet / 2)


def softmax_problem(K: int, m: int = 12, seed: int = 0) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
    """Kernels of three sizes and ranks, features of two weights, their variances (0 among them), means, targets."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=m)
    X = rng.normal(size=(m, 4)) + np.eye(4)[truth % 4]
    kernels = np.array([0.3 + 1e-8 * np.eye(m), X @ X.T + 0.2, 5.0 * X[:, :2] @ X[:, :2].T + np.eye(m)])
    features = rng.normal(size=(2, m, K)) + np.eye(K)[truth]
    variances = np.array([[0.5, 2.0], [0.0, 1.0], [0.0, 0.0]])
    means = 0.7 * features[0] + rng.normal(size=(3, 1, K))
    return kernels, features, variances, means, np.eye(K)[truth]


@pytest.mark.parametrize("K", [2, 3, 5])
def test_many_softmax_priors_at_once_are_brute_force_one_by_one(K: int) -> None:
    kernels, features, variances, means, targets = softmax_problem(K)
    duals, evidence = laplace.fit_softmax(*map(array, (kernels, features, variances, means, targets)))
    assert duals.shape == means.shape and evidence.shape == (3,)
    np.testing.assert_allclose(duals.sum(axis=2), 0.0, atol=1e-8)
    for place in range(3):
        prior = covariance(kernels[place], features, variances[place])
        latent, wanted = brute_force(prior, means[place], targets)
        found = means[place] + (prior @ duals[place].ravel()).reshape(latent.shape)
        np.testing.assert_allclose(found, latent, atol=5e-3)
        np.testing.assert_allclose(duals[place], targets - softmax(latent, axis=1), atol=2e-3)
        assert float(evidence[place]) == pytest.approx(wanted, abs=1e-3)


def test_no_features_at_all() -> None:
    kernels, _, _, means, targets = softmax_problem(3)
    none = np.zeros((0, *targets.shape))
    duals, evidence = laplace.fit_softmax(*map(array, (kernels, none, np.zeros((3, 0)), means, targets)))
    for place in range(3):
        latent, wanted = brute_force(covariance(kernels[place], none, np.zeros(0)), means[place], targets)
        np.testing.assert_allclose(duals[place], targets - softmax(latent, axis=1), atol=2e-3)
        assert float(evidence[place]) == pytest.approx(wanted, abs=1e-3)


def test_a_feature_is_a_class_dependent_kernel() -> None:
    """One that is the same for all classes changes nothing; the one-hot of one class gives this class a shift."""
    kernels, _, _, means, targets = softmax_problem(3)
    same, shift = np.ones((1, 12, 3)), np.zeros((1, 12, 3))
    shift[:, :, 1] = 1.0
    with_none, with_same, with_shift = (
        laplace.fit_softmax(*map(array, (kernels[1:2], each, [[4.0 * bool(each.any())]], means[1:2], targets)))
        for each in (np.zeros((1, 12, 3)), same, shift)
    )
    np.testing.assert_allclose(with_same[0], with_none[0], atol=1e-4)
    assert float(with_same[1][0]) == pytest.approx(float(with_none[1][0]), abs=1e-4)
    prior = np.kron(kernels[1], np.eye(3)) + 4.0 * np.kron(np.ones((12, 12)), np.diag([0.0, 1.0, 0.0]))
    latent, wanted = brute_force(prior, means[1], targets)
    np.testing.assert_allclose(with_shift[0][0], targets - softmax(latent, axis=1), atol=2e-3)
    assert float(with_shift[1][0]) == pytest.approx(wanted, abs=1e-3)


def test_of_two_classes_it_is_the_binary_process_on_their_difference(data: tuple[Numbers, Numbers]) -> None:
    """Whose prior has twice the kernel; and a weight of features has their difference."""
    X, y = data
    kernels = np.array([size * X @ X.T + 0.1 for size in (0.01, 1.0, 100.0)])
    rng = np.random.default_rng(1)
    features, variances = rng.normal(size=(2, 60, 2)), np.array([[1.0, 0.0], [0.3, 2.0], [0.0, 0.0]])
    means = rng.normal(size=(3, 60, 2))
    duals, evidence = laplace.fit_softmax(*map(array, (kernels, features, variances, means, np.eye(2)[y.astype(int)])))
    difference = features[:, :, 1] - features[:, :, 0]
    whole = 2 * kernels + np.einsum("rm,br,rn->bmn", difference, variances, difference)
    one, log_evidence = laplace.fit_binary(array(whole), array(means[..., 1] - means[..., 0]), array(y))
    np.testing.assert_allclose(duals[..., 1], one, atol=1e-3)
    np.testing.assert_allclose(duals[..., 0], -duals[..., 1], atol=1e-8)
    np.testing.assert_allclose(evidence, log_evidence, atol=1e-3)


@pytest.mark.parametrize("K", [3, 5])
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_classes_that_are_nearly_separable_under_a_wide_prior(K: int, size: float) -> None:
    """One text is on the wrong side: latent values are large, and the likelihood hardly curved."""
    rng = np.random.default_rng(K)
    truth = np.arange(8 * K) % K
    X = 3 * np.eye(K)[truth] + 0.3 * rng.normal(size=(8 * K, K))
    truth[0] = 1
    kernel, none = size * X @ X.T + 1e-6 * np.eye(8 * K), np.zeros((0, 8 * K, K))
    targets, mean = np.eye(K)[truth], np.zeros((8 * K, K))
    duals, evidence = laplace.fit_softmax(*map(array, (kernel[None], none, np.zeros((1, 0)), mean[None], targets)))
    found = duals[0]
    wanted, log_evidence = brute_force(covariance(kernel, none, np.zeros(0)), mean, targets)
    np.testing.assert_allclose(found, targets - softmax(wanted, axis=1), atol=2e-3)
    assert np.abs(wanted).max() > 5
    np.testing.assert_allclose(kernel @ found, wanted, rtol=0.02, atol=0.2)
    assert float(evidence[0]) == pytest.approx(log_evidence, abs=0.02)


def test_the_softmax_evidence_is_nearly_the_integral() -> None:
    """Of two labels of three classes, by drawing latent values."""
    rng = np.random.default_rng(2)
    kernel, targets = np.array([[0.4, 0.2], [0.2, 0.5]]), np.eye(3)[[0, 2]]
    features, variances = rng.normal(size=(1, 2, 3)), np.array([0.3])
    mean = rng.normal(size=(2, 3)) / 2
    problem = map(array, (kernel[None], features, variances[None], mean[None], targets))
    _, evidence = laplace.fit_softmax(*problem)
    drawn = rng.multivariate_normal(mean.ravel(), covariance(kernel, features, variances), size=200_000)
    likelihood = (log_softmax(drawn.reshape(-1, 2, 3), axis=2) * targets).sum(axis=(1, 2))
    assert float(evidence[0]) == pytest.approx(np.log(np.exp(likelihood).mean()), abs=0.05)
