from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.special import expit
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import LogisticRegression

from silr import laplace


def fit(kernel: np.ndarray, mean: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
    tensors = (torch.from_numpy(np.asarray(each, dtype=np.float64))[None] for each in (kernel, mean, targets))
    duals, evidence = laplace.fit(*tensors)
    return duals[0].numpy(), float(evidence[0])


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    return X, (X[:, 0] + rng.normal(size=60) > 0).astype(float)


def test_a_linear_kernel_is_logistic_regression(data: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = data
    duals, _ = fit(0.7 * X @ X.T + 1e-9 * np.eye(60), np.zeros(60), y)
    wanted = LogisticRegression(C=0.7, fit_intercept=False, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(0.7 * X.T @ duals, wanted.coef_[0], atol=1e-4)


def test_the_evidence_is_that_of_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
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


def test_the_prior_mean_is_an_offset(data: tuple[np.ndarray, np.ndarray]) -> None:
    """At the latent values found no step in any direction is likelier: the slope of the posterior is 0."""
    X, y = data
    mean = np.random.default_rng(1).normal(size=60)
    kernel = X @ X.T + 0.1 * np.eye(60)
    duals, _ = fit(kernel, mean, y)
    latent = mean + kernel @ duals
    np.testing.assert_allclose(duals, y - expit(latent), atol=1e-4)


def test_many_at_once_are_as_one_by_one(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Huge and tiny priors among them: the steps of one do not depend on another."""
    X, y = data
    kernels = [size * X @ X.T + 1e-8 * np.eye(60) for size in (1e-4, 1.0, 1e4)]
    tensor = torch.from_numpy(np.array(kernels))
    duals, evidence = laplace.fit(tensor, torch.zeros(3, 60, dtype=torch.float64), torch.from_numpy(np.array([y] * 3)))
    for number, kernel in enumerate(kernels):
        alone = fit(kernel, np.zeros(60), y)
        assert float(evidence[number]) == pytest.approx(alone[1], abs=1e-3)
        np.testing.assert_allclose(kernel @ duals[number].numpy(), kernel @ alone[0], rtol=1e-2, atol=1e-2)


def test_labels_of_one_class() -> None:
    duals, evidence = fit(np.full((20, 20), 3.0) + 1e-8 * np.eye(20), np.zeros(20), np.ones(20))
    assert np.isfinite(evidence) and evidence < 0
    assert 1.0 < 3.0 * duals.sum() < 10.0
