"""Gaussian processes that classify two classes, many at once, by Laplace's approximation.

scikit-learn's classifier has neither a prior mean nor many priors at once, on which all hangs here.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4 and 5.5.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

STEPS = 100
HALVINGS = 10
CLOSE_ENOUGH = 1e-6  # nats
TINY = 1e-10


def fit(kernels: Tensor, means: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Find the most likely latent values of labelled texts, and how well each prior explains their labels.

    Parameters
    ----------
    kernels : float64 tensor of shape (B, m, m)
        Prior covariance of the latent values, which are the logits of class 1.
    means : float64 tensor of shape (B, m)
        Their prior mean.
    targets : float64 tensor of shape (B, m)
        The labels, 0 or 1.

    Returns
    -------
    duals : float64 tensor of shape (B, m)
        The posterior mean of the logit of any text is its prior mean plus its prior covariance with the m texts times
        these (their equation 3.21).
    evidence : float64 tensor of shape (B,)
        Log of the probability of the labels (equation 3.32).
    """
    latent, duals = means.clone(), torch.zeros_like(means)

    def height(duals: Tensor, latent: Tensor) -> Tensor:
        return (targets * latent - softplus(latent) - duals * (latent - means) / 2).sum(dim=1)

    reached = height(duals, latent)
    for _ in range(STEPS):
        residual, curvature, factor = _at(latent, kernels, targets)
        aim = curvature * (latent - means) + residual
        root = curvature.sqrt()
        solved = torch.cholesky_solve((root * _times(kernels, aim)).unsqueeze(2), factor).squeeze(2)
        way = aim - root * solved - duals
        length = torch.ones(len(kernels), 1, dtype=kernels.dtype)
        for _ in range(HALVINGS):
            there = duals + length * way
            latent_there = means + _times(kernels, there)
            higher = height(there, latent_there)
            worse = higher < reached - CLOSE_ENOUGH
            if not worse.any():
                break
            length[worse] /= 2
        gain = (higher - reached).abs().max()
        duals, latent, reached = there, latent_there, higher
        if gain < CLOSE_ENOUGH:
            break
    factor = _at(latent, kernels, targets)[2]
    return duals, reached - factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)


def _at(latent: Tensor, kernels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slope and curvature of the log-likelihood, and the Cholesky factor of ``1 + W^1/2 K W^1/2`` with these W."""
    probability = torch.sigmoid(latent)
    curvature = probability * (1 - probability) + TINY
    root = curvature.sqrt()
    inner = root.unsqueeze(2) * kernels * root.unsqueeze(1)
    inner.diagonal(dim1=1, dim2=2).add_(1.0)
    return targets - probability, curvature, torch.linalg.cholesky(inner)


def _times(kernels: Tensor, vectors: Tensor) -> Tensor:
    return torch.bmm(kernels, vectors.unsqueeze(2)).squeeze(2)
