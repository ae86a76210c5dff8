"""Transformers in a graph, by PyTorch's exporter: tokens to sentence embeddings, or to a fine-tuned model's logits."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from silr.errors import InputError
from silr.export.onnx_graph import OPSETS, Graph
from silr.export.onnx_source import Source, numbered, save_tokenizer
from silr.features.sentence import SentenceFeatures
from silr.hf.models import silence_transformers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLE = ["a text", "another one, which has more tokens"]  # of two lengths: padding must be part of the graph
INPUTS = {  # by name: the field of an encoded text, and words for the page
    "input_ids": ("ids", "(n, length), int64 | the token numbers of each text, padded to the longest"),
    "attention_mask": ("attention_mask", "(n, length), int64 | 1 for tokens, 0 for padding"),
}


class _Called(nn.Module):
    """A network as a function of tokens and of what pads them."""

    def __init__(self, network: nn.Module, call: Callable[[Any, dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.network, self._call = network, call

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self._call(self.network, {"input_ids": input_ids, "attention_mask": attention_mask})


def add_sentence(graph: Graph, features: SentenceFeatures, weights: NDArray[np.float64], folder: Path) -> Source:
    """The nodes from tokens to what a linear layer makes of the embeddings; the tokenizer goes into `folder`."""
    encoder = features.encoder
    tokenizer = _backend(encoder.tokenizer, encoder.max_seq_length)
    prompt = encoder.prompts.get(encoder.default_prompt_name or "", "") or ""

    def embed(network: Any, inputs: dict[str, Tensor]) -> Tensor:
        values: dict[str, Any] = dict(inputs)
        for module in network:
            values = module(values)
        embedding: Tensor = values["sentence_embedding"]
        return embedding[:, : len(weights)]  # some models are cut to their first columns

    source = _add(graph, _Called(encoder, embed), tokenizer, folder, prompt)
    return replace(source, value=graph.add("MatMul", graph.cast(source.value, np.float64), weights))


def add_finetuned(graph: Graph, network: Any, tokenizer: Any, folder: Path) -> Source:
    """The nodes from tokens to class logits of a network that `transformers` reads, shape (n, K)."""
    backend = _backend(tokenizer, tokenizer.model_max_length)
    source = _add(graph, _Called(network, lambda own, inputs: own(**inputs).logits.float()), backend, folder, "")
    return replace(source, value=graph.cast(source.value, np.float64))


def _backend(tokenizer: Any, longest: int) -> Tokenizer:
    """A tokenizer of `tokenizers` that cuts and pads as silr does."""
    from tokenizers import Tokenizer

    own = getattr(tokenizer, "backend_tokenizer", None)
    if own is None:
        raise InputError("--onnx needs a fast tokenizer, which this run's model has none of; leave out --onnx")
    backend = Tokenizer.from_str(own.to_str())
    backend.enable_truncation(int(longest), direction=tokenizer.truncation_side)
    padding = {"pad_id": int(tokenizer.pad_token_id), "pad_token": str(tokenizer.pad_token)}
    backend.enable_padding(direction=tokenizer.padding_side, **padding)
    return backend


def _add(graph: Graph, network: nn.Module, tokenizer: Tokenizer, folder: Path, prompt: str) -> Source:
    """The nodes of a network, and its tokenizer in `folder`; the value is the network's output."""
    read, number = save_tokenizer(tokenizer, folder)
    *names, encoded, output = numbered([*INPUTS, "encoded", "network"], number)
    _add_network(graph, network.eval().float().cpu(), tokenizer, names, output, folder)
    texts = f"[{prompt!r} + text for text in texts]" if prompt else "texts"
    fields = dict(zip(names, INPUTS.values(), strict=True))
    return Source(
        output,
        {name: f"np.array([each.{field} for each in {encoded}])" for name, (field, _) in fields.items()},
        {name: words for name, (_, words) in fields.items()},
        read,
        f"{encoded} = {read.partition(' ')[0]}.encode_batch_fast({texts})",
        is_network=True,
    )


def _add_network(
    graph: Graph, network: nn.Module, tokenizer: Tokenizer, names: list[str], output: str, folder: Path
) -> None:
    import onnx

    encoded = tokenizer.encode_batch(SAMPLE)
    sample = tuple(torch.tensor([getattr(each, field) for each in encoded]) for field, _ in INPUTS.values())
    sizes = {name: {0: "n", 1: f"length_of_{name}"} for name in names}
    with tempfile.TemporaryDirectory(dir=folder) as draft, torch.no_grad(), _quietly():
        torch.onnx.export(
            network,
            sample,
            f"{draft}/network.onnx",
            input_names=names,
            output_names=[output],
            dynamic_axes={**sizes, output: {0: "n"}},
            opset_version=OPSETS[""],
            dynamo=False,  # the other exporter needs one package more
        )
        model = onnx.load(f"{draft}/network.onnx")
    own = onnx.compose.add_prefix(model, f"{output}/", rename_inputs=False, rename_outputs=False).graph
    graph.nodes.extend(own.node)
    graph.constants.extend(own.initializer)
    graph.inputs.extend(own.input)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says about itself; labels are compared afterwards."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), silence_transformers():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
