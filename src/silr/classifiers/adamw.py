"""AdamW for a small head.

`torch.optim` imports torch's compiler on first use: 70 MB and more than a second, for a head of a few hundred numbers.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay and a learning rate that falls to 0 along a cosine.

    It is 0 after `steps` steps.

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float, steps: int
    ) -> None:
        self._state = [(each, torch.zeros_like(each), torch.zeros_like(each)) for each in parameters]
        self._learning_rate, self._weight_decay, self._steps = learning_rate, weight_decay, steps
        self._taken = 0

    @torch.no_grad()
    def step(self) -> None:
        """Move along the gradients and clear them."""
        rate = self._learning_rate * (1 + math.cos(math.pi * self._taken / self._steps)) / 2
        self._taken += 1
        first, second = (1 - beta**self._taken for beta in BETAS)
        for parameter, mean, square in self._state:
            gradient = parameter.grad
            assert gradient is not None
            mean.lerp_(gradient, 1 - BETAS[0])
            square.lerp_(gradient * gradient, 1 - BETAS[1])
            parameter.mul_(1 - rate * self._weight_decay)
            parameter.addcdiv_(mean, (square / second).sqrt_().add_(EPSILON), value=-rate / first)
            parameter.grad = None
