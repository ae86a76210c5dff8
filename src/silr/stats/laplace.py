"""Gaussian processes that classify, many at once, by Laplace's approximation.

scikit-learn's classifier has neither a prior mean nor a softmax over classes nor many priors at once.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4, 3.5 and 5.5.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg.lapack import dpotri, dpotrs
from scipy.optimize import minimize
from scipy.special import expit, softmax

from silr.stats.contrasts import Numbers

STEPS = 100
HALVINGS = 10
TOLERANCE = 1e-5  # nats
CURVATURE = 0.1  # of the likelihood, usually
TINY = 1e-10


def fit_binary(kernels: Numbers, means: Numbers, targets: Numbers) -> tuple[Numbers, Numbers]:
    """The most likely latent values of labelled texts of two classes, and how well each prior explains the labels.

    `kernels`, shape (B, m, m), are prior covariances of the latent values, which are the log-odds of class 1;
    `means`, shape (B, m), their prior means; `targets`, shape (m,), the labels, 0 or 1.

    Returns duals, shape (B, m): the posterior mean of the log-odds of any text is its prior mean plus its prior
    covariance with the m texts times these (their equation 3.21). And the evidence, shape (B,): log of the
    probability of the labels (equation 3.32).
    """

    def likelihood(latent: Numbers) -> Numbers:
        return np.asarray((targets * latent - np.logaddexp(0.0, latent)).sum(axis=1))

    def newton(latent: Numbers) -> tuple[Numbers, Numbers]:
        probability = expit(latent)
        curvature = probability * (1 - probability) + TINY
        root = np.sqrt(curvature)
        factor = _factors(root[:, :, None] * kernels * root[:, None], 1.0)
        aim = curvature * (latent - means) + targets - probability
        solved = _solve(factor, (root * _times(kernels, aim))[:, :, None])[:, :, 0]
        return aim - root * solved, 2 * _half_log_det(factor)

    return _climb(means, lambda duals: _times(kernels, duals), likelihood, newton)


def fit_softmax(
    kernels: Numbers,
    features: Numbers,
    variances: Numbers,
    means: Numbers,
    targets: Numbers,
    with_evidence: bool = True,
) -> tuple[Numbers, Numbers]:
    """The same for K classes, of which each has a latent value of its own, in time linear in K.

    The latent values of class k are a process with a kernel that all classes share, shape (B, m, m), independent of
    those of the other classes, plus a linear function of `features`, shape (r, m, K), that depend on the class,
    whose r weights all classes share. `variances`, shape (B, r), are those of the weights in the prior; 0 leaves
    one out. `means` have the shape (B, m, K), and `targets`, (m, K), are one-hot.

    Duals, shape (B, m, K), sum to 0 over the classes. Without evidence, which takes most of the time, it is NaN.
    Algorithm 3.3 of Rasmussen and Williams; the weights are a low-rank term, by the lemmas of Woodbury and
    Sylvester.
    """
    priors = zip(kernels, variances, means, strict=True)
    start = np.stack([_near_mode(*prior, features, targets) for prior in priors])
    if not with_evidence:
        return start, np.full(len(kernels), np.nan)
    low_rank = features.transpose(2, 1, 0) * np.sqrt(variances)[:, None, None, :]  # (B, K, m, r)
    flat = low_rank.transpose(0, 2, 1, 3).reshape(len(kernels), targets.size, len(features))  # (B, mK, r)
    turned = flat.transpose(0, 2, 1)

    def times(duals: Numbers) -> Numbers:
        inside = turned @ duals.reshape(len(duals), -1, 1)
        return kernels @ duals + (flat @ inside).reshape(duals.shape)

    def likelihood(latent: Numbers) -> Numbers:
        return np.asarray((_log_softmax(latent) * targets).sum(axis=(1, 2)))

    def newton(latent: Numbers) -> tuple[Numbers, Numbers]:
        probability = softmax(latent, axis=2)
        away = latent - means
        aim = probability * (away - (probability * away).sum(axis=2, keepdims=True)) + targets - probability
        roots = np.sqrt(probability.transpose(0, 2, 1) + TINY)  # (B, K, m)
        factors = _factors(roots[..., None] * kernels[:, None] * roots[:, :, None], 1.0)
        inverses = roots[..., None] * _inverse(factors) * roots[:, :, None]  # E_k of their equation 3.42
        total = _factors(inverses.sum(axis=1))
        right = np.concatenate([low_rank, times(aim).transpose(0, 2, 1)[..., None]], axis=3)
        parts = inverses @ right
        solved = parts - inverses @ _solve(total, parts.sum(axis=1))[:, None]  # (kernel + W^-1)^-1 right
        spread, back = solved[..., :-1], solved[..., -1]
        small = turned @ spread.transpose(0, 2, 1, 3).reshape(flat.shape)
        factor = _factors(small, 1.0)
        weights = _solve(factor, turned @ back.transpose(0, 2, 1).reshape(len(back), targets.size, 1))
        duals = aim - (back - (spread @ weights[:, None])[..., 0]).transpose(0, 2, 1)
        return duals, 2 * (_half_log_det(factors).sum(axis=1) + _half_log_det(total) + _half_log_det(factor))

    return _climb(means, times, likelihood, newton, start)


def _climb(
    means: Numbers,
    times: Callable[[Numbers], Numbers],
    likelihood: Callable[[Numbers], Numbers],
    newton: Callable[[Numbers], tuple[Numbers, Numbers]],
    start: Numbers | None = None,
) -> tuple[Numbers, Numbers]:
    """Newton's method with halved steps from first duals, shape (B, ...) or 0: duals and evidence.

    `times` is the prior covariance times duals, `likelihood` the log-likelihood of latent values, shape (B,), and
    `newton` gives, at latent values, the duals that Newton's method aims at and log det(1 + K W).
    """
    others = tuple(range(1, means.ndim))
    duals = np.zeros(means.shape) if start is None else start
    change = times(duals)
    latent = means + change
    reached = likelihood(latent) - (duals * change).sum(axis=others) / 2
    for _ in range(STEPS):
        direction = newton(latent)[0] - duals
        length = np.ones((len(means), *(1 for _ in others)))
        for _ in range(HALVINGS):
            candidate = duals + length * direction
            change = times(candidate)
            height = likelihood(means + change) - (candidate * change).sum(axis=others) / 2
            worse = height < reached - TOLERANCE
            if not worse.any():
                break
            length[worse] /= 2
        gain = np.abs(height - reached).max()
        duals, latent, reached = candidate, means + change, height
        if gain < TOLERANCE:
            break
    return duals, reached - newton(latent)[1] / 2


def _near_mode(kernel: Numbers, variance: Numbers, mean: Numbers, parts: Numbers, truth: Numbers) -> Numbers:
    """Duals of latent values near the most likely ones, by L-BFGS, whose steps cost far less than Newton's.

    The prior whitens the variables; a likelihood of the usual curvature scales them.
    """
    m, K = truth.shape
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    stiffness = 1 + CURVATURE * values
    shared_stiffness = 1 + CURVATURE * variance * (parts**2).sum(axis=(1, 2))
    basis = vectors * np.sqrt(values / stiffness)
    shared = (parts * np.sqrt(variance / shared_stiffness)[:, None, None]).reshape(len(parts), m * K)
    penalty = np.concatenate([np.repeat(1 / stiffness, K), 1 / shared_stiffness])

    def latent(position: Numbers) -> Numbers:
        of_terms = (position[m * K :] @ shared).reshape(m, K)
        return np.asarray(mean + basis @ position[: m * K].reshape(m, K) + of_terms)

    def height(position: Numbers) -> tuple[float, Numbers]:
        log_p = _log_softmax(latent(position))
        gap = np.exp(log_p) - truth
        slope = np.concatenate([(basis.T @ gap).ravel(), shared @ gap.ravel()])
        return float(penalty @ position**2 / 2 - (log_p * truth).sum()), slope + penalty * position

    mode = minimize(height, np.zeros(len(penalty)), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    return np.asarray(truth - softmax(latent(mode), axis=1))


def _log_softmax(values: Numbers) -> Numbers:
    """Over the last axis; for so few values scipy's takes twice the time."""
    below = values - values.max(axis=-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)))


