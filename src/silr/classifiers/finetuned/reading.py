"""Reading texts with a network that is not trained meanwhile: each distinct text once, shared out among processes."""

from collections.abc import Callable, Iterator, Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from silr.classifiers.finetuned.backbone import Backbone, output_layer
from silr.classifiers.finetuned.lower_layers import LowerLayers
from silr.classifiers.finetuned.network import Network
from silr.hf.distributed import gathered, rank, world_size
from silr.hf.tokens import Tokens, passes


class TextItem(TypedDict):
    """One text of a batch."""

    position: int
    ids: NDArray[np.int32]
    label: NotRequired[np.generic | NDArray[np.floating]]


class TextRows(Dataset[TextItem]):
    """Some of the distinct texts, longest first unless they train.

    Positions, shape (m,), are among the distinct texts; labels, shape (m,) or (m, K), are pseudo-labels or soft ones.
    """

    def __init__(self, tokens: Tokens, positions: NDArray[np.int64], labels: NDArray[np.number] | None = None) -> None:
        self._ids, self.positions = tokens.ids, positions
        self.labels = labels if labels is None or labels.ndim == 2 else labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, row: int) -> TextItem:
        position = int(self.positions[row])
        item: TextItem = {"position": position, "ids": self._ids[position]}
        return item if self.labels is None else {**item, "label": self.labels[row]}

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.fromiter((len(self._ids[position]) for position in self.positions), np.int64, len(self))


class TextReader:
    """Reads texts with the network of a backbone; hidden states come from `lower` if only upper layers are tuned."""

    def __init__(self, backbone: Backbone, lower: LowerLayers | None, on_pass: Callable[[], None]) -> None:
        self._backbone, self.lower, self._on_pass = backbone, lower, on_pass
        self._padding = int(backbone.tokenizer.pad_token_id)

    def score(self, texts: TextRows) -> NDArray[np.float32]:
        """Scores of texts in their order, shape (n, 1) or (n, K)."""
        scores = []
        for rows, inputs in self._passes(texts):
            scores.append(_of_all(rows, self._read(inputs)))
            self._on_pass()
        return np.concatenate(scores)

    def head_inputs(self, texts: TextRows) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """What the last layer reads: by passes, positions of texts and states, one row each."""
        seen: list[Tensor] = []
        hook = output_layer(self._backbone.network).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            for rows, inputs in self._passes(texts):
                last = inputs["attention_mask"].sum(dim=1) - 1
                width = inputs["attention_mask"].shape[1]
                self._read(inputs)
                states = seen.pop()
                if states.ndim == 3:  # of all tokens, but for a common beginning
                    last -= width - states.shape[1]
                    states = states[torch.arange(len(last)), last]
                yield texts.positions[rows], _of_all(rows, states)
        finally:
            hook.remove()

    def forward(self, network: Network, inputs: dict[str, Tensor]) -> Tensor:
        """Scores of a batch that `collate` made, in training too."""
        positions = inputs.pop("positions")
        if self.lower is not None:
            ids = inputs["input_ids"]
            self.lower.give(positions.tolist(), ids.shape[1], ids.device)
        logits: Tensor = network(**inputs).logits
        return logits

    def collate(self, items: Sequence[TextItem]) -> dict[str, Tensor]:
        """Pad texts on the right to the longest of them."""
        return collate(items, self._padding)

    def _passes(self, texts: TextRows) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
        """Rows that are read together, and this process's inputs of them."""
        self._backbone.network.eval()
        processes = world_size()
        for rows in passes(texts.lengths(), processes):
            own = np.resize(rows, -(-len(rows) // processes) * processes)[rank() :: processes]
            inputs = self.collate([texts[row] for row in own])
            inputs.pop("labels", None)
            yield rows, {name: part.to(self._backbone.device) for name, part in inputs.items()}

    def _read(self, inputs: dict[str, Tensor]) -> Tensor:
        with torch.no_grad(), self._backbone.autocasting():
            return self.forward(self._backbone.network, inputs)


def collate(items: Sequence[TextItem], padding: int) -> dict[str, Tensor]:
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
        batch["labels"] = torch.from_numpy(np.array([item["label"] for item in items]))
    return batch


def _of_all(rows: NDArray[np.int64], own: Tensor) -> NDArray[np.float32]:
    """What all processes found for rows that they read together."""
    own = own.float()
    if world_size() > 1:
        own = torch.stack(gathered(own), dim=1).flatten(0, 1)[: len(rows)]
    return own.cpu().numpy()
