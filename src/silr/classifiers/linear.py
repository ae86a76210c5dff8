"""Linear classifiers on frozen features, by NumPy: what the default method ends with, and any linear head read back."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from scipy.special import softmax

from silr.classifiers.base import FitHistory
from silr.errors import InputError, reading
from silr.io.files import atomic_write, write_json
from silr.stats.contrasts import Float32, Numbers, with_reference
from silr.stats.standardise import CHUNK_ROWS, Standardiser


class FeatureClassifier:
    """Scores texts by their features; what linear classifiers and those with a hidden layer share."""

    offsets_: Numbers  # shape (K,), added to the logits

    def _logits(self, rows: NDArray[np.number]) -> Float32:
        """Logits of some rows of features, shape (b, K), or (b, 1) for two classes: those of class 1."""
        raise NotImplementedError

    def moments(self) -> tuple[Numbers, Numbers]:
        """Mean and scale of the features, shape (d,)."""
        raise NotImplementedError

    def layers(self) -> list[tuple[Numbers, Numbers]]:
        """Weight and bias of each layer, for standardised features."""
        raise NotImplementedError

    def decision_scores(self, X: NDArray[np.number]) -> Float32:
        """Class logits, offsets included, shape (n, K)."""
        scores = np.empty((len(X), len(self.offsets_)), dtype=np.float32)
        for start in range(0, len(X), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            scores[rows] = with_reference(self._logits(X[rows]))
        scores += self.offsets_.astype(np.float32)
        return scores

    def predict_proba(self, X: NDArray[np.number]) -> Float32:
        """Softmax of `decision_scores`, shape (n, K)."""
        return np.asarray(softmax(self.decision_scores(X), axis=1))


class LinearClassifier(FeatureClassifier):
    """A known linear map of standardised features: weights (T, d), of contrasts or of the logits of two classes."""

    def __init__(self, weight: Numbers, intercept: Numbers, standardiser: Standardiser) -> None:
        self.standardise_, self.offsets_ = standardiser, np.zeros(max(len(weight), 2))
        if len(weight) == 2:
            weight, intercept = weight[1:] - weight[:1], intercept[1:] - intercept[:1]
        self.weight_, self.bias_ = weight.astype(np.float32), intercept.astype(np.float32)

    def _logits(self, rows: NDArray[np.number]) -> Float32:
        return np.asarray(self.standardise_(rows) @ self.weight_.T + self.bias_)

    def moments(self) -> tuple[Numbers, Numbers]:
        return self.standardise_.mean.astype(np.float64), self.standardise_.scale.astype(np.float64)

    def layers(self) -> list[tuple[Numbers, Numbers]]:
        return [(self.weight_.astype(np.float64), self.bias_.astype(np.float64))]

    def fit(self, *args: Any, **options: Any) -> FitHistory:
        """Nothing to fit: the map is known."""
        raise TypeError("a linear classifier is made of a map that is known")

    def save(self, folder: Path) -> None:
        """Write ``classifier.safetensors`` and ``classifier.json`` into an existing folder."""
        tensors = {"head.weight": self.weight_, "head.bias": self.bias_, "offsets": self.offsets_}
        tensors |= {"mean": self.standardise_.mean, "scale": self.standardise_.scale}
        with atomic_write(folder / "classifier.safetensors") as file:
            file.write(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))
        write_json(folder / "classifier.json", {"kind": "linear"})

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> Self:
        """Read what `save` wrote, or `FrozenClassifier` without a hidden layer; InputError if damaged."""
        with reading(f"the classifier in {folder}"):
            tensors = load_file(folder / "classifier.safetensors")
            mean, scale, weight, bias = (tensors[name] for name in ("mean", "scale", "head.weight", "head.bias"))
            if mean.shape != scale.shape:
                raise InputError("the features' means and scales differ in number")
            outputs = len(tensors["offsets"]) if len(tensors["offsets"]) > 2 else 1
            if weight.shape != (outputs, len(mean)) or bias.shape != (outputs,):
                raise InputError(f"the head has the shape {weight.shape}, where {(outputs, len(mean))} is wanted")
            classifier = cls.__new__(cls)
            classifier.standardise_, classifier.offsets_ = Standardiser(mean, scale), tensors["offsets"]
            classifier.weight_, classifier.bias_ = weight, bias
        return classifier
