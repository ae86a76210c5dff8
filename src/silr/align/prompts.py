"""The prompts: read, checked, put into the policy's format, and a part of them kept from training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.errors import InputError
from silr.io.corpus import text_column
from silr.io.tables import read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from silr.align.settings import SampleSettings

HELD_OUT, MOST_HELD_OUT, FEWEST = 5, 100, 20  # a fifth, at most 100; with fewer than 20 prompts none


@dataclass(frozen=True)
class PromptFormat:
    """The form in which the policy is given a prompt."""

    chat: bool  # as the user's message in the policy's chat template; else as it is, to be continued

    def __str__(self) -> str:
        if self.chat:
            return "the policy is given each prompt as the user's message in its chat template"
        return "the policy is given each prompt as plain text, which it continues"

    def for_trl(self, prompt: str) -> str | list[dict[str, str]]:
        """A prompt as TRL takes it: a conversation, or a string."""
        return [{"role": "user", "content": prompt}] if self.chat else prompt

    def encode(self, prompts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """The token ids of prompts, up to where the policy goes on; InputError if the chat template fails."""
        if not self.chat:
            plain: list[list[int]] = tokenizer(prompts, verbose=False)["input_ids"]
            return plain
        talks = [[{"role": "user", "content": prompt}] for prompt in prompts]
        try:
            encoded: Any = tokenizer.apply_chat_template(
                talks, add_generation_prompt=True, tokenize=True, return_dict=True
            )
        except Exception as error:  # a template is a program that came with the model and may raise anything
            raise InputError(f"the policy's chat template fails on a user message: {error}") from error
        ids: list[list[int]] = encoded["input_ids"]
        return ids


def read_prompts(path: str | Path, column: str = "prompt") -> list[str]:
    """Prompts of a table; InputError if it cannot be read, or a prompt is empty, no text, or there twice."""
    frame = read_table(path)
    if column in frame.columns:
        for row, value in enumerate(frame[column].tolist(), start=1):
            if isinstance(value, (list, dict)):
                raise InputError(f"{path}, row {row}: the prompt is a {type(value).__name__}; give plain text")
    prompts = text_column(frame, column, path)
    if empty := [row for row, prompt in enumerate(prompts, start=1) if not prompt.strip()]:
        raise InputError(f"{path}: {len(empty):,} of {len(prompts):,} prompts are empty, the first in row {empty[0]}")
    first = {prompt: row for row, prompt in reversed(list(enumerate(prompts, start=1)))}
    if twice := [row for row, prompt in enumerate(prompts, start=1) if first[prompt] < row]:
        raise InputError(
            f"{path}: {len(twice):,} of {len(prompts):,} prompts repeat an earlier one, the first in row {twice[0]}; "
            "leave them out, or prompts of the report would be trained on"
        )
    return prompts


def choose_format(chat: bool | None, tokenizer: PreTrainedTokenizerBase) -> PromptFormat:
    """The format that was asked for, by default the chat template; InputError if it is asked for and there is none."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if chat and not has_template:
        raise InputError("--chat: the policy has no chat template; leave it out, and it continues each prompt")
    return PromptFormat(has_template if chat is None else chat)


def check_lengths(encoded: list[list[int]], context: int | None, settings: SampleSettings) -> None:
    """Raise InputError if a prompt and its completion are longer than the policy reads, or a prompt has no token."""
    path, longest = settings.prompts, settings.max_new_tokens
    lengths = np.array([len(ids) for ids in encoded])
    if not lengths.all():
        raise InputError(f"{path}, row {int(lengths.argmin()) + 1}: the policy's tokenizer makes nothing of the prompt")
    if context is not None and (long := np.flatnonzero(lengths + longest > context)).size:
        raise InputError(
            f"{path}: {long.size:,} prompts are too long for the policy, which reads {context:,} tokens: row "
            f"{long[0] + 1} has {lengths[long[0]]:,} and its completion takes {longest:,} (--max-new-tokens)"
        )


def hold_out(n: int, seed: int) -> tuple[list[int], list[int]]:
    """Return which prompts train and which are kept for the samples before and after, in order.

    A fifth is kept, at most 100. Of fewer than 20 prompts all train, and the samples are of these.
    """
    if n < FEWEST:
        return list(range(n)), list(range(n))
    order = np.random.default_rng(seed).permutation(n).tolist()
    kept = min(n // HELD_OUT, MOST_HELD_OUT)
    return sorted(order[kept:]), sorted(order[:kept])
