"""Linear probing, then fine-tuning: the head starts as the classifier on the states of the model that is not tuned yet.

A head that starts from 0 makes the first steps change the states under it, towards whatever tells the annotator's
labels apart, its errors included. From a head that is fitted already they start where the frozen classifier ends.
"""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from silr.classifiers.finetuned.thresholds import add_intercept, constant_direction
from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.classifiers.standardise import Standardiser
from silr.hf.tokens import Tokens
from silr.stats.contrasts import contrasts
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.stats.uu_risk import SoftRisk, UURisk

CLIP = 0.02  # of soft labels, before their logarithm
SAMPLE = 4096  # texts, at most, that say in which direction all states are alike


class ProbeStates:
    """What the last layer of the head reads of each text before anything is tuned.

    They lie in a temporary file, texts times width numbers, that is gone with the process.

    `matrix`, shape (n, width): one row a text of the corpus, equal texts included; in `folder`, by default where
    temporary files lie.
    """

    def __init__(self, tokens: Tokens, width: int, folder: Path | None = None) -> None:
        self.tokens = tokens
        self._rows = np.argsort(tokens.where, kind="stable")
        self._starts = np.searchsorted(tokens.where[self._rows], np.arange(len(tokens.ids) + 1))
        with tempfile.TemporaryFile(dir=folder) as file:  # the map keeps it
            self.matrix = np.memmap(file, np.float32, "w+", shape=(len(tokens), width))

    def put(self, positions: NDArray[np.int64], states: NDArray[np.float32]) -> None:
        """Keep the states of some distinct texts."""
        for position, state in zip(positions, states, strict=True):
            self.matrix[self._rows[self._starts[position] : self._starts[position + 1]]] = state

    def start(
        self,
        layer: nn.Linear,
        pseudo_labels: NDArray[np.number],
        risk: UURisk | SoftRisk,
        validation: NDArray[np.bool_],
        random_state: int,
    ) -> None:
        """Fit a linear head, and put it into the layer, standardisation worked in.

        The layer, the last of the network's head, is changed in place; the others are as those of
        `silr.classifiers.finetuned.classifier.FinetunedClassifier.fit`. A head for soft labels is a ridge regression of
        their
        log-odds on the states of all texts.

        References
        ----------
        Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022.
        """
        if isinstance(risk, UURisk):
            probe = FrozenClassifier(FrozenConfig(match_prior=False), "cpu", self._standardiser)
            probe.fit(self.matrix, pseudo_labels.astype(np.int16), risk, validation, random_state)
            head: Any = probe.head_
            weight, intercept = head.weight.detach(), head.bias.detach()
        else:
            logits = np.log(np.clip(pseudo_labels, CLIP, 1).astype(np.float64))
            logits = contrasts(logits) if layer.out_features == 1 else logits
            ridge = Ridge(StandardisedMatrix(self.matrix), PENALTY)
            weight, intercept = (torch.from_numpy(part).float() for part in ridge.fit(logits))
        with torch.no_grad():
            weight = weight * self._standardiser.scale
            intercept = intercept - weight @ self._standardiser.mean
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.zero_()
        add_intercept(layer, self._direction if layer.bias is None else None, intercept)

    @cached_property
    def _standardiser(self) -> Standardiser:
        return Standardiser.of(self.matrix)

    @cached_property
    def _direction(self) -> Tensor:
        return constant_direction(torch.from_numpy(self.matrix[:: -(-len(self.matrix) // SAMPLE)]))