def _times(kernels: Numbers, vectors: Numbers) -> Numbers:
    return (kernels @ vectors[:, :, None])[:, :, 0]


def _factors(matrices: Numbers, added: float = 0.0) -> Numbers:
    """Cholesky factors of matrices, shape (..., m, m), to whose diagonals a number is added in place."""
    if added:
        np.einsum("...ii->...i", matrices)[...] += added
    return np.asarray(np.linalg.cholesky(matrices), np.float64)


def _half_log_det(factors: Numbers) -> Numbers:
    """Half the log determinants of matrices, shape (...), from their Cholesky factors, shape (..., m, m)."""
    return np.asarray(np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1))


def _solve(factors: Numbers, right: Numbers) -> Numbers:
    """``matrix^-1 right``, shape (B, m, r), from Cholesky factors; LAPACK reads their transposes as they lie."""
    if not right.size:
        return right
    return np.stack([dpotrs(factor.T, columns)[0] for factor, columns in zip(factors, right, strict=True)])


def _inverse(factors: Numbers) -> Numbers:
    """The inverses of matrices from their Cholesky factors, shape (..., m, m)."""
    inverses = np.empty_like(factors)
    for place in np.ndindex(factors.shape[:-2]):
        upper = dpotri(factors[place].T)[0]  # below the diagonal it leaves the zeros
        inverses[place] = upper + upper.T
    np.einsum("...ii->...i", inverses)[...] /= 2
    return inverses
