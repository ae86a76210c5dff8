"""Several completions of each prompt with their rewards: what DPO learns from, and what best-of-n chooses from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.align.generate import Completion
from silr.align.parts import sample_in_parts
from silr.align.policy import Network
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.align.task import Task

SAME = 1e-6  # rewards that differ by less are one


def candidates(task: Task, folder: Path, network: Network) -> tuple[list[list[Completion]], NDArray[np.float64]]:
    """Sample completions of a task's prompts, unless the folder has them, and return them with their rewards (n, m)."""

    def rewards(rows: list[int], completions: list[Completion]) -> NDArray[np.float64]:
        texts = task.texts([task.prompts[row] for row in rows], [completion.text for completion in completions])
        return task.reward(texts)

    sampled = sample_in_parts(folder, network, task.tokenizer, task.encoded, task.settings, rewards, task.quiet)
    completions, scores = zip(*sampled, strict=True)
    return list(completions), np.array(scores, dtype=np.float64)


def pairs(task: Task, folder: Path, network: Network) -> list[dict[str, list[int]]]:
    """Return the tokens of each prompt, its best and its worst completion, where the reward tells them apart.

    Raises InputError if it does so for no prompt.
    """
    preferences = []
    for prompt, completions, rewards in zip(task.encoded, *candidates(task, folder, network), strict=True):
        best, worst = int(rewards.argmax()), int(rewards.argmin())
        if rewards[best] - rewards[worst] > SAME:
            chosen, rejected = completions[best].ids, completions[worst].ids
            preferences.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    if not preferences:
        raise InputError("the reward is the same for all completions of each prompt: there is nothing to learn")
    return preferences
