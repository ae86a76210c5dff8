"""Linear probing, then fine-tuning: the head starts as the classifier on the states of the model that is not tuned yet.

A head that starts from 0 makes the first steps change the states under it, towards whatever tells the annotator's
labels apart, its errors included. From a head that is fitted already they start where the frozen classifier ends.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.classifiers.thresholds import add_intercept, constant_direction
from silr.classifiers.tokens import Tokens
from silr.risk import UURisk

SAMPLE = 4096  # texts, at most, that say in which direction all states are alike


class ProbeStates:
    """What the last layer of the head reads of each text before anything is tuned; in a temporary file.

    Attributes
    ----------
    matrix : float32 memory map of shape (n, width)
        One row a text of the corpus, equal texts included.
    """

    def __init__(self, tokens: Tokens, width: int) -> None:
        self._rows = np.argsort(tokens.where, kind="stable")
        self._starts = np.searchsorted(tokens.where[self._rows], np.arange(len(tokens.ids) + 1))
        with tempfile.TemporaryFile() as file:  # gone with the map
            self.matrix = np.memmap(file, np.float32, "w+", shape=(len(tokens), width))

    def put(self, positions: NDArray[np.int64], states: NDArray[np.float32]) -> None:
        """Keep the states of some distinct texts."""
        for position, state in zip(positions, states, strict=True):
            self.matrix[self._rows[self._starts[position] : self._starts[position + 1]]] = state


def start_from_probe(
    layer: nn.Linear,
    states: Any,
    pseudo_labels: NDArray[np.int16],
    risk: UURisk,
    validation: NDArray[np.bool_],
    random_state: int,
) -> None:
    """Fit a linear head to states under the risk, and put it into the layer, standardisation worked in.

    Parameters
    ----------
    layer : Linear
        The last of the network's head; changed in place.
    states : array of shape (n, width)
        What the layer reads.
    pseudo_labels, risk, validation, random_state
        As of `silr.classifiers.base.Classifier.fit`.

    References
    ----------
    Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022.
    """
    probe = FrozenClassifier(FrozenConfig(match_prior=False), "cpu")
    probe.fit(states, pseudo_labels, risk.cpu(), validation, random_state)
    scaling = probe.standardise_
    with torch.no_grad():
        weight = probe.head_.weight * scaling.scale
        intercept = probe.head_.bias - weight @ scaling.mean
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.zero_()
    direction = None
    if layer.bias is None:
        direction = constant_direction(torch.from_numpy(states[:: -(-len(states) // SAMPLE)]))
    add_intercept(layer, direction, intercept)
