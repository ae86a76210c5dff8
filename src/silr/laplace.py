"""Gaussian processes that classify, many at once, by Laplace's approximation.

scikit-learn's classifier has neither a prior mean nor a softmax over classes nor many priors at once.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4, 3.5 and 5.5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch import Tensor
from torch.nn.functional import softplus

from silr.contrasts import Numbers

STEPS = 100
HALVINGS = 10
TOLERANCE = 1e-5  # nats
CURVATURE = 0.1  # of the likelihood, usually
TINY = 1e-10


def fit_binary(kernels: Tensor, means: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Find the most likely latent values of labelled texts of two classes, and how well each prior explains the labels.

    Parameters
    ----------
    kernels : float64 tensor of shape (B, m, m)
        Prior covariance of the latent values, which are the log-odds of class 1.
    means : float64 tensor of shape (B, m)
        Their prior mean.
    targets : float64 tensor of shape (m,)
        The labels, 0 or 1.

    Returns
    -------
    duals : float64 tensor of shape (B, m)
        The posterior mean of the log-odds of any text is its prior mean plus its prior covariance with the m texts
        times these (their equation 3.21).
    evidence : float64 tensor of shape (B,)
        Log of the probability of the labels (equation 3.32).
    """

    def likelihood(latent: Tensor) -> Tensor:
        return (targets * latent - softplus(latent)).sum(dim=1)

    def newton(latent: Tensor) -> tuple[Tensor, Tensor]:
        probability = torch.sigmoid(latent)
        curvature = probability * (1 - probability) + TINY
        root = curvature.sqrt()
        inner = root.unsqueeze(2) * kernels * root.unsqueeze(1)
        inner.diagonal(dim1=1, dim2=2).add_(1.0)
        factor = torch.linalg.cholesky(inner)
        aim = curvature * (latent - means) + targets - probability
        solved = torch.cholesky_solve((root * _times(kernels, aim)).unsqueeze(2), factor).squeeze(2)
        return aim - root * solved, 2 * factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)

    return _climb(means, lambda duals: _times(kernels, duals), likelihood, newton)


def fit_softmax(
    kernels: Tensor, features: Tensor, variances: Tensor, means: Tensor, targets: Tensor, with_evidence: bool = True
) -> tuple[Tensor, Tensor]:
    """Find the same for K classes, of which each has a latent value of its own, in time linear in K.

    The latent values of class k are a process with a kernel that all classes share, independent of those of the other
    classes, plus a linear function of features that depend on the class, whose weights all classes share.

    Parameters
    ----------
    kernels : float64 tensor of shape (B, m, m)
    features : float64 tensor of shape (r, m, K)
        Of r weights.
    variances : float64 tensor of shape (B, r)
        Of the weights, in the prior; 0 leaves one out.
    means : float64 tensor of shape (B, m, K)
        Prior mean of the latent values.
    targets : float64 tensor of shape (m, K)
        The labels, one-hot.
    with_evidence : bool, default True
        False: the evidence, which takes most of the time, is left out: NaN.

    Returns
    -------
    duals : float64 tensor of shape (B, m, K)
        They sum to 0 over the classes.
    evidence : float64 tensor of shape (B,)

    Notes
    -----
    Algorithm 3.3 of Rasmussen and Williams; the weights are a low-rank term, by the lemmas of Woodbury and Sylvester.
    """
    start = _near_mode(kernels, features, variances, means, targets)
    if not with_evidence:
        return start, torch.full((len(kernels),), torch.nan, dtype=kernels.dtype)
    low_rank = features.permute(2, 1, 0) * variances.sqrt()[:, None, None, :]  # (B, K, m, r)

    def times(duals: Tensor) -> Tensor:
        inside = torch.einsum("bkmr,bmk->br", low_rank, duals)
        return kernels @ duals + torch.einsum("bkmr,br->bmk", low_rank, inside)

    def likelihood(latent: Tensor) -> Tensor:
        return (torch.log_softmax(latent, dim=2) * targets).sum(dim=(1, 2))

    def newton(latent: Tensor) -> tuple[Tensor, Tensor]:
        probability = torch.softmax(latent, dim=2)
        away = latent - means
        aim = probability * (away - (probability * away).sum(dim=2, keepdim=True)) + targets - probability
        roots = (probability.transpose(1, 2) + TINY).sqrt()  # (B, K, m)
        inner = roots.unsqueeze(3) * kernels.unsqueeze(1) * roots.unsqueeze(2)
        inner.diagonal(dim1=2, dim2=3).add_(1.0)
        factors = torch.linalg.cholesky(inner)
        each = roots.unsqueeze(3) * torch.cholesky_inverse(factors) * roots.unsqueeze(2)  # E_k of their equation 3.42
        total = torch.linalg.cholesky(each.sum(dim=1))
        right = torch.cat([low_rank, times(aim).transpose(1, 2).unsqueeze(3)], dim=3)
        parts = each @ right
        solved = parts - each @ torch.cholesky_solve(parts.sum(dim=1), total).unsqueeze(1)  # (kernel + W^-1)^-1 right
        spread, back = solved[..., :-1], solved[..., -1]
        small = torch.einsum("bkmr,bkms->brs", low_rank, spread)
        small.diagonal(dim1=1, dim2=2).add_(1.0)
        factor = torch.linalg.cholesky(small)
        weights = torch.cholesky_solve(torch.einsum("bkmr,bkm->br", low_rank, back).unsqueeze(2), factor)
        duals = aim - (back - (spread @ weights.unsqueeze(1)).squeeze(3)).transpose(1, 2)
        halves = [each.diagonal(dim1=-2, dim2=-1).log().flatten(1).sum(dim=1) for each in (factors, total, factor)]
        return duals, 2 * (halves[0] + halves[1] + halves[2])

    return _climb(means, times, likelihood, newton, start)


