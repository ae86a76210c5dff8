"""A policy's answers as a table that `silr annotate` can read: where an alignment from scratch begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from silr.align.generate import sample
from silr.align.policy import PolicySource, context_of
from silr.align.prompts import check_lengths, choose_format, read_prompts
from silr.align.settings import check_sampling
from silr.align.text_format import default_format, render
from silr.errors import InputError
from silr.formats import split_suffix, write_table
from silr.processes import is_main
from silr.progress import progress


@dataclass(frozen=True)
class SampleSettings:
    """How answers are sampled; the fields are those of `silr.align.settings.AlignSettings`."""

    policy: str | Path
    prompts: str | Path
    generations: int = 4
    max_new_tokens: int = 64
    temperature: float = 1.0
    chat: bool | None = None
    text_format: str | None = None
    prompt_column: str = "prompt"
    trust_remote_code: bool = False
    seed: int = 0
    device: str | None = None


def sample_table(output: str | Path, settings: SampleSettings, say: Any = lambda line: None, quiet: bool = True) -> int:
    """Write answers of a policy as a table with the columns prompt, completion and text.

    Parameters
    ----------
    output : str or Path
        `text` is what is to be labelled: the prompt and its continuation, or prompt and answer with an empty line
        between them, or what `text_format` says.
    settings : SampleSettings
    say : callable
        Called with lines that the user should read.
    quiet : bool, default True
        Show no progress.

    Returns
    -------
    int
        How many rows it has.

    Raises
    ------
    InputError
        The prompts, the policy or the output cannot be used.
    """
    import pandas as pd

    split_suffix(Path(output))  # refuses an unknown suffix before any work
    if not Path(output).absolute().parent.is_dir():
        raise InputError(f"the folder {Path(output).parent} does not exist")
    check_sampling(settings.temperature, settings.text_format)
    prompts = read_prompts(settings.prompts, settings.prompt_column)
    source = PolicySource.of(settings.policy, "lora", settings.device, settings.trust_remote_code)
    tokenizer = source.tokenizer()
    prompt_format = choose_format(settings.chat, tokenizer)
    encoded = prompt_format.encode(prompts, tokenizer)
    network = source.network()
    check_lengths(encoded, context_of(network), settings.max_new_tokens, settings.prompts)
    text_format = settings.text_format or default_format(prompt_format.chat)
    say(str(prompt_format))
    rows = [row for row in range(len(prompts)) for _ in range(settings.generations)]
    done = 0
    with progress("Sampling", len(rows), "completions", quiet=quiet or not is_main()) as advance:

        def on_batch(answered: int) -> None:
            nonlocal done
            done += answered
            advance(answered, answered, f"{done:,} of {len(rows):,} completions")

        found = sample(
            network,
            tokenizer,
            [encoded[row] for row in rows],
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
            on_batch=on_batch,
        )
    asked, answers = [prompts[row] for row in rows], [each.text for each in found]
    texts = [render(text_format, *each) for each in zip(asked, answers, strict=True)]
    if is_main():
        write_table(pd.DataFrame({"prompt": asked, "completion": answers, "text": texts}), Path(output))
    return len(rows)
