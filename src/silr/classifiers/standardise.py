"""Standardisation of features that may be too large to copy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_ROWS = 2048


@dataclass(frozen=True)
class Standardiser:
    """Shifts each feature to mean 0 and scales it to standard deviation 1 (a constant feature is shifted only)."""

    mean: Tensor  # shape (d,)
    scale: Tensor  # shape (d,), 1 / standard deviation

    @classmethod
    def of(cls, X: NDArray[np.number]) -> Standardiser:
        """Moments of the rows of X, shape (n, d), read once in chunks."""
        features = as_tensor(X)
        n = len(features)
        shift = features[:CHUNK_ROWS].double().mean(dim=0)  # near the mean, so that the squares do not cancel
        total = torch.zeros_like(shift)
        squares = torch.zeros_like(shift)
        for start in range(0, n, CHUNK_ROWS):
            chunk = features[start : start + CHUNK_ROWS].float() - shift.float()
            total += chunk.sum(dim=0)
            squares += chunk.square_().sum(dim=0)
        mean = total / n
        return cls.from_moments(shift + mean, squares / n - mean**2)

    @classmethod
    def from_moments(cls, mean: Tensor, variance: Tensor) -> Standardiser:
        """From mean and variance of each feature, float64 of shape (d,)."""
        constant = variance <= 1e-12 * mean**2  # relative: the scale of a feature is arbitrary
        return cls(mean.float(), torch.where(constant, 1.0, variance.clamp(min=0).rsqrt()).float())

    def __call__(self, features: Tensor, rows: Tensor | slice) -> Tensor:
        """Standardised copy of some rows, float32, shape (b, d), on the moments' device."""
        view = isinstance(rows, slice)  # else it is a copy already
        batch = features[rows].to(self.mean.device, torch.float32, copy=view)
        return batch.sub_(self.mean).mul_(self.scale)

    def to(self, device: torch.device) -> Standardiser:
        """The same on another device."""
        return Standardiser(self.mean.to(device), self.scale.to(device))


def as_tensor(X: NDArray[np.number]) -> Tensor:
    """The array as a tensor over the same memory, also if it is a read-only memory map.

    Only a view that torch cannot address, such as a reversed one, is copied.
    """
    if any(stride < 0 or stride % X.itemsize for stride in X.strides):
        X = np.ascontiguousarray(X)
    with warnings.catch_warnings():  # torch warns of arrays it may not write to; we never write
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(X)
