"""The head on frozen features: what it learns, what it keeps, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from silr.classifiers.base import FitHistory
from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.classifiers.standardise import Standardiser
from silr.errors import InputError
from silr.stats.uu_risk import UURisk

QUICK = FrozenConfig(epochs=5, batch_size=64)


@dataclass
class Toy:
    """Separable classes and an annotator that calls most of the texts by its favourite class, the last."""

    X: NDArray[np.float32]
    truth: NDArray[np.int64]
    labels: NDArray[np.int64]
    theta: NDArray[np.float64]
    prior: NDArray[np.float64]
    validation: NDArray[np.bool_]

    def risk(self, **settings: Any) -> UURisk:
        return UURisk(self.theta, self.prior, **settings)

    def fit(
        self, config: FrozenConfig = QUICK, risk: UURisk | None = None, seed: int = 0, **changed: Any
    ) -> tuple[FrozenClassifier, FitHistory]:
        values = {"X": self.X, "labels": self.labels, "validation": self.validation} | changed
        classifier = FrozenClassifier(config, device="cpu")
        history = classifier.fit(
            values["X"], values["labels"], risk or self.risk(correction="none"), values["validation"], seed
        )
        return classifier, history

    def accuracy(self, classifier: FrozenClassifier) -> float:
        return float((classifier.predict_proba(self.X).argmax(axis=1) == self.truth).mean())


def a_toy(n_classes: int = 2, n: int = 1500, error: float = 0.8, seed: int = 0) -> Toy:
    rng = np.random.default_rng(seed)
    prior = np.array([0.5, 0.5] if n_classes == 2 else [0.4, 0.35, 0.25])
    truth = rng.choice(n_classes, p=prior, size=n)
    X = (rng.normal(size=(n, 6)) + 4 * np.eye(6)[truth]).astype(np.float32)
    labels = np.where(rng.random(n) < error, n_classes - 1, truth)
    theta = np.array([np.bincount(truth[labels == j], minlength=n_classes) for j in range(n_classes)], dtype=float)
    theta /= theta.sum(axis=1, keepdims=True)
    return Toy(X, truth, labels, theta, np.bincount(truth) / n, np.arange(n) % 8 == 0)


def same_head(one: FrozenClassifier, other: FrozenClassifier) -> bool:
    states = one.head_.state_dict(), other.head_.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


# Learning


@pytest.mark.parametrize("loss", ["sigmoid", "logistic"])
@pytest.mark.parametrize("hidden_units", [0, 16])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_learns_the_truth_from_biased_labels(n_classes: int, hidden_units: int, loss: str) -> None:
    toy = a_toy(n_classes)
    config = FrozenConfig(hidden_units=hidden_units, epochs=40, learning_rate=1e-2, match_prior=False)
    robust, _ = toy.fit(config, toy.risk(loss=loss, correction="leaky"))
    shares = np.bincount(toy.labels) / len(toy.labels)
    plain, _ = toy.fit(config, UURisk(np.eye(n_classes), shares, loss))  # type: ignore[arg-type]
    annotator = (toy.labels == toy.truth).mean()
    assert toy.accuracy(robust) > 0.95
    assert toy.accuracy(plain) < annotator + 0.1 < 0.75
    later = a_toy(n_classes, seed=1)
    assert later.accuracy(robust) > 0.95


@pytest.mark.parametrize("n_classes", [2, 3])
def test_default_settings_learn_too(n_classes: int) -> None:
    toy = a_toy(n_classes)
    classifier, history = toy.fit(FrozenConfig())
    assert toy.accuracy(classifier) > 0.95
    steps_an_epoch = -(-int((~toy.validation).sum()) // 256)
    assert len(history.train_risk) * steps_an_epoch == pytest.approx(250, abs=steps_an_epoch)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_are_shares(n_classes: int) -> None:
    toy = a_toy(n_classes)
    classifier, _ = toy.fit()
    scores = classifier.predict_proba(toy.X)
    assert scores.shape == (len(toy.X), n_classes)
    assert scores.dtype == np.float32
    assert (scores >= 0).all()
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(scores)), abs=1e-6)
    logits = classifier.decision_scores(toy.X).astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert scores == pytest.approx(softmax, abs=1e-6)
    assert classifier.predict_proba(toy.X[5:6]) == pytest.approx(scores[5:6], abs=1e-6)  # whatever else is scored


# Seeds


@pytest.mark.parametrize("hidden_units", [0, 8])
def test_one_seed_one_head(hidden_units: int) -> None:
    toy = a_toy(3)
    config = FrozenConfig(hidden_units=hidden_units, epochs=5, batch_size=64)
    first, history = toy.fit(config)
    torch.rand(3)  # the global generators do not matter
    np.random.default_rng().random()
    second, again = toy.fit(config)
    other, _ = toy.fit(config, seed=1)
    assert same_head(first, second)
    assert history == again
    assert (first.predict_proba(toy.X) == second.predict_proba(toy.X)).all()
    difference = np.abs(first.predict_proba(toy.X) - other.predict_proba(toy.X))
    assert difference.max() > 0
    assert difference.mean() < 0.25


def test_a_fit_leaves_the_callers_random_numbers_and_threads_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        a_toy().fit(FrozenConfig(hidden_units=4, epochs=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.rand(4), expected)


def test_a_second_fit_starts_afresh() -> None:
    toy, classifier = a_toy(), FrozenClassifier(QUICK, device="cpu")
    for _ in range(2):
        classifier.fit(toy.X, toy.labels, toy.risk(), toy.validation, 0)
    assert same_head(classifier, toy.fit(risk=toy.risk())[0])


# Rows without a label, and rows held out


def test_rows_without_a_label_train_nothing() -> None:
    toy = a_toy()
    labels, changed = toy.labels.copy(), toy.X.copy()
    labels[::3] = -1
    changed[::3] = np.random.default_rng(1).normal(size=changed[::3].shape) * 9
    moments = Standardiser.of(toy.X)  # given, since they are those of all rows
    heads = []
    for X in (toy.X, changed):
        classifier = FrozenClassifier(FrozenConfig(epochs=5, batch_size=64, match_prior=False), "cpu", moments)
        classifier.fit(X, labels, toy.risk(), toy.validation, 0)
        heads.append(classifier)
    assert same_head(*heads)
    assert (heads[0].offsets_ == heads[1].offsets_).all()


def test_rows_without_a_label_count_for_the_moments_and_the_shares() -> None:
    toy = a_toy()
    labels, changed = toy.labels.copy(), toy.X.copy()
    labels[::3] = -1
    changed[::3] += 5
    classifier, _ = toy.fit(X=changed, labels=labels)
    assert classifier.standardise_.mean.numpy() == pytest.approx(changed.mean(axis=0), abs=1e-4)
    predicted = classifier.predict_proba(changed).argmax(axis=1)
    assert np.bincount(predicted) / len(predicted) == pytest.approx(toy.prior, abs=1e-3)  # of all rows


def test_rows_held_out_train_nothing() -> None:
    toy = a_toy()
    config = FrozenConfig(epochs=1, batch_size=64, match_prior=False)  # one epoch: nothing to choose
    changed, flipped = toy.X.copy(), toy.labels.copy()
    changed[toy.validation] *= -3
    flipped[toy.validation] = 1 - flipped[toy.validation]
    moments = Standardiser.of(toy.X)
    heads = []
    for X, labels in ((toy.X, toy.labels), (changed, flipped)):
        heads.append(FrozenClassifier(config, "cpu", moments))
        heads[-1].fit(X, labels, toy.risk(), toy.validation, 0)
    assert same_head(*heads)


# The best epoch


def test_the_epoch_of_the_lowest_validation_risk_is_kept() -> None:
    """Held-out labels that contradict the training ones: the risk there rises from the first epoch on."""
    toy = a_toy(error=0)
    labels = np.where(toy.validation, 1 - toy.labels, toy.labels)
    risk = UURisk(np.eye(2), [0.5, 0.5])
    config = FrozenConfig(epochs=8, batch_size=64, match_prior=False)
    classifier, history = toy.fit(config, risk, labels=labels)
    assert len(history.train_risk) == len(history.validation_risk) == 8
    assert history.best_epoch == int(np.argmin(history.validation_risk)) == 0
    assert history.train_risk == sorted(history.train_risk, reverse=True)
    logits = torch.from_numpy(classifier.decision_scores(toy.X[toy.validation]))
    kept = float(risk(logits, torch.from_numpy(labels[toy.validation])))
    assert kept == pytest.approx(history.validation_risk[0], abs=1e-6)
    assert json.loads(json.dumps(history.to_dict())) == history.to_dict()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_kept_head_has_the_recorded_risk(n_classes: int) -> None:
    toy = a_toy(n_classes)
    risk = toy.risk()
    config = FrozenConfig(epochs=12, batch_size=64, learning_rate=0.1, match_prior=False)
    classifier, history = toy.fit(config, risk)
    logits = torch.from_numpy(classifier.decision_scores(toy.X[toy.validation]))
    kept = float(risk(logits, torch.from_numpy(toy.labels[toy.validation])))
    assert kept == pytest.approx(min(history.validation_risk), abs=1e-5)


@pytest.mark.parametrize("validation_without_labels", [False, True])
def test_without_rows_held_out_the_last_epoch_is_kept(validation_without_labels: bool) -> None:
    toy = a_toy()
    labels = np.where(toy.validation, -1, toy.labels) if validation_without_labels else toy.labels
    validation = toy.validation if validation_without_labels else np.zeros_like(toy.validation)
    _, history = toy.fit(labels=labels, validation=validation)
    assert history.validation_risk == []
    assert history.best_epoch == 4


class WatchedRisk(UURisk):
    """Notes the size of each pseudo-labelled set in each batch."""

    def forward(self, logits: torch.Tensor, pseudo_labels: torch.Tensor) -> torch.Tensor:
        self.batches = [*getattr(self, "batches", []), torch.bincount(pseudo_labels, minlength=2).tolist()]
        return super().forward(logits, pseudo_labels)


def test_every_batch_holds_the_sets_in_the_corpus_shares() -> None:
    toy = a_toy(n=1600)
    labels = (np.arange(1600) % 20 == 7).astype(np.int64)  # a set of 5 %
    risk = WatchedRisk([[0.9, 0.1], [0.2, 0.8]], [0.6, 0.4])
    toy.fit(FrozenConfig(epochs=2, batch_size=100), risk, labels=labels, validation=np.zeros(1600, dtype=bool))
    assert len(risk.batches) == 2 * 16
    assert all(sum(batch) == 100 and 4 <= batch[1] <= 6 for batch in risk.batches)
    assert np.sum(risk.batches, axis=0).tolist() == [2 * 1520, 2 * 80]


# Matching the prior


@pytest.mark.parametrize("n_classes", [2, 3])
def test_predicts_each_class_as_often_as_the_prior_says(n_classes: int) -> None:
    toy = a_toy(n_classes)
    prior = np.array([0.3, 0.7] if n_classes == 2 else [0.2, 0.3, 0.5])
    risk = UURisk(toy.theta, prior)
    matched, _ = toy.fit(risk=risk)
    plain, _ = toy.fit(FrozenConfig(epochs=5, batch_size=64, match_prior=False), risk)
    shares = np.bincount(matched.predict_proba(toy.X).argmax(axis=1), minlength=n_classes) / len(toy.X)
    assert shares == pytest.approx(prior, abs=0.01)
    assert same_head(matched, plain)  # it is a shift after the fit
    assert (plain.offsets_ == 0).all()
    assert matched.decision_scores(toy.X) - plain.decision_scores(toy.X) == pytest.approx(
        np.broadcast_to(matched.offsets_, (len(toy.X), n_classes)), abs=1e-5
    )


# Inputs


def test_a_float16_memory_map_is_as_good_as_an_array(tmp_path: Path) -> None:
    toy = a_toy()
    half = toy.X.astype(np.float16)
    np.save(tmp_path / "features.npy", half)
    before = (tmp_path / "features.npy").read_bytes()
    mapped, _ = toy.fit(X=np.load(tmp_path / "features.npy", mmap_mode="r"))
    in_memory, _ = toy.fit(X=half)
    full, _ = toy.fit(X=half.astype(np.float32))
    assert same_head(mapped, in_memory)
    assert same_head(mapped, full)
    assert (tmp_path / "features.npy").read_bytes() == before


FIT_IN_LITTLE_MEMORY = """
import resource, sys
import numpy as np
from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
from silr.stats.uu_risk import UURisk

