"""Settings of the UU risk (`silr.risk`), known without PyTorch."""

from typing import Literal

Loss = Literal["sigmoid", "logistic"]
Correction = Literal["none", "leaky", "relu", "abs"]

LEAK = -0.001
