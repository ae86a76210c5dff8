"""What the loop asks of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from silr.stats.uu_risk import UURisk


OnStep = Callable[[int, int], None]
"""Takes how many steps of a fit are done, and how many there are."""


@dataclass(frozen=True)
class FitHistory:
    """Risks of one fit, by epoch."""

    train_risk: list[float]  # mean corrected risk of the epoch's batches
    validation_risk: list[float]  # corrected risk of the validation texts after the epoch
    best_epoch: int  # the epoch that was kept, counted from 0: the lowest validation risk

    def to_dict(self) -> dict[str, object]:
        """As JSON-friendly values."""
        return asdict(self)


class Classifier(Protocol):
    """Anything that fits under a UU risk and scores texts."""

    def fit(
        self,
        X: Any,
        pseudo_labels: NDArray[np.int16],
        risk: UURisk,
        validation: NDArray[np.bool_],
        random_state: int,
        on_step: OnStep | None = None,
    ) -> FitHistory:
        """Fit a fresh classifier and keep its best epoch.

        `X`: the corpus, as the classifier reads it (features or texts). `pseudo_labels`, shape (n,): the set U_j of
        each text, 0..K-1, or -1 for a text that is in none. `validation`, shape (n,): True for the texts that choose
        the epoch, False for those that train. Same seed, same machine: same classifier. `on_step` is
        called with 0 before the first step and with the number of steps done after each, and how many there are.
        """
        ...

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Class scores that sum to 1, shape (n, K)."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted classifier into an existing folder (safetensors and JSON)."""
        ...
