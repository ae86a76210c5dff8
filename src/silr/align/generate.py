"""Sampling completions of many prompts in batches, and their log-probabilities under two policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.align.policy import Network, check_numbers
from silr.errors import InputError
from silr.hf.distributed import rank, world_size

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

TOKENS_AT_ONCE = {"cpu": 8_192, "cuda": 65_536}  # of a batch, prompts and completions


@dataclass(frozen=True)
class Completion:
    """A completion of a prompt."""

    text: str  # without special tokens
    ids: list[int]  # with the end token if it came to it
    ended: bool  # before the longest length


def sample(
    network: Network,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    on_batch: Callable[[int], None] = lambda done: None,
) -> list[Completion]:
    """Sample one completion for each prompt, from the whole distribution at a temperature.

    Several processes share the batches. The same seed gives the same completions on as many processes or fewer.

    A prompt that is there several times gets several completions. `on_batch` is called with the number of prompts that
    were just answered. Raises InputError if the policy's weights hold NaN or infinity, or the memory does not suffice.
    """
    import torch

    network.eval()
    ends = _ends(network, tokenizer)
    completions: dict[int, Completion] = {}
    for number, rows in enumerate(_batches(prompts, max_new_tokens, network.device.type)):
        on_batch(len(rows))
        if number % world_size() != rank():
            continue
        ids, mask = _left_padded([prompts[row] for row in rows], tokenizer.pad_token_id)
        with torch.inference_mode(), torch.random.fork_rng(_gpus(network)):
            torch.manual_seed(seed * 100_003 + number)
            try:
                whole = network.generate(
                    input_ids=ids.to(network.device),
                    attention_mask=mask.to(network.device),
                    max_new_tokens=max_new_tokens,
                    do_sample=True,
                    temperature=temperature,
                    top_p=1.0,
                    top_k=0,
                    repetition_penalty=1.0,
                    eos_token_id=ends or None,
                    pad_token_id=tokenizer.pad_token_id,
                    use_cache=True,
                )
            except torch.OutOfMemoryError as error:
                raise InputError("the GPU's memory does not suffice: take a smaller --max-new-tokens") from error
            except RuntimeError as error:
                check_numbers(error)
                raise
        for row, tokens in zip(rows, whole[:, ids.shape[1] :].tolist(), strict=True):
            stop = next((at for at, token in enumerate(tokens) if token in ends), None)
            own = tokens if stop is None else tokens[: stop + 1]
            completions[row] = Completion(str(tokenizer.decode(own, skip_special_tokens=True)), own, stop is not None)
    if world_size() > 1:
        from accelerate.utils import gather_object

        completions = dict(gather_object(list(completions.items())))
    return [completions[row] for row in range(len(prompts))]


def log_probabilities(
    network: Network,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Completion],
    temperature: float,
    padding: int,
) -> NDArray[np.float64]:
    """Return the log-probability of each whole completion as it was sampled, shape (n,)."""
    import torch

    whole = [[*prompt, *completion.ids] for prompt, completion in zip(prompts, completions, strict=True)]
    totals = np.zeros(len(whole))
    for rows in _batches(whole, 0, network.device.type):
        ids, mask = _left_padded([whole[row] for row in rows], padding)
        keep = max(len(completions[row].ids) for row in rows)
        if not keep:
            continue
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        ids, mask, positions = (part.to(network.device) for part in (ids, mask, positions))
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        with torch.inference_mode():
            logits = network(**inputs, use_cache=False, logits_to_keep=keep + 1).logits[:, :-1]
            logps = torch.log_softmax(logits.float() / temperature, dim=-1)
            taken = logps.gather(2, ids[:, -keep:, None])[:, :, 0].double().cpu().numpy()
        for row, values in zip(rows, taken, strict=True):
            totals[row] = values[keep - len(completions[row].ids) :].sum()
    return totals


def _ends(network: Network, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that end a completion: those that the model names, and the tokenizer's."""
    named = network.generation_config.eos_token_id
    ends = [] if named is None else [named] if isinstance(named, int) else list(named)
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)
    return ends


def _batches(prompts: Sequence[Sequence[int]], more: int, device: str) -> list[list[int]]:
    """Rows that are read together: of nearly one length, the longest first, so that memory peaks at the start."""
    order = np.argsort([-len(ids) for ids in prompts], kind="stable").tolist()
    room, batches = TOKENS_AT_ONCE.get(device, TOKENS_AT_ONCE["cpu"]), []
    while order:
        size = max(1, room // max(1, len(prompts[order[0]]) + more))
        batches.append(order[:size])
        order = order[size:]
    return batches


def _left_padded(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask."""
    import torch

    width = max(map(len, rows))
    ids = [[padding] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, dtype=torch.long), torch.tensor(mask, dtype=torch.long)


def _gpus(network: Network) -> list[int]:
    return [network.device.index or 0] if network.device.type == "cuda" else []
