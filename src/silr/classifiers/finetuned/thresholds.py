"""Prior matching (`silr.stats.prior_matching`) for a head that may have no intercept, worked into its weights."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from silr.stats.contrasts import Float32, Numbers, with_reference
from silr.stats.prior_matching import prior_offsets

RIDGE = 1e-3  # of the states' mean variance


def match_prior(
    layer: nn.Linear,
    direction: Tensor | None,
    score: Callable[[], Float32],
    where: NDArray[np.int64],
    prior: Numbers,
) -> Float32:
    """Change a head so that each class is predicted as often as the class prior says.

    Decoders of transformers have heads without intercept, so that a threshold would be lost on the way into a folder.
    In its place a multiple of `direction` is added to the weights: a direction in which all texts' states are about 1.

    `layer`: the last of the head; changed in place. `direction`, shape (width,): see `constant_direction`; None if the
    layer has an intercept. `score`: scores of all texts by the layer as it is when it is called, shape (n, layer's
    outputs). `where`: the position of each text of the corpus among those that are scored. Returns shape (n, outputs):
    the scores after the change; no text is read again.
    """
    if direction is None:
        scores = score()
        sizes = np.ones((len(scores), 1), np.float32)
    else:
        weight = layer.weight
        layer.weight = nn.Parameter(torch.cat([weight, direction.to(weight)[None]]), requires_grad=False)
        both = score()
        layer.weight = weight
        scores, sizes = both[:, :-1], both[:, -1:]
    logits = with_reference(scores / np.maximum(sizes, 1e-3))  # a shift of the weights moves these alike in all texts
    offsets = prior_offsets(logits[where], prior)
    shift = (offsets[1:] - offsets[:1] if scores.shape[1] == 1 else offsets).astype(np.float32)
    add_intercept(layer, direction, torch.from_numpy(shift))
    return np.asarray(scores + sizes * shift)


def add_intercept(layer: nn.Linear, direction: Tensor | None, shift: Tensor) -> None:
    """Shift all scores by `shift`, shape (outputs,); a layer without intercept along the constant direction."""
    with torch.no_grad():
        here = shift.to(layer.weight)
        if direction is None:
            layer.bias.add_(here)
        else:
            layer.weight.add_(here[:, None] * direction.to(layer.weight))


def constant_direction(states: Tensor) -> Tensor:
    """The direction u, shape (width,), with ``states @ u`` about 1 for every text.

    Of all u with a mean of 1 it has the least variance, up to the ridge: ``(S + r I)^-1 m`` scaled, with the mean m and
    the covariance S of the states, shape (n, width).
    """
    states = states.double()
    mean = states.mean(dim=0)
    covariance = torch.cov(states.T)
    covariance += RIDGE * covariance.diagonal().mean() * torch.eye(len(mean), dtype=torch.float64)
    direction: Tensor = torch.linalg.solve(covariance, mean)
    return (direction / (mean @ direction)).float()
