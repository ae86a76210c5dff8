"""The lower layers of a network, run once: what they make of each text is kept for all epochs and iterations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from silr.classifiers.finetuned.network import Network, layers_of
from silr.hf.tokens import Tokens

Batches = Iterable[tuple[NDArray[np.int64], dict[str, Tensor]]]


class LowerLayers:
    """Hidden states of each distinct text at the first layer that is tuned.

    They lie in a temporary file, tokens times width numbers, that is gone with the process.

    `network`: the lower layers are frozen; what is above is not run. `batches`: the distinct texts in padded batches,
    each text once, on the network's device. `first`: the first layer that is tuned.
    """

    def __init__(
        self, network: Network, tokens: Tokens, batches: Batches, first: int, folder: Path | None = None
    ) -> None:
        self._tokens, self._first = tokens, first
        lengths = tokens.lengths()
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  kept open as long as the states are read
        self._states: Any = None
        with _stopped_at(layers_of(network)[first]) as seen, torch.inference_mode():
            for positions, inputs in batches:
                with suppress(EnoughError):
                    network(**inputs)
                rows = [part.expand(len(positions), -1, -1) for part in seen]  # a common beginning was read once
                self._keep(positions, lengths, torch.cat(rows, dim=1))
                seen.clear()

    @contextmanager
    def instead_of(self, network: Network) -> Iterator[LowerLayers]:
        """Let the network skip its lower layers and go on from what `give` was given, inside the block."""
        layers = layers_of(network)
        self._given: Tensor | None = None
        hook = layers[self._first].register_forward_pre_hook(self._put_in, with_kwargs=True)
        for layer in layers[: self._first]:
            layer.forward = _unchanged
        try:
            yield self
        finally:
            hook.remove()
            for layer in layers[: self._first]:
                del layer.forward

    def give(self, positions: list[int], width: int, device: torch.device) -> None:
        """Take the states of texts, padded on the right to `width` tokens, for the next pass."""
        padded = torch.zeros(len(positions), width, self._states.shape[1], dtype=self._dtype)
        for row, position in enumerate(positions):
            own = self._states[self._starts[position] : self._starts[position + 1]]
            padded[row, : len(own)] = own
        self._given, self._taken = padded.to(device, non_blocking=True), 0

    def _keep(self, positions: NDArray[np.int64], lengths: NDArray[np.int64], states: Tensor) -> None:
        if self._states is None:
            self._dtype = states.dtype
            shape = (int(self._starts[-1]), states.shape[2])
            self._file.truncate(shape[0] * shape[1] * states.element_size())
            raw = np.memmap(self._file, np.uint8, "r+")
            self._states = torch.from_numpy(raw).view(self._dtype).view(shape)
        states = states.cpu()
        for row, position in enumerate(positions):
            self._states[self._starts[position] : self._starts[position + 1]] = states[row, : lengths[position]]

    def _put_in(
        self, layer: nn.Module, arguments: tuple[Tensor, ...], options: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Give states of as many texts and tokens as come: a pass may read a common beginning first, of one text."""
        assert self._given is not None, "a pass without states"
        rows, tokens = (arguments[0] if arguments else options["hidden_states"]).shape[:2]
        states = self._given[:rows, self._taken : self._taken + tokens]
        self._taken += tokens
        if arguments:
            return (states, *arguments[1:]), options
        return arguments, {**options, "hidden_states": states}


class EnoughError(Exception):
    """The layers below have run."""


@contextmanager
def _stopped_at(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Catch what comes into a layer, and stop there."""
    seen: list[Tensor] = []

    def catch(_: nn.Module, arguments: tuple[Tensor, ...], options: dict[str, Tensor]) -> None:
        seen.append(arguments[0] if arguments else options["hidden_states"])
        raise EnoughError

    hook = layer.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


def _unchanged(hidden_states: Tensor, *_: object, **__: object) -> Tensor:
    return hidden_states