def fit(X):
    labels = np.arange(len(X)) % 2
    risk = UURisk([[0.9, 0.1], [0.4, 0.6]], [0.6, 0.4])
    FrozenClassifier(FrozenConfig(epochs=1), "cpu").fit(X, labels, risk, labels < 0, 0)

fit(np.zeros((3000, 256), dtype=np.float16))  # what is loaded and allocated once
with open("/proc/self/status") as file:
    used = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 90 * 2**20, -1))
fit(np.load(sys.argv[1], mmap_mode="r"))
print("fitted")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on data memory")
def test_a_memory_map_is_fitted_where_no_copy_of_it_has_room(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(200_000, 256))  # 98 MiB of holes
    features.flush()
    command = [sys.executable, "-c", FIT_IN_LITTLE_MEMORY, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.stdout == "fitted\n", result.stderr


@pytest.mark.parametrize("n", [1, 2, 3, 65])
def test_few_rows(n: int) -> None:
    toy = a_toy(n=200)
    classifier, history = toy.fit(
        FrozenConfig(epochs=2, batch_size=64),
        toy.risk(),
        X=toy.X[:n],
        labels=toy.labels[:n],
        validation=np.zeros(n, dtype=bool),
    )
    assert np.isfinite(classifier.predict_proba(toy.X)).all()
    assert np.isfinite(history.train_risk).all()


def test_a_class_without_a_label() -> None:
    toy = a_toy(3)
    labels = np.where(toy.labels == 1, -1, toy.labels)
    classifier, _ = toy.fit(labels=labels)
    assert classifier.predict_proba(toy.X).shape == (len(toy.X), 3)


def test_nothing_to_train_on() -> None:
    toy = a_toy()
    for changed in ({"labels": np.full_like(toy.labels, -1)}, {"validation": np.ones_like(toy.validation)}):
        with pytest.raises(InputError, match="no labelled text is left to train on"):
            toy.fit(**changed)


def test_a_risk_that_is_not_finite() -> None:
    toy = a_toy()
    X = toy.X.copy()
    X[5, 0] = np.nan
    with pytest.raises(InputError, match="non-finite"):
        toy.fit(X=X)


# Files


@pytest.mark.parametrize("hidden_units", [0, 8])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_saved_classifier_gives_the_same_scores(tmp_path: Path, n_classes: int, hidden_units: int) -> None:
    toy = a_toy(n_classes)
    classifier, _ = toy.fit(FrozenConfig(hidden_units=hidden_units, epochs=3, batch_size=64))
    classifier.save(tmp_path)
    loaded = FrozenClassifier.load(tmp_path, device="cpu")
    assert (loaded.predict_proba(toy.X) == classifier.predict_proba(toy.X)).all()
    assert loaded.config == classifier.config
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier.json", "classifier.safetensors"]
    settings = json.loads((tmp_path / "classifier.json").read_text())
    assert settings["kind"] == "frozen"
    assert settings["hidden_units"] == hidden_units
    assert set(load_file(tmp_path / "classifier.safetensors")) > {"mean", "scale", "offsets"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def without_scale(path: Path) -> None:
    tensors = load_file(path)
    del tensors["scale"]
    save_file(tensors, path)


def another_width(path: Path) -> None:
    tensors = load_file(path)
    tensors["mean"] = torch.zeros(9)
    save_file(tensors, path)


def another_scale(path: Path) -> None:
    tensors = load_file(path)
    tensors["scale"] = torch.ones(9)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("classifier.json", Path.unlink),
        ("classifier.json", cut),
        ("classifier.json", lambda path: path.write_text("[]")),
        ("classifier.json", lambda path: path.write_text("{}")),
        ("classifier.json", lambda path: path.write_text('{"kind": "frozen", "strange": 1}')),
        ("classifier.json", lambda path: path.write_bytes(b"\xff\xfe")),
        ("classifier.json", lambda path: path.write_text('{"kind": "frozen", "hidden_units": 3}')),
        ("classifier.safetensors", Path.unlink),
        ("classifier.safetensors", cut),
        ("classifier.safetensors", lambda path: path.write_bytes(b"")),
        ("classifier.safetensors", lambda path: path.write_bytes(b"PK" * 100)),
        ("classifier.safetensors", without_scale),
        ("classifier.safetensors", another_width),
        ("classifier.safetensors", another_scale),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, damage: Any) -> None:
    toy = a_toy(n=200)
    toy.fit(FrozenConfig(epochs=1))[0].save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(InputError, match="cannot read the classifier in") as refusal:
        FrozenClassifier.load(tmp_path, device="cpu")
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_head_of_a_gpu_is_read_on_a_processor(tmp_path: Path) -> None:
    toy = a_toy(3)
    classifier = FrozenClassifier(FrozenConfig())
    classifier.fit(toy.X, toy.labels, toy.risk(correction="none"), toy.validation, 0)
    assert classifier.device.type == "cuda"
    assert toy.accuracy(classifier) > 0.95
    classifier.save(tmp_path)
    loaded = FrozenClassifier.load(tmp_path, device="cpu")
    assert loaded.predict_proba(toy.X) == pytest.approx(classifier.predict_proba(toy.X), abs=1e-5)
