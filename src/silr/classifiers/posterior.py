"""The default method's classifier: a linear head on features, and the posterior where LLMs label new texts too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from silr.classifiers.linear import LinearClassifier
from silr.errors import reading
from silr.io.files import atomic_write, write_json
from silr.stats.annotator_evidence import Annotator, Scale, one_hot
from silr.stats.contrasts import contrasts, probabilities
from silr.stats.standardise import Standardiser

Keys = NDArray[np.uint64]

FILE = "posterior.safetensors"
ROWS_AT_ONCE = 4096
MULTIPLIER, TURN = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)  # of keys
ZERO = np.float32(0.0)  # added, it makes 0.0 of -0.0


@dataclass(frozen=True)
class Head:
    """Contrasts as a linear function of a text's standardised features and of what L LLMs say of it."""

    weight: NDArray[np.float64]  # shape (T, d)
    intercept: NDArray[np.float64]  # shape (T,)
    tables: NDArray[np.float64]  # shape (L, K, T), what each LLM's label adds
    slopes: NDArray[np.float64]  # shape (L,), of each LLM's standardised scores


@dataclass(frozen=True)
class Mixture:
    """Models whose probabilities are averaged where LLMs say something of a text."""

    models: Sequence[Head]
    weights: NDArray[np.float64]  # shape (M,)
    scales: Sequence[Scale | None]  # of each LLM's scores; None for one that is known by its labels


@dataclass(frozen=True)
class Remembered:
    """Texts of the corpus with what LLMs said of them, and their class probabilities.

    In the corpus a text is predicted without its own soft label, which no formula for new texts can do.
    """

    keys: Keys  # shape (r,), sorted
    probabilities: NDArray[np.float32]  # shape (r, K)

    def recall(self, keys: Keys, probabilities: NDArray[np.float32]) -> None:
        """Put those of known texts into `probabilities`, shape (n, K)."""
        if not len(self.keys):
            return
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[places] == keys
        probabilities[known] = self.probabilities[places[known]]


class PosteriorClassifier(LinearClassifier):
    """A linear head that reads features alone; and, for texts that LLMs have labelled too, the posterior."""

    def __init__(self, alone: Head, mixture: Mixture, standardiser: Standardiser, remembered: Remembered) -> None:
        super().__init__(alone.weight, alone.intercept, standardiser)
        self.alone, self.mixture, self.remembered = alone, mixture, remembered

    def predict_with_annotators(
        self, X: NDArray[np.number], annotators: Sequence[Annotator], keys: Keys
    ) -> NDArray[np.float32]:
        """Class probabilities of texts, shape (n, K), from features and from what LLMs say of them.

        There are as many annotators as there were; a text of which none says anything is labelled by its features
        alone. `keys` are those of texts `with_annotators`.
        """
        result = self.predict_proba(X)
        is_annotated = np.zeros(len(result), bool)
        for annotator in annotators:
            is_annotated |= annotator.labels >= 0
            if annotator.scores is not None:
                is_annotated |= np.isfinite(annotator.scores).all(axis=1)
        rows = np.flatnonzero(is_annotated)
        if len(rows):
            result[rows] = self._posterior(X[rows], [annotator.at(rows) for annotator in annotators])
        self.remembered.recall(keys, result)
        return result

    def _posterior(self, X: NDArray[np.number], annotators: Sequence[Annotator]) -> NDArray[np.float64]:
        """The models' probabilities, averaged, shape (n, K)."""
        mean = np.zeros((len(X), len(self.offsets_)))
        for weight, model in zip(self.mixture.weights, self.mixture.models, strict=True):
            linear = LinearClassifier(model.weight, model.intercept, self.standardise_)
            values = contrasts(linear.decision_scores(X))
            for place, (annotator, scale) in enumerate(zip(annotators, self.mixture.scales, strict=True)):
                values += one_hot(annotator.labels, len(self.offsets_)) @ model.tables[place]
                if scale is not None and annotator.scores is not None:
                    values += model.slopes[place] * scale(annotator.scores)
            mean += weight * probabilities(values)
        return mean

    def save(self, folder: Path) -> None:
        """Write the head as `LinearClassifier` does, and ``posterior.safetensors`` beside it."""
        super().save(folder)
        tensors = {"model_weights": self.mixture.weights}
        for place, head in enumerate([self.alone, *self.mixture.models]):
            tensors |= {f"{place}.{name}": np.ascontiguousarray(value) for name, value in vars(head).items()}
        for place, scale in enumerate(self.mixture.scales):
            if scale is not None:
                tensors |= {f"scale.{place}.mean": scale.mean, f"scale.{place}.deviation": np.array([scale.deviation])}
        tensors |= {f"remembered.{name}": value for name, value in vars(self.remembered).items()}
        with atomic_write(folder / FILE) as file:
            file.write(save(tensors))
        write_json(folder / "classifier.json", {"kind": "posterior", "annotators": len(self.mixture.scales)})

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> PosteriorClassifier:
        """Read what `save` wrote; InputError if the files are missing or damaged."""
        with reading(f"the classifier in {folder}"):
            moments = load_file(folder / "classifier.safetensors")
            tensors = load_file(folder / FILE)
            weights = tensors["model_weights"]
            names = ("weight", "intercept", "tables", "slopes")
            heads = [Head(*(tensors[f"{place}.{name}"] for name in names)) for place in range(1 + len(weights))]
            scales = [
                Scale(tensors[f"scale.{place}.mean"], float(tensors[f"scale.{place}.deviation"][0]))
                if f"scale.{place}.mean" in tensors
                else None
                for place in range(len(heads[0].slopes))
            ]
            remembered = Remembered(tensors["remembered.keys"], tensors["remembered.probabilities"])
            standardiser = Standardiser(moments["mean"], moments["scale"])
            return cls(heads[0], Mixture(heads[1:], weights, scales), standardiser, remembered)


def keys_of(texts: Sequence[str] | None, X: NDArray[np.number]) -> Keys:
    """Keys by which texts of the corpus are known again, shape (n,); without texts from the rows of X."""
    return row_keys(X) if texts is None else text_keys(texts)


def text_keys(texts: Sequence[str]) -> Keys:
    """One key a text, shape (n,)."""
    return _hashed(text.encode("utf-8", "surrogatepass") for text in texts)


def row_keys(X: NDArray[np.number]) -> Keys:
    """One key a row of a matrix, shape (n,), from its numbers as float32."""
    parts = [X[start : start + ROWS_AT_ONCE] for start in range(0, len(X), ROWS_AT_ONCE)]
    return np.concatenate([_hashed(row.tobytes() for row in np.asarray(part, np.float32) + ZERO) for part in parts])


def with_annotators(keys: Keys, annotators: Sequence[Annotator]) -> Keys:
    """Keys of texts and of what LLMs say of them."""
    for annotator in annotators:
        keys = _mixed_with(keys, annotator.labels.astype(np.uint64))
        if annotator.scores is not None:
            keys = _mixed_with(keys, row_keys(annotator.scores))
    return keys


def _hashed(values: Iterable[bytes]) -> Keys:
    digests = bytearray()  # of millions of texts: eight bytes each, and no object
    for value in values:
        digests += blake2b(value, digest_size=8).digest()
    return np.frombuffer(digests, np.uint64)


def _mixed_with(keys: Keys, others: Keys) -> Keys:
    mixed = keys * MULTIPLIER + others
    return mixed ^ (mixed >> TURN)
