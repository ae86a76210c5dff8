"""What `--method` says, where no option says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from silr.losses import Correction

Method = Literal["silr", "uu", "paper"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a method.

    Attributes
    ----------
    correction : str
        Of a negative partial risk, see `silr.risk.UURisk`.
    match_prior : bool
        Whether thresholds are set by the class prior.
    tuning_epochs : int
        Epochs of a fine-tuned model.
    adapter_rate : float or None
        Learning rate of adapters; None: by the model's width.
    linear_probe : bool
        Whether a fine-tuned model starts from the head that fits the untuned one.
    soft : bool
        Whether it is the posterior from all evidence (`silr.posterior`), whose labels a fine-tuned model learns
        (`silr.soft_finetune`).
    """

    correction: Correction
    match_prior: bool
    tuning_epochs: int
    adapter_rate: float | None
    linear_probe: bool
    soft: bool = False


METHODS: dict[Method, Recipe] = {
    "silr": Recipe("none", match_prior=True, tuning_epochs=1, adapter_rate=None, linear_probe=True, soft=True),
    "uu": Recipe("none", match_prior=True, tuning_epochs=1, adapter_rate=None, linear_probe=True),
    "paper": Recipe("leaky", match_prior=False, tuning_epochs=3, adapter_rate=1e-4, linear_probe=False),
}
