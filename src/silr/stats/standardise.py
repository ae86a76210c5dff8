"""Standardisation of features: each one with mean 0 and standard deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 2048


@dataclass(frozen=True)
class Standardiser:
    """Shifts each feature to mean 0 and scales it to standard deviation 1 (a constant feature is shifted only)."""

    mean: NDArray[np.float32]  # shape (d,)
    scale: NDArray[np.float32]  # shape (d,), 1 / standard deviation

    @classmethod
    def from_moments(cls, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Standardiser:
        """From mean and variance of each feature, shape (d,)."""
        constant = variance <= 1e-12 * mean**2  # relative: the scale of a feature is arbitrary
        scale = 1 / np.sqrt(np.where(constant, 1.0, variance))
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def __call__(self, rows: NDArray[np.number]) -> NDArray[np.float32]:
        """Standardised copy of some rows, shape (b, d)."""
        batch: NDArray[np.float32] = np.subtract(rows, self.mean, dtype=np.float32)
        batch *= self.scale
        return batch
