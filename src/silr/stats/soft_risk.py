"""The risk of soft labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from silr.stats.uu_risk import class_losses


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
