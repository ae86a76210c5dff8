"""Answers of a policy as a table that `silr annotate` reads: where an alignment from scratch begins."""

import shutil
from collections.abc import Callable
from pathlib import Path

from silr.align.candidates import sample_in_parts
from silr.align.policy import PolicySource, context_of
from silr.align.prompts import check_lengths, choose_format, read_prompts
from silr.align.settings import SampleSettings
from silr.align.text_format import default_format, render
from silr.annotators import partial_path
from silr.errors import InputError
from silr.hf.distributed import is_main, main_first
from silr.hf.models import network_fingerprint
from silr.io.corpus import corpus_hash
from silr.io.resumable import Kind, resumable
from silr.io.tables import split_suffix, write_table

UNFINISHED = Kind(
    "meta.json",
    "lock",
    busy="another process is sampling into {}; wait for it or stop it",
    other="holds an unfinished sampling with other settings ({}); repeat that command to finish it, delete the folder, "
    "or choose another output",
)


def sample_table(
    output: str | Path, settings: SampleSettings, say: Callable[[str], None] = lambda line: None, quiet: bool = True
) -> int:
    """Write answers of a policy as a table with the columns prompt, completion and text.

    They are kept in a folder beside it as they come: if the process ends early, the same call goes on from there.

    `text` is what is to be labelled: the prompt and its continuation, or prompt and answer with an empty line between
    them, or what `text_format` says.

    Parameters
    ----------
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
    settings.check_sampling()
    prompts = read_prompts(settings.prompts, settings.prompt_column)
    source = PolicySource.of(settings.policy, "lora", settings.device, settings.trust_remote_code)
    tokenizer = source.tokenizer()
    prompt_format = choose_format(settings.chat, tokenizer)
    encoded = prompt_format.encode(prompts, tokenizer)
    network = source.network()
    check_lengths(encoded, context_of(network), settings)
    text_format = settings.text_format or default_format(prompt_format.chat)
    say(str(prompt_format))
    identity = {
        "policy": network_fingerprint(network),
        "prompts": corpus_hash(prompts),
        "chat": prompt_format.chat,
        **{name: getattr(settings, name) for name in ("generations", "max_new_tokens", "temperature", "seed")},
    }
    partial = partial_path(output)
    parts = partial / "completions"
    # a deletion that was cut short leaves completions without a manifest
    work = resumable(partial, UNFINISHED, identity, clear=lambda: shutil.rmtree(parts, ignore_errors=True))
    with main_first(work):
        sampled = sample_in_parts(
            parts,
            network,
            tokenizer,
            encoded,
            settings,
            lambda rows, completions: [],
            quiet or not is_main(),
        )
        asked = [prompt for prompt in prompts for _ in range(settings.generations)]
        answers = [completion.text for completions, _ in sampled for completion in completions]
        texts = [render(text_format, *pair) for pair in zip(asked, answers, strict=True)]
        if is_main():
            write_table(pd.DataFrame({"prompt": asked, "completion": answers, "text": texts}), Path(output))
            shutil.rmtree(partial)
    return len(texts)
