"""What is trained with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from silr.align.policy import PolicySource, Start
from silr.align.prompts import PromptFormat
from silr.align.scorer import Scorer
from silr.align.settings import AlignSettings
from silr.align.text_format import render
from silr.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Task:
    """All that a training takes."""

    settings: AlignSettings
    source: PolicySource
    start: Start
    tokenizer: PreTrainedTokenizerBase
    prompts: list[str]  # those that train
    encoded: list[list[int]]  # their tokens
    prompt_format: PromptFormat
    text_format: str  # of what reward and judge read
    reward: Scorer
    judge: Scorer | None
    quiet: bool

    def texts(self, prompts: Sequence[str], completions: Sequence[str]) -> list[str]:
        """Return what reward and judge read."""
        return [render(self.text_format, *pair) for pair in zip(prompts, completions, strict=True)]

    def steps(self, items: int) -> int:
        """The number of updates, by default of one pass over so many items; InputError if one update takes more."""
        if items < self.settings.batch_size:
            kind = "pairs" if self.settings.method == "dpo" else "completions"
            raise InputError(
                f"the prompts for training give {items:,} {kind}, and one update takes {self.settings.batch_size} "
                "(--batch-size): give more prompts or a smaller one"
            )
        return self.settings.steps or items // self.settings.batch_size
