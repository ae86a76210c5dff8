"""Several completions of each prompt with their rewards: what DPO learns from, and what best-of-n chooses from.

They are sampled into files of some prompts each, so that a killed sampling goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.align.folder import finished_part
from silr.align.generate import Completion, sample
from silr.align.policy import Network
from silr.errors import InputError
from silr.hf.distributed import is_main, wait_for_all
from silr.io.files import make_folder
from silr.io.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from silr.align.settings import SampleSettings
    from silr.align.task import Task

SAME = 1e-6  # rewards that differ by less are one
COMPLETIONS = 128  # a file: what a kill can cost

Score = Callable[[list[int], list[Completion]], Iterable[float]]


def sample_in_parts(
    folder: Path,
    network: Network,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    settings: SampleSettings,
    score: Score,
    quiet: bool,
) -> list[tuple[list[Completion], list[float]]]:
    """Sample completions of each prompt, and return them with their scores.

    What the folder has already is not sampled again: it holds nothing but parts of this very work. `score` is given the
    prompt's number of each completion, and the completions, and returns a number for each, or nothing.
    """
    n = settings.generations

    def part(number: int, rows: list[int]) -> list[tuple[list[object], list[float]]]:
        repeated = [row for row in rows for _ in range(n)]
        completions = sample(
            network,
            tokenizer,
            [prompts[row] for row in repeated],
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            seed=settings.seed * 1_000_003 + number + 1,
        )
        scores = [float(value) for value in score(repeated, completions)]
        written: list[object] = [[made.text, made.ids, made.ended] for made in completions]
        return [(written[at : at + n], scores[at : at + n]) for at in range(0, len(repeated), n)]

    if is_main():
        make_folder(folder)
    wait_for_all()
    order = np.argsort([-len(ids) for ids in prompts], kind="stable").tolist()  # little padding in a part
    results: dict[int, tuple[list[Completion], list[float]]] = {}
    total, size = n * len(order), max(1, COMPLETIONS // n)
    with progress("Sampling", total, "completions", state=f"0 of {total:,} completions", quiet=quiet) as advance:
        for number, begin in enumerate(range(0, len(order), size)):
            rows = order[begin : begin + size]
            path = folder / f"{number:06}.json"
            finished = path.exists()
            values = finished_part(path, partial(part, number, rows))
            for row, (written, scores) in zip(rows, values, strict=True):
                results[row] = [Completion(*parts) for parts in written], scores
            done = len(rows) * n
            advance(done, 0 if finished else done, f"{n * len(results):,} of {total:,} completions")
    return [results[row] for row in range(len(prompts))]


def candidates(task: Task, folder: Path, network: Network) -> tuple[list[list[Completion]], NDArray[np.float64]]:
    """Sample completions of a task's prompts, unless the folder has them, and return them with their rewards (n, m)."""

    def rewards(rows: list[int], completions: list[Completion]) -> NDArray[np.float64]:
        texts = task.texts([task.prompts[row] for row in rows], [completion.text for completion in completions])
        return task.reward(texts)

    sampled = sample_in_parts(folder, network, task.tokenizer, task.encoded, task.settings, rewards, task.quiet)
    completions, scores = zip(*sampled, strict=True)
    return list(completions), np.array(scores, dtype=np.float64)


def pairs(task: Task, folder: Path, network: Network) -> list[dict[str, list[int]]]:
    """Tokens of each prompt, its best and its worst completion, where the reward tells them apart, or InputError."""
    preferences = []
    for prompt, completions, rewards in zip(task.encoded, *candidates(task, folder, network), strict=True):
        best, worst = int(rewards.argmax()), int(rewards.argmin())
        if rewards[best] - rewards[worst] > SAME:
            chosen, rejected = completions[best].ids, completions[worst].ids
            preferences.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    if not preferences:
        raise InputError("the reward is the same for all completions of each prompt: there is nothing to learn")
    return preferences
