"""The losses and corrections of the UU risk by their names, for who needs no torch."""

from typing import Literal

Loss = Literal["sigmoid", "logistic"]
Correction = Literal["none", "leaky", "relu", "abs"]

LEAK = -0.001  # lambda of the correction "leaky"; Asano et al.
