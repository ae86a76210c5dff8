"""People who label the same texts, and err."""

import numpy as np
from numpy.typing import NDArray


def people(
    n: int, accuracies: list[float], shares: list[float], missing: float = 0.0, seed: int = 0
) -> NDArray[np.int64]:
    """Codes (n, R) of persons who are right with some probability, and else give another class."""
    rng = np.random.default_rng(seed)
    K, R = len(shares), len(accuracies)
    truth = rng.choice(K, n, p=shares)
    right = rng.random((n, R)) < np.array(accuracies)
    codes = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, K, (n, R))) % K)
    return np.where(rng.random((n, R)) < missing, -1, codes)
