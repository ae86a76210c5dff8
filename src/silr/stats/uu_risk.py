"""The unlabelled-unlabelled (UU) risk for K classes: pure torch, no input or output."""

from typing import get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from silr.errors import InputError
from silr.stats.losses import LEAK, Correction, Loss

SMALLEST_SINGULAR_VALUE = 1e-3
"""Below this, sampling noise in the means is amplified a thousandfold and the risk means nothing."""


def uu_weights(theta: ArrayLike, class_prior: ArrayLike) -> NDArray[np.float64]:
    """Weight of each pseudo-labelled set in the partial risk of each class: ``W[k, j] = pi_k * inverse(Theta)[k, j]``.

    Since ``p_j(x) = sum_k Theta_jk p(x | y = k)``, the class-conditional densities are ``p(. | k) = sum_j A_kj
    p_j`` with ``A = inverse(Theta)``, so that ``pi_k E[ell(g(x), k) | y = k] = sum_j W_kj E_{U_j}[ell(g(x), k)]``.
    Weights, shape (K, K), may be negative. For ``theta = identity`` they are ``diag(class_prior)``, ordinary
    supervised learning (PN).

    Raises InputError for wrong shapes, shares that are none, or a theta so close to singular that no weights exist.

    References
    ----------
    Lu et al., "On the Minimal Supervision for Training Any Binary Classifier from Only Unlabeled Data", ICLR 2019,
    Theorem 4 (K = 2).
    """
    theta_ = np.asarray(theta, dtype=np.float64)
    prior = np.asarray(class_prior, dtype=np.float64)
    if theta_.ndim != 2 or theta_.shape[0] != theta_.shape[1] or len(theta_) < 2:
        raise InputError(f"theta must be a square matrix of at least 2 rows, got shape {theta_.shape}")
    if prior.shape != (len(theta_),):
        raise InputError(f"class_prior must have {len(theta_)} entries, one a class of theta, got shape {prior.shape}")
    for name, shares in (("each row of theta", theta_), ("class_prior", prior[None])):
        if not np.isfinite(shares).all() or (shares < -1e-9).any() or not np.allclose(shares.sum(axis=1), 1, atol=1e-4):
            raise InputError(f"{name} must hold shares between 0 and 1 that sum to 1")
    smallest = float(np.linalg.svd(theta_, compute_uv=False)[-1])
    if smallest < SMALLEST_SINGULAR_VALUE:
        raise InputError(
            f"theta is singular (smallest singular value {smallest:.1g}): the pseudo-labelled sets have the same class "
            "shares, so they cannot be told apart and the labels carry no usable signal"
        )
    return np.asarray(prior[:, None] * np.linalg.inv(theta_))


def class_losses(logits: Tensor, loss: Loss = "sigmoid") -> Tensor:
    """Loss of every text for every class it might have, in float32 of shape (n, K), from logits of the same shape.

    "sigmoid" is ``1 - softmax(g)_k``, the paper's, and "logistic" ``-log softmax(g)_k`` (cross-entropy). One score
    s, shape (n,) or (n, 1), stands for the logits ``(0, s)``: class 1 is where s > 0.
    """
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if scores.ndim == 1 or scores.shape[1] == 1:
        scores = scores.reshape(-1)
        both = torch.stack([scores, -scores], dim=1)
        return torch.sigmoid(both) if loss == "sigmoid" else functional.softplus(both)
    if loss == "logistic":
        return -torch.log_softmax(scores, dim=1)
    return 1 - torch.softmax(scores, dim=1)