def _climb(
    means: Tensor,
    times: Callable[[Tensor], Tensor],
    likelihood: Callable[[Tensor], Tensor],
    newton: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Newton's method with halved steps from first duals, shape (B, ...) or 0: duals and evidence.

    `times` is the prior covariance times duals, `likelihood` the log-likelihood of latent values, shape (B,), and
    `newton` gives, at latent values, the duals that Newton's method aims at and log det(1 + K W).
    """
    others = tuple(range(1, means.dim()))
    duals = torch.zeros_like(means) if start is None else start
    change = times(duals)
    latent = means + change
    reached = likelihood(latent) - (duals * change).sum(dim=others) / 2
    for _ in range(STEPS):
        direction = newton(latent)[0] - duals
        length = torch.ones(len(means), *(1 for _ in others), dtype=means.dtype)
        for _ in range(HALVINGS):
            candidate = duals + length * direction
            change = times(candidate)
            height = likelihood(means + change) - (candidate * change).sum(dim=others) / 2
            worse = height < reached - TOLERANCE
            if not worse.any():
                break
            length[worse] /= 2
        gain = (height - reached).abs().max()
        duals, latent, reached = candidate, means + change, height
        if gain < TOLERANCE:
            break
    return duals, reached - newton(latent)[1] / 2


def _near_mode(kernels: Tensor, features: Tensor, variances: Tensor, means: Tensor, targets: Tensor) -> Tensor:
    """Duals of latent values near the most likely ones, by L-BFGS, whose steps cost far less than Newton's."""
    truth, parts = targets.numpy(), features.numpy()
    priors = zip(kernels.numpy(), variances.numpy(), means.numpy(), strict=True)
    return torch.from_numpy(np.stack([_dual_near_mode(*prior, parts, truth) for prior in priors]))


def _dual_near_mode(kernel: Numbers, variance: Numbers, mean: Numbers, parts: Numbers, truth: Numbers) -> Numbers:
    """Of one prior. It whitens the variables; a likelihood of the usual curvature scales them."""
    m, K = truth.shape
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    stiffness = 1 + CURVATURE * values
    shared_stiffness = 1 + CURVATURE * variance * (parts**2).sum(axis=(1, 2))
    basis = vectors * np.sqrt(values / stiffness)
    shared = parts * np.sqrt(variance / shared_stiffness)[:, None, None]
    penalty = np.concatenate([np.repeat(1 / stiffness, K), 1 / shared_stiffness])

    def latent(position: Numbers) -> Numbers:
        return np.asarray(mean + basis @ position[: m * K].reshape(m, K) + np.tensordot(position[m * K :], shared, 1))

    def height(position: Numbers) -> tuple[float, Numbers]:
        log_p = log_softmax(latent(position), axis=1)
        gap = np.exp(log_p) - truth
        slope = np.concatenate([(basis.T @ gap).ravel(), np.tensordot(shared, gap, 2)])
        return float(penalty @ position**2 / 2 - (log_p * truth).sum()), slope + penalty * position

    mode = minimize(height, np.zeros(len(penalty)), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    return np.asarray(truth - softmax(latent(mode), axis=1))


def _times(kernels: Tensor, vectors: Tensor) -> Tensor:
    return torch.bmm(kernels, vectors.unsqueeze(2)).squeeze(2)
