"""transformers' Trainer under the UU risk: stratified batches, exact on several processes, resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from silr.classifiers.backbone import Backbone, output_layer
from silr.classifiers.lower_layers import LowerLayers
from silr.classifiers.stratified_batches import StratifiedBatches
from silr.classifiers.tokens import Tokens, passes
from silr.errors import InputError
from silr.processes import from_main, rank, world_size
from silr.risk import UURisk

_LOOK_EVERY = 16  # steps between looks at whether the risk is finite: a look waits for the GPU
_CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints


class TextRows(Dataset[dict[str, Any]]):
    """Some of the distinct texts, longest first unless they train, with their pseudo-labels if they have any."""

    def __init__(self, tokens: Tokens, positions: NDArray[np.int64], labels: NDArray[np.int16] | None = None) -> None:
        self._ids, self.positions, self.labels = tokens.ids, positions, labels

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, row: int) -> dict[str, Any]:
        position = int(self.positions[row])
        item: dict[str, Any] = {"position": position, "ids": self._ids[position]}
        return item if self.labels is None else {**item, "label": int(self.labels[row])}

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.fromiter((len(self._ids[position]) for position in self.positions), np.int64, len(self))


class UUTrainer(Trainer):
    """Trains a network under a UU risk.

    The risk is that of the whole batch, whichever processes hold its texts: each gathers the others' scores, and the
    gradients of the shared sum are those of one process. The validation risk is that of all validation texts.

    Parameters
    ----------
    backbone : Backbone
        With a fresh network.
    risk : UURisk
    arguments : TrainingArguments
    train, validation : TextRows
    batches : StratifiedBatches
    lower : LowerLayers or None
        Where the hidden states come from, if only upper layers are tuned.
    on_step : callable
        Called after each batch that was trained on or scored.
    """

    def __init__(
        self,
        backbone: Backbone,
        risk: UURisk,
        arguments: TrainingArguments,
        train: TextRows,
        validation: TextRows,
        batches: StratifiedBatches,
        lower: LowerLayers | None,
        on_step: Callable[[], None],
    ) -> None:
        self._batches, self._lower = batches, lower
        self._autocasting = backbone.autocasting
        self._padding = int(backbone.tokenizer.pad_token_id)
        self.watch = _Watch(batches, on_step)
        super().__init__(
            model=backbone.network,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=self._collate,
            callbacks=[self.watch],
        )
        self.remove_callback(PrinterCallback)
        # copies: a module moves as a whole, and the validation risk is taken on the processor
        self._risk, self._validation = deepcopy(risk).to(self.args.device), deepcopy(risk).cpu()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process; `StratifiedBatches` has shared them out."""
        assert self.train_dataset is not None
        return DataLoader(self.train_dataset, batch_sampler=self._batches, collate_fn=self._collate)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the corrected risk of the whole batch, times the number of processes, which average gradients."""
        labels = inputs.pop("labels")
        logits = self._forward(model, inputs)
        if (processes := world_size()) > 1:
            logits, labels = _from_all(logits), torch.cat(_gathered(labels))
        loss = self._risk(logits, labels) * processes
        self.watch.look_at(loss, self.state.global_step + 1)
        return loss

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return the risk of all validation texts: the mean of batches' risks is another number."""
        assert isinstance(self.eval_dataset, TextRows)
        labels = self.eval_dataset.labels
        assert labels is not None
        scores = torch.from_numpy(self.score(self.eval_dataset, self._lower))
        found = {"eval_risk": float(self._validation(scores, torch.from_numpy(labels).long()))}
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def score(self, texts: TextRows, lower: LowerLayers | None) -> NDArray[np.float32]:
        """Scores of texts in their order, shape (n, 1) or (n, K); each is read by one process."""
        self._lower = lower
        found = []
        for rows, inputs in self._passes(texts):
            found.append(self._of_all(rows, self._read(inputs)))
            self.watch.one_more()
        return np.concatenate(found)

    def head_inputs(self, texts: TextRows) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """What the last layer reads: by passes, which processes share, positions of texts and states, one row each."""
        seen: list[Tensor] = []
        hook = output_layer(self.model).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            for rows, inputs in self._passes(texts):
                last = inputs["attention_mask"].sum(dim=1) - 1
                width = inputs["attention_mask"].shape[1]
                self._read(inputs)
                states = seen.pop()
                if states.ndim == 3:  # of all tokens, but for a common beginning
                    last -= width - states.shape[1]
                    states = states[torch.arange(len(last)), last]
                yield texts.positions[rows], self._of_all(rows, states)
        finally:
            hook.remove()

    def _passes(self, texts: TextRows) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
        """Rows that are read together, and this process's inputs of them, with nothing trained."""
        assert self.model is not None
        self.model.eval()
        processes = world_size()
        for rows in passes(texts.lengths(), processes):
            own = np.resize(rows, -(-len(rows) // processes) * processes)[rank() :: processes]
            inputs = self._collate([texts[row] for row in own])
            inputs.pop("labels", None)
            yield rows, self._prepare_inputs(inputs)

    def _read(self, inputs: dict[str, Tensor]) -> Tensor:
        """Scores, with nothing trained; also before the trainer has made the network cast by itself."""
        with torch.no_grad(), self._autocasting():
            return self._forward(self.model, inputs)

    def _of_all(self, rows: NDArray[np.int64], own: Tensor) -> NDArray[np.float32]:
        """What all processes found for rows that they read together."""
        own = own.float()
        if world_size() > 1:
            own = torch.stack(_gathered(own), dim=1).flatten(0, 1)[: len(rows)]
        return own.cpu().numpy()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        began = time.monotonic()
        super()._save_checkpoint(model, trial)
        self.watch.saved(time.monotonic() - began)

    def _forward(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        positions = inputs.pop("positions")
        if self._lower is not None:
            self._lower.give(positions.tolist(), inputs["input_ids"].shape[1], self.args.device)
        logits: Tensor = model(**inputs).logits
        return logits

    def _collate(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        return collate(items, self._padding)


def collate(items: Sequence[dict[str, Any]], padding: int) -> dict[str, Tensor]:
    """Pad texts on the right to the longest of them."""
    width = max(len(item["ids"]) for item in items)
    ids = np.full((len(items), width), padding, np.int64)
    mask = np.zeros((len(items), width), np.int64)
    for row, item in enumerate(items):
        ids[row, : len(item["ids"])] = item["ids"]
        mask[row, : len(item["ids"])] = 1
    batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    batch["positions"] = torch.tensor([item["position"] for item in items])
    if "label" in items[0]:
        batch["labels"] = torch.tensor([item["label"] for item in items])
    return batch


def last_checkpoint(folder: Path) -> Path | None:
    """The latest whole checkpoint in a folder: its state is written last, so one that a kill cut off has none."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            state = json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        best = state["best_model_checkpoint"]
        if best is None or Path(best).is_dir():
            return path
    return None


class _Watch(TrainerCallback):
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

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """An epoch has an order of its own, also when it goes on from its middle."""
        self._batches.set_epoch(int((state.epoch or 0) + 1e-6))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
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


def _gathered(part: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(part) for _ in range(world_size())]
    torch.distributed.all_gather(parts, part.contiguous())
    return parts


def _from_all(part: Tensor) -> Tensor:
    """The batch's scores; gradients flow into this process's own part alone."""
    parts = _gathered(part.detach())
    parts[rank()] = part
    return torch.cat(parts)