class UURisk(nn.Module):
    """Corrected UU risk ``R = sum_k f(R_k)`` with ``R_k = pi_k sum_j inverse(Theta)_kj mean_{U_j} ell(g(x), k)``.

    Every partial risk R_k estimates a quantity that cannot be negative. A flexible classifier drives it below zero
    by overfitting; the correction f acts only there. ``f(r) = r`` for r > 0, else ``leak * r`` ("leaky"); "none"
    (the unbiased risk), "relu" and "abs" are the cases leak = 1, 0 and -1. Theta, shape (K, K), and the class
    prior, shape (K,), are as in `uu_weights`, the loss as in `class_losses`.

    Raises InputError as `uu_weights`, or for an unknown loss or correction.

    References
    ----------
    Lu et al., "Mitigating Overfitting in Supervised Classification from Two Unlabeled Datasets: A Consistent Risk
    Correction Approach", AISTATS 2020 (arXiv 1910.08974). Asano, Kozuno, Baba, "Self Iterative Label Refinement via
    Robust Unlabeled Learning", NeurIPS 2025 (arXiv 2502.12565), for K = 2 and the leak.

    Examples
    --------
    >>> risk = UURisk(theta=[[0.9, 0.1], [0.4, 0.6]], class_prior=[0.6, 0.4])
    >>> round(float(risk(torch.tensor([-3.0, 2.0]), torch.tensor([0, 1]))), 4)
    0.0003
    """

    weights: Tensor
    class_prior: Tensor

    def __init__(
        self,
        theta: ArrayLike,
        class_prior: ArrayLike,
        loss: Loss = "sigmoid",
        correction: Correction = "leaky",
        leak: float = LEAK,
    ) -> None:
        super().__init__()
        if loss not in get_args(Loss):
            raise InputError(f"loss must be one of {', '.join(get_args(Loss))}, got {loss!r}")
        if correction not in get_args(Correction):
            raise InputError(f"correction must be one of {', '.join(get_args(Correction))}, got {correction!r}")
        if not np.isfinite(leak) or leak > 1:
            raise InputError(f"leak must be a finite number of at most 1 (none), got {leak}")
        self.loss = loss
        self.leak = {"none": 1.0, "relu": 0.0, "abs": -1.0, "leaky": float(leak)}[correction]
        self.register_buffer("weights", torch.tensor(uu_weights(theta, class_prior), dtype=torch.float32))
        self.register_buffer("class_prior", torch.tensor(np.array(class_prior), dtype=torch.float32))

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.weights)

    def forward(self, logits: Tensor, pseudo_labels: Tensor) -> Tensor:
        """Risk of a batch.

        From logits of shape (n, K), or (n,) or (n, 1) if K = 2, and the set U_j of each text, int64 of shape (n,). A
        set without a text in the batch adds nothing.
        """
        return self.from_sums(*self.set_sums(logits, pseudo_labels))

    def set_sums(self, logits: Tensor, pseudo_labels: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the losses for class k over set j, shape (K, K) [j, k], and the sets' sizes, shape (K,).

        Both add up over batches, so that the risk of a corpus that does not fit in memory is
        ``from_sums(sum of sums, sum of sizes)``.
        """
        losses = class_losses(logits, self.loss)
        if losses.shape[1] != self.n_classes:
            raise InputError(
                f"the classifier gives {losses.shape[1]} scores a text, but theta has {self.n_classes} rows"
            )
        members = functional.one_hot(pseudo_labels, self.n_classes).to(losses.dtype)
        with torch.autocast(logits.device.type, enabled=False):  # it would round the sums to half precision
            return members.T @ losses, members.sum(dim=0)

    def partial_risks(self, sums: Tensor, sizes: Tensor) -> Tensor:
        """Partial risks R_k, shape (K,), before the correction, from what `set_sums` returns."""
        means = sums / sizes.clamp(min=1)[:, None]
        return (self.weights.to(means.dtype) * means.T).sum(dim=1)

    def from_sums(self, sums: Tensor, sizes: Tensor) -> Tensor:
        """Corrected risk, shape (), from what `set_sums` returns."""
        partial = self.partial_risks(sums, sizes)
        return torch.where(partial > 0, partial, self.leak * partial).sum()


class SoftRisk(nn.Module):
    """Mean cross-entropy to soft labels, ``-1/n sum_ik q_ik log softmax(g_i)_k``.

    Its minimiser is the mean soft label of texts that look alike, which orders texts by their class where the error of
    the soft labels does not depend on the text given its class: UU learning with soft sets and the logistic loss.

    `class_prior`, shape (K,): share of each class in the corpus; it sets thresholds after the fit.
    """

    class_prior: Tensor

    def __init__(self, class_prior: ArrayLike) -> None:
        super().__init__()
        self.register_buffer("class_prior", torch.from_numpy(np.array(class_prior, np.float64)))

    def forward(self, logits: Tensor, soft_labels: Tensor) -> Tensor:
        """Risk of scores of shape (n, K), (n, 1) or (n,) under soft labels of shape (n, K)."""
        return (class_losses(logits, "logistic") * soft_labels).sum(dim=1).mean()
