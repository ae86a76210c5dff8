"""transformers' Trainer under the UU risk: stratified batches, exact on several processes, resumable."""

import time
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from silr.classifiers.finetuned.backbone import Backbone
from silr.classifiers.finetuned.network import Network
from silr.classifiers.finetuned.reading import TextItem, TextReader, TextRows
from silr.classifiers.finetuned.stratified_batches import StratifiedBatches
from silr.errors import InputError
from silr.hf.distributed import from_main, gathered, rank, world_size
from silr.stats.uu_risk import SoftRisk, UURisk

_LOOK_EVERY = 16  # steps between looks at whether the risk is finite: a look waits for the GPU
_CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints


class UUTrainer(Trainer):  # type: ignore[misc]
    """Trains a network under a UU risk.

    The risk is that of the whole batch, whichever processes hold its texts: each gathers the others' scores, and the
    gradients of the shared sum are those of one process. The validation risk is that of all validation texts.

    The backbone has a fresh network, which `reader` reads with; `on_step` is called after each batch of training.
    """

    def __init__(
        self,
        backbone: Backbone,
        risk: UURisk | SoftRisk,
        arguments: TrainingArguments,
        train: TextRows,
        validation: TextRows,
        batches: StratifiedBatches,
        reader: TextReader,
        on_step: Callable[[], None],
    ) -> None:
        self._batches, self._reader = batches, reader
        self.watch = _Watch(batches, on_step)
        super().__init__(
            model=backbone.network,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=self._reader.collate,
            callbacks=[self.watch],
        )
        self.remove_callback(PrinterCallback)
        # copies: a module moves as a whole, and the validation risk is taken on the processor
        self._risk, self._validation = deepcopy(risk).to(self.args.device), deepcopy(risk).cpu()

    def get_train_dataloader(self) -> DataLoader[TextItem]:
        """Batches of this process; `StratifiedBatches` has shared them out."""
        assert self.train_dataset is not None
        return DataLoader(self.train_dataset, batch_sampler=self._batches, collate_fn=self._reader.collate)

    def compute_loss(
        self, model: Network, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: object = None
    ) -> Tensor:
        """Return the corrected risk of the whole batch, times the number of processes, which average gradients."""
        labels = inputs.pop("labels")
        logits = self._reader.forward(model, inputs)
        if (processes := world_size()) > 1:
            logits, labels = _from_all(logits), torch.cat(gathered(labels))
        loss: Tensor = self._risk(logits, labels) * processes
        self.watch.look_at(loss, self.state.global_step + 1)
        return loss

    def evaluate(
        self, eval_dataset: object = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return the risk of all validation texts: the mean of batches' risks is another number."""
        assert isinstance(self.eval_dataset, TextRows)
        labels = self.eval_dataset.labels
        assert labels is not None
        scores = torch.from_numpy(self._reader.score(self.eval_dataset))
        metrics = {"eval_risk": float(self._validation(scores, torch.from_numpy(labels)))}
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: Network, trial: object) -> None:
        began = time.monotonic()
        super()._save_checkpoint(model, trial)
        self.watch.saved(time.monotonic() - began)


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Sets the epoch of the batches, reports steps, decides on checkpoints, and finds the first step that is no number.

    The look at a number on a GPU waits for it, so it is rare; a checkpoint is only made after one.
    """

    def __init__(self, batches: StratifiedBatches, on_step: Callable[[], None]) -> None:
        self._batches, self.one_more = batches, on_step
        self.seconds = float("inf")
        self._bad: Tensor | None = None
        self._saved, self._cost = time.monotonic(), 0.0

    def look_at(self, loss: Tensor, step: int) -> None:
        """Note the step, on the device, if the loss is not finite and none was so before."""
        value = loss.detach()
        here = torch.where(torch.isfinite(value), float("inf"), float(step))
        self._bad = here if self._bad is None else torch.minimum(self._bad, here)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """An epoch has an order of its own, also when it goes on from its middle."""
        self._batches.set_epoch(int((state.epoch or 0) + 1e-6))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Report, and make a checkpoint if it is time."""
        self.one_more()
        if state.global_step % _LOOK_EVERY == 0 or state.global_step == state.max_steps:
            self._check()
        if self.seconds < float("inf") and state.global_step % 4 == 0:
            waited = time.monotonic() - self._saved
            due = self.seconds == 0 or waited > max(self.seconds, self._cost / _CHECKPOINT_SHARE)
            if from_main(due):
                self._check()
                control.should_save = True

    def saved(self, seconds: float) -> None:
        """Note how long a checkpoint took."""
        self._saved, self._cost = time.monotonic(), seconds

    def _check(self) -> None:
        if self._bad is not None and np.isfinite(step := float(self._bad)):
            raise InputError(
                f"the risk is not a number at step {step:.0f}; the last checkpoint before it is kept. Take a lower "
                "--learning-rate"
            )


def _from_all(part: Tensor) -> Tensor:
    """The batch's scores; gradients flow into this process's own part alone."""
    parts = gathered(part.detach())
    parts[rank()] = part
    return torch.cat(parts)
