"""The fine-tuned classifier: a pretrained model with adapters, or all of its weights, under the UU risk."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from scipy.special import softmax
from torch import Tensor

from silr.classifiers.base import FitHistory, OnStep
from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig, output_layer, trained_state
from silr.classifiers.finetuned.lower_layers import LowerLayers
from silr.classifiers.finetuned.network import Network, layers_of
from silr.classifiers.finetuned.probe import SAMPLE, ProbeStates
from silr.classifiers.finetuned.reading import TextItem, TextReader, TextRows, collate
from silr.classifiers.finetuned.shared_beginning import begin_once
from silr.classifiers.finetuned.thresholds import constant_direction, match_prior
from silr.errors import InputError, reading
from silr.hf.distributed import from_main, is_main, rank, wait_for_all, world_size
from silr.hf.fingerprint import WEIGHTS
from silr.hf.models import silence_transformers
from silr.hf.tokens import Tokens, passes
from silr.io.files import atomic_write, make_folder, write_json
from silr.stats.contrasts import with_reference
from silr.stats.uu_risk import SoftRisk, UURisk

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from silr.classifiers.finetuned.stratified_batches import StratifiedBatches
    from silr.classifiers.finetuned.trainer import UUTrainer

WARMUP = 0.03


class FinetunedClassifier:
    """A pretrained model, fine-tuned under a UU risk.

    `backbone`: shared by the classifiers of all iterations; it holds the weights of the one that was fitted or used
    last. `checkpoints`: a folder for checkpoints inside the fit; a fit that finds some there goes on from the last.

    References
    ----------
    LoRA: Hu et al., ICLR 2022. QLoRA: Dettmers et al., NeurIPS 2023. Settings: Asano et al., NeurIPS 2025.
    """

    def __init__(self, backbone: Backbone, n_classes: int, checkpoints: Path | None = None) -> None:
        self.config = backbone.config
        self._backbone, self._n_classes, self._checkpoints = backbone, n_classes, checkpoints
        self._network: Network = None
        self._scored: tuple[Tokens, NDArray[np.float32]] | None = None

    def fit(
        self,
        X: Tokens,
        pseudo_labels: NDArray[np.number],
        risk: UURisk | SoftRisk,
        validation: NDArray[np.bool_],
        random_state: int,
        on_step: OnStep | None = None,
    ) -> FitHistory:
        """Fit a fresh head and fresh adapters, and keep the epoch with the lowest validation risk.

        `pseudo_labels` may be soft, float32 of shape (n, K), with a `SoftRisk`; then batches are drawn at random.
        `on_step` counts batches: those that the lower layers read once, those that the head's start is fitted to, those
        of training, of validation after each epoch, and of relabelling afterwards.

        Raises InputError if there are fewer texts than one batch, the risk is no longer a number, or memory does not
        suffice.
        """
        from silr.classifiers.finetuned.trainer import UUTrainer
        from silr.hf.checkpoints import last_checkpoint

        labelled = pseudo_labels >= 0 if pseudo_labels.ndim == 1 else np.ones(len(pseudo_labels), bool)
        train, held_out = np.flatnonzero(labelled & ~validation), np.flatnonzero(labelled & validation)
        if not len(held_out):
            raise InputError(f"{len(train):,} texts are too few to hold some out; give more")
        lengths = X.lengths()
        held_out = held_out[np.argsort(-lengths[X.where[held_out]], kind="stable")]
        batches = self._batches(X, train, pseudo_labels[train], random_state)
        scored, relabelled = len(passes(lengths[X.where[held_out]], world_size())), len(X.passes(world_size()))
        checkpoint = None if self._checkpoints is None else last_checkpoint(self._checkpoints)
        first = 0 if self._is_read(X) else len(X.passes())
        if self.config.linear_probe and checkpoint is None and not self._is_probed(X):
            first += relabelled
        self._steps = _Steps(first + self.config.epochs * (len(batches) + scored) + relabelled, on_step)
        if first:
            self._steps.report()
        self._backbone.holder = None
        self._backbone.fresh(random_state)
        with _folder(self._checkpoints) as folder, _memory(), silence_transformers(), self._reading(X) as lower:
            reader = TextReader(self._backbone, lower, self._steps.one_more)
            trainer = UUTrainer(
                self._backbone,
                risk,
                self._arguments(folder, random_state),
                TextRows(X, X.where[train], pseudo_labels[train]),
                TextRows(X, X.where[held_out], pseudo_labels[held_out]),
                batches,
                reader,
                self._steps.one_more,
            )
            if self._checkpoints is not None:
                trainer.watch.seconds = self.config.checkpoint_seconds
            if checkpoint is not None:
                self._steps.done = first + _steps_before(checkpoint, len(batches), scored)
            elif self.config.linear_probe:
                layer = output_layer(self._backbone.network)
                self._probe(reader, X).start(layer, pseudo_labels, risk, validation, random_state)
            self._steps.report()
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
            self._backbone.holder = self
            if self.config.match_prior:
                self._match_prior(reader, X, X.where[held_out], risk.class_prior.double().cpu().numpy())
        self.state_ = trained_state(self._backbone.network)
        return _history(trainer)

    def _batches(self, X: Tokens, train: NDArray[np.int64], labels: NDArray[np.number], seed: int) -> StratifiedBatches:
        """Of the pseudo-labelled sets; where labels are soft, of all texts."""
        from silr.classifiers.finetuned.stratified_batches import StratifiedBatches

        sets = [np.arange(len(train))]
        if labels.ndim == 1:
            sets = [np.flatnonzero(labels == j) for j in range(self._n_classes)]
        return StratifiedBatches(sets, X.lengths()[X.where[train]], self.config.batch_size, seed, rank(), world_size())

    def predict_proba(self, X: Tokens) -> NDArray[np.float32]:
        """Class scores that sum to 1, shape (n, K); each distinct text is read once."""
        with _memory():
            if self._scored is not None and self._scored[0] is X:
                scores = self._scored[1]
            else:
                score = self._from_trainer if self._backbone.holder is self else self._from_merged
                scores = score(X)[np.argsort(X.longest_first)]
        return np.asarray(softmax(with_reference(scores), axis=1)[X.where])

    def save(self, folder: Path) -> None:
        """Write ``classifier.safetensors`` (what was trained) and ``classifier.json`` into an existing folder."""
        with atomic_write(folder / "classifier.safetensors") as file:
            file.write(save(self.state_))
        about = {"kind": "finetuned", "n_classes": self._n_classes, WEIGHTS: self._backbone.weights}
        write_json(folder / "classifier.json", {**about, **asdict(self.config)})

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> FinetunedClassifier:
        """Read what `save` wrote, or InputError; the pretrained model is read when the first text is to be scored."""
        with reading(f"the classifier in {folder}"):
            values = json.loads((folder / "classifier.json").read_text())
            values.pop("kind")
            n_classes, weights = values.pop("n_classes"), values.pop(WEIGHTS, None)
            config = FinetunedConfig(**values)
            state = load_file(folder / "classifier.safetensors")
        classifier = cls(Backbone(config, n_classes, device, weights), n_classes)
        classifier.state_ = state
        return classifier

    @property
    def base_weights(self) -> str | None:
        """The fingerprint of the pretrained model, see `silr.hf.fingerprint`."""
        return self._backbone.weights

    def merged(self) -> Network:
        """The network with what was trained worked into its weights."""
        if self._network is None:
            self._network = self._backbone.merged(self.state_)
        return self._network

    def with_adapter(self) -> Network:
        """The network with its trained adapter beside the weights."""
        return self._backbone.adapted(self.state_)

    def untuned_states(self, X: Tokens, on_step: OnStep | None = None) -> NDArray[np.float32]:
        """What the head reads of each text before anything is tuned, shape (n, width); a fit does not read it again."""
        total = len(X.passes()) * (1 if self._is_read(X) else 2)
        self._steps = _Steps(total, on_step)
        self._steps.report()
        self._backbone.holder = None
        self._backbone.fresh(0)
        with _folder(self._checkpoints), _memory(), silence_transformers(), self._reading(X) as lower:
            states = self._probe(TextReader(self._backbone, lower, self._steps.one_more), X)
        return states.matrix

    def _probe(self, reader: TextReader, X: Tokens) -> ProbeStates:
        """The states that a linear head reads; of a head of several layers, which start anew, those of the last."""
        if not self._is_probed(X):
            width = output_layer(self._backbone.network).in_features
            states = ProbeStates(X, width, self._beside_checkpoints)
            for positions, part in reader.head_inputs(TextRows(X, X.longest_first)):
                states.put(positions, part)
                self._steps.one_more()
            self._backbone.probed = states
        assert self._backbone.probed is not None
        return self._backbone.probed

    def _is_probed(self, X: Tokens) -> bool:
        """Whether the states of these texts are known."""
        return self._backbone.probed is not None and self._backbone.probed.tokens is X

    @property
    def _beside_checkpoints(self) -> Path | None:
        """A folder for what is too large for memory."""
        return None if self._checkpoints is None else self._checkpoints.parent

    def _match_prior(
        self, reader: TextReader, X: Tokens, sample: NDArray[np.int64], prior: NDArray[np.float64]
    ) -> None:
        """Set the thresholds by the class prior; the corpus is scored on the way."""
        layer, direction = output_layer(self._backbone.network), None
        if layer.bias is None:
            some = sample[:: -(-len(sample) // SAMPLE)]
            states = np.concatenate([part for _, part in reader.head_inputs(TextRows(X, some))])
            direction = from_main(constant_direction(torch.from_numpy(states)))
        back = np.argsort(X.longest_first)
        scores = match_prior(layer, direction, lambda: reader.score(TextRows(X, X.longest_first))[back], X.where, prior)
        self._scored = X, scores

    def _from_trainer(self, X: Tokens) -> NDArray[np.float32]:
        """Scores, longest texts first, by the network as it was trained; by all processes together."""
        with self._reading(X) as lower:
            return TextReader(self._backbone, lower, self._steps.one_more).score(TextRows(X, X.longest_first))

    def _from_merged(self, X: Tokens) -> NDArray[np.float32]:
        network = self.merged()
        exact = self._backbone.device == "cpu"  # what `transformers.pipeline` computes
        parts = []
        with torch.inference_mode(), nullcontext() if exact else self._backbone.autocasting(), begin_once(network, X):
            for positions in X.passes():
                parts.append(network(**self._inputs(X, positions)).logits.float().cpu().numpy())
        return np.concatenate(parts)

    def _inputs(self, X: Tokens, positions: NDArray[np.int64]) -> dict[str, Tensor]:
        items: list[TextItem] = [{"position": int(position), "ids": X.ids[position]} for position in positions]
        inputs = collate(items, int(self._backbone.tokenizer.pad_token_id))
        del inputs["positions"]
        return {name: part.to(self._backbone.device) for name, part in inputs.items()}

    @contextmanager
    def _reading(self, X: Tokens) -> Iterator[LowerLayers | None]:
        """No token is read twice: what all texts begin with, and what frozen lower layers make of them, is kept."""
        network, backbone = self._backbone.network, self._backbone
        with begin_once(network, X):
            if not self.config.tune_top:
                yield None
                return
            if not self._is_read(X):
                first = len(layers_of(network)) - self.config.tune_top
                network.eval()
                lower_layers = LowerLayers(network, X, self._inputs_of_all(X), first, self._beside_checkpoints)
                backbone.lower = X, lower_layers
            assert backbone.lower is not None
            with backbone.lower[1].instead_of(network) as lower:
                yield lower

    def _is_read(self, X: Tokens) -> bool:
        """Whether the lower layers need not read these texts (again)."""
        return not self.config.tune_top or (self._backbone.lower is not None and self._backbone.lower[0] is X)

    def _inputs_of_all(self, X: Tokens) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
        for positions in X.passes():
            yield positions, self._inputs(X, positions)
            self._steps.one_more()

    def _arguments(self, folder: Path, seed: int) -> TrainingArguments:
        from transformers import TrainingArguments

        cpu = self._backbone.device == "cpu"
        half = self._backbone.autocast
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=self.config.epochs,
            per_device_train_batch_size=self.config.batch_size // world_size(),
            learning_rate=self._backbone.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=WARMUP,  # a share
            weight_decay=0.0,
            optim="adamw_torch_fused",
            bf16=half == "bfloat16",
            fp16=half == "float16",
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            save_only_model=self._checkpoints is None,
            load_best_model_at_end=True,
            metric_for_best_model="risk",
            greater_is_better=False,
            logging_strategy="epoch",
            logging_nan_inf_filter=False,  # it would wait for the GPU at every step
            average_tokens_across_devices=False,
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            label_names=["labels"],
            seed=seed,
            use_cpu=cpu,
            ddp_backend="gloo" if cpu and world_size() > 1 else None,
            ddp_find_unused_parameters=False,
            dataloader_pin_memory=not cpu,
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs take several processes
        return arguments


class _Steps:
    """Counts the batches of a fit, for `on_step`."""

    def __init__(self, total: int, on_step: OnStep | None) -> None:
        self.done, self._total, self._on_step = 0, total, on_step

    def one_more(self) -> None:
        self.done = min(self.done + 1, self._total)
        self.report()

    def report(self) -> None:
        if self._on_step is not None:
            self._on_step(self.done, self._total)


@contextmanager
def _folder(checkpoints: Path | None) -> Iterator[Path]:
    """The folder for checkpoints; a temporary one, which holds the best epoch only, if none is given."""
    if checkpoints is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    if is_main():
        make_folder(checkpoints)
    wait_for_all()
    yield checkpoints


@contextmanager
def _memory() -> Iterator[None]:
    """Say what to change where a GPU's memory does not suffice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            "the GPU's memory does not suffice: take --classifier qlora, a smaller --max-length or --batch-size, "
            "--tune-top, or several GPUs with `accelerate launch -m silr ...`"
        ) from error


def _steps_before(checkpoint: Path, steps_an_epoch: int, scored: int) -> int:
    """Batches of a fit that a checkpoint has behind it."""
    step: int = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    return step + step // steps_an_epoch * scored


def _history(trainer: UUTrainer) -> FitHistory:
    log = trainer.state.log_history
    validation = [entry["eval_risk"] for entry in log if "eval_risk" in entry]
    train = [entry["loss"] / world_size() for entry in log if "loss" in entry]
    return FitHistory(train, validation, int(np.argmin(validation)))
