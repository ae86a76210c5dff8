"""The classifier on frozen features: standardise, then a linear head or one hidden layer, in torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from silr.classifiers.adamw import AdamW
from silr.classifiers.base import FitHistory, OnStep
from silr.classifiers.linear import FeatureClassifier
from silr.classifiers.standardise import CHUNK_ROWS, Standardiser, as_tensor
from silr.errors import InputError, reading
from silr.io.files import atomic_write, write_json
from silr.stats.prior_matching import prior_offsets
from silr.stats.uu_risk import UURisk

TARGET_STEPS = 250
BATCHES_AN_EPOCH = 25

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class FrozenConfig:
    """Settings of a head on frozen features."""

    hidden_units: int = 0  # units of the hidden layer (ReLU); 0 is a linear head
    # None: as many as make about 250 steps, at least 2. The number of steps is what regularises: a head that is trained
    # long enough learns to repeat the annotator, its errors included.
    epochs: int | None = None
    batch_size: int | None = None  # texts a step; None: a 25th of the training texts, at least 256 and at most 4096
    learning_rate: float = 1e-3  # AdamW's, decayed to 0 along a cosine
    weight_decay: float = 0.01
    # after the fit, shift the class scores so that each class is predicted as often as the class prior says. False is
    # the paper's recipe.
    match_prior: bool = True


class FrozenClassifier(FeatureClassifier):
    """A head on frozen features, fitted under a UU risk.

    No `device`: the GPU if there is one, else the processor. No `standardiser`: that of the corpus given to `fit`; the
    loop computes it once for all iterations.

    References
    ----------
    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    standardise_: Standardiser

    def __init__(
        self, config: FrozenConfig | None = None, device: str | None = None, standardiser: Standardiser | None = None
    ) -> None:
        self.config = config or FrozenConfig()
        self._standardiser = standardiser
        if standardiser is not None:
            self.standardise_ = standardiser
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def fit(
        self,
        X: NDArray[np.number],
        pseudo_labels: NDArray[np.int16],
        risk: UURisk,
        validation: NDArray[np.bool_],
        random_state: int,
        on_step: OnStep | None = None,
    ) -> FitHistory:
        """Fit a fresh head and keep the epoch with the lowest validation risk (the last if nothing is held out).

        X may be a memory map; it is read in batches and never copied.

        Raises InputError if no text is left to train on, or the risk became non-finite.
        """
        sets = [np.flatnonzero((pseudo_labels == j) & ~validation) for j in range(risk.n_classes)]
        validation_rows = np.flatnonzero((pseudo_labels >= 0) & validation)
        n_train = sum(map(len, sets))
        if not n_train:
            raise InputError("no labelled text is left to train on")
        self.standardise_ = (self._standardiser or Standardiser.of(X)).to(self.device)
        self.head_ = self._new_head(X.shape[1], risk.n_classes, random_state)
        risk = risk.to(self.device)
        batch_size = self.config.batch_size or int(np.clip(-(-n_train // BATCHES_AN_EPOCH), 256, 4096))
        features, labels = as_tensor(X), torch.from_numpy(np.ascontiguousarray(pseudo_labels))
        steps_an_epoch = -(-n_train // batch_size)
        epochs = self.config.epochs or max(2, round(TARGET_STEPS / steps_an_epoch))
        total_steps = epochs * steps_an_epoch
        rate, decay = self.config.learning_rate, self.config.weight_decay
        optimizer = AdamW(self.head_.parameters(), rate, decay, total_steps)
        rng = np.random.default_rng(random_state)
        history, best_state = FitHistory([], [], 0), self._state()
        steps, report = 0, on_step or (lambda done, total: None)
        report(steps, total_steps)
        with _threads_for(batch_size * X.shape[1]):
            for epoch in range(epochs):
                total = torch.zeros((), device=self.device)
                for rows in _batches(sets, steps_an_epoch, rng):
                    scores = self.head_(self.standardise_(features, rows))
                    loss = risk(scores, labels[rows].to(self.device, torch.int64))
                    loss.backward()
                    optimizer.step()
                    total += loss.detach()
                    steps += 1
                    report(steps, total_steps)
                history.train_risk.append(float(total) / steps_an_epoch)
                if not np.isfinite(history.train_risk[-1]):
                    raise InputError(
                        "the risk became non-finite: lower the learning rate, or check the features' scale"
                    )
                if len(validation_rows):
                    risk_of_held_out = self._risk_of(features, labels, torch.from_numpy(validation_rows), risk)
                    history.validation_risk.append(risk_of_held_out)
                held_out = history.validation_risk
                if epoch == 0 or not held_out or held_out[-1] < held_out[history.best_epoch]:
                    history, best_state = replace(history, best_epoch=epoch), self._state()
            self.head_.load_state_dict(best_state)
        self.offsets_ = np.zeros(risk.n_classes)
        if self.config.match_prior:
            self.offsets_ = prior_offsets(self.decision_scores(X), risk.class_prior.double().cpu().numpy())
        return history

    def _logits(self, rows: NDArray[np.number]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(self.head_(self.standardise_(as_tensor(rows), slice(None))).cpu().numpy())

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _double(self.standardise_.mean), _double(self.standardise_.scale)

    def layers(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        linear = [module for module in self.head_.modules() if isinstance(module, nn.Linear)]
        return [(_double(layer.weight.detach()), _double(layer.bias.detach())) for layer in linear]

    def save(self, folder: Path) -> None:
        """Write ``classifier.safetensors`` and ``classifier.json`` into an existing folder."""
        tensors = {f"head.{name}": value for name, value in self._state().items()}
        tensors |= {"mean": self.standardise_.mean, "scale": self.standardise_.scale}
        tensors["offsets"] = torch.from_numpy(self.offsets_)
        with atomic_write(folder / "classifier.safetensors") as file:
            file.write(save({name: value.cpu().contiguous() for name, value in tensors.items()}))
        write_json(folder / "classifier.json", {"kind": "frozen", **asdict(self.config)})

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> FrozenClassifier:
        """Read what `save` wrote; InputError if the files are missing or damaged."""
        with reading(f"the classifier in {folder}"):
            values = json.loads((folder / "classifier.json").read_text())
            values.pop("kind")
            classifier = cls(FrozenConfig(**values), device)
            tensors = load_file(folder / "classifier.safetensors", device=str(classifier.device))
            mean, scale = tensors.pop("mean"), tensors.pop("scale")
            if mean.shape != scale.shape:
                raise InputError("the features' means and scales differ in number")
            classifier.standardise_ = Standardiser(mean, scale)
            classifier.offsets_ = tensors.pop("offsets").cpu().numpy()
            classifier.head_ = classifier._new_head(len(mean), len(classifier.offsets_), 0)
            classifier.head_.load_state_dict({name.removeprefix("head."): value for name, value in tensors.items()})
        return classifier

    def _new_head(self, n_features: int, n_classes: int, seed: int) -> nn.Module:
        outputs = 1 if n_classes == 2 else n_classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if not self.config.hidden_units:
                linear = nn.Linear(n_features, outputs)
                nn.init.zeros_(linear.weight)
                nn.init.zeros_(linear.bias)
                return linear.to(self.device)
            hidden = nn.Linear(n_features, self.config.hidden_units)
            return nn.Sequential(hidden, nn.ReLU(), nn.Linear(self.config.hidden_units, outputs)).to(self.device)

    def _risk_of(self, features: Tensor, labels: Tensor, rows: Tensor, risk: UURisk) -> float:
        sums, sizes = torch.zeros_like(risk.weights), torch.zeros_like(risk.weights[0])
        with torch.inference_mode():
            for part in torch.split(rows, CHUNK_ROWS):
                logits = self.head_(self.standardise_(features, part))
                part_sums, part_sizes = risk.set_sums(logits, labels[part].to(self.device, torch.int64))
                sums, sizes = sums + part_sums, sizes + part_sizes
            return float(risk.from_sums(sums, sizes))

    def _state(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.head_.state_dict().items()}


@contextmanager
def _threads_for(numbers_a_batch: int) -> Iterator[None]:
    """One thread for small batches: sharing them costs more than it gains, many times more on a busy machine."""
    threads = torch.get_num_threads()
    if numbers_a_batch < 2**20:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _double(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.double().cpu().numpy())


def _batches(sets: list[Rows], steps: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Shuffle each set and spread it evenly over the batches, so that a set of a few per cent is in every one."""
    bounds = []
    for rows in sets:
        rng.shuffle(rows)
        bounds.append(np.floor(np.linspace(0, len(rows), steps + 1) + rng.random()).astype(int))
    for step in range(steps):
        parts = [rows[at[step] : at[step + 1]] for rows, at in zip(sets, bounds, strict=True)]
        yield torch.from_numpy(np.concatenate(parts))
