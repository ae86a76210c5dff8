"""Several completions of each prompt, scored by the reward: what DPO learns from, and what best-of-n chooses from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.align.generate import Completion, sample
from silr.errors import InputError
from silr.files import make_folder, write_json
from silr.processes import is_main, wait_for_all
from silr.progress import progress

if TYPE_CHECKING:
    from silr.align.training import Task
    from silr.align.trl_trainers import Pair

TOGETHER = 16  # prompts a file: what a kill can cost
SAME = 1e-6  # rewards that differ by less are one


class Candidates:
    """Completions of a task's prompts, in files of some prompts each, so that a killed run goes on where it stopped.

    Parameters
    ----------
    task : Task
    folder : Path
    """

    def __init__(self, task: Task, folder: Path) -> None:
        self._task, self._folder = task, folder

    def pairs(self, network: Any) -> list[Pair]:
        """Return the best and the worst completion of each prompt, where the reward tells them apart.

        Raises
        ------
        InputError
            It never does.
        """
        from silr.align.trl_trainers import Pair

        found = []
        for prompt, (completions, rewards) in zip(self._task.encoded, self.sampled(network), strict=True):
            best, worst = int(rewards.argmax()), int(rewards.argmin())
            if rewards[best] - rewards[worst] > SAME:
                found.append(Pair(list(prompt), completions[best].ids, completions[worst].ids))
        if not found:
            raise InputError("the reward is the same for all completions of each prompt: there is nothing to learn")
        return found

    def sampled(self, network: Any) -> list[tuple[list[Completion], Any]]:
        """Return completions and rewards of each prompt; sample what is not there yet."""
        from silr.align.folder import read_json

        task = self._task
        if is_main():
            make_folder(self._folder)
        wait_for_all()
        found: list[tuple[list[Completion], Any]] = []
        n, total = task.settings.generations, len(task.prompts)
        with progress("Sampling", total, "prompts", state=f"0 of {total} prompts", quiet=task.quiet) as advance:
            for number, rows in enumerate(_batched(range(total), TOGETHER)):
                path = self._folder / f"{number:06}.json"
                there = path.exists()
                wait_for_all()  # nobody writes before all have looked
                values = read_json(path) if there else self._sample(network, rows, number)
                if is_main() and not there:
                    write_json(path, values)
                for each in values:
                    completions = [Completion(*parts) for parts in each["completions"]]
                    found.append((completions, np.array(each["rewards"], dtype=np.float64)))
                advance(len(rows), 0 if there else len(rows), f"{min(total, len(found))} of {total} prompts")
        assert all(len(completions) == n for completions, _ in found)
        return found

    def _sample(self, network: Any, rows: tuple[int, ...], number: int) -> list[dict[str, Any]]:
        task, n = self._task, self._task.settings.generations
        repeated = [row for row in rows for _ in range(n)]
        completions = sample(
            network,
            task.tokenizer,
            [task.encoded[row] for row in repeated],
            max_new_tokens=task.settings.max_new_tokens,
            temperature=task.settings.temperature,
            seed=task.settings.seed * 1_000_003 + number + 1,
        )
        rewards = task.reward(task.texts([task.prompts[row] for row in repeated], [each.text for each in completions]))
        return [
            {
                "completions": [[each.text, each.ids, each.ended] for each in completions[at : at + n]],
                "rewards": rewards[at : at + n].tolist(),
            }
            for at in range(0, len(repeated), n)
        ]


def _batched(rows: range, size: int) -> list[tuple[int, ...]]:
    return [tuple(rows[at : at + size]) for at in range(0, len(rows), size)]
