"""Several completions of each prompt, in files of some prompts each, so that a killed sampling goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from silr.align.folder import finished_part
from silr.align.generate import Completion, sample
from silr.files import make_folder
from silr.processes import is_main, wait_for_all
from silr.progress import progress

COMPLETIONS = 128  # a file: what a kill can cost

Score = Callable[[list[int], list[Completion]], Sequence[float]]


def sample_in_parts(
    folder: Path,
    network: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    n: int,
    score: Score,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    quiet: bool,
) -> list[tuple[list[Completion], list[float]]]:
    """Sample n completions of each prompt, and score them; what the folder has already is not sampled again.

    Parameters
    ----------
    folder : Path
        It holds nothing but parts of this very work.
    network, tokenizer, prompts, max_new_tokens, temperature, seed
        As in `silr.align.generate.sample`.
    n : int
    score : callable
        Given the prompt's number of each completion, and the completions, returns a number for each, or nothing.
    quiet : bool

    Returns
    -------
    list
        For each prompt its completions, and what `score` said of them.
    """

    def part(number: int, rows: list[int]) -> list[Any]:
        repeated = [row for row in rows for _ in range(n)]
        completions = sample(
            network,
            tokenizer,
            [prompts[row] for row in repeated],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed * 1_000_003 + number + 1,
        )
        scores = [float(value) for value in score(repeated, completions)]
        written = [[completion.text, completion.ids, completion.ended] for completion in completions]
        return [[written[at : at + n], scores[at : at + n]] for at in range(0, len(repeated), n)]

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
