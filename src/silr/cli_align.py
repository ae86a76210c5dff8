"""The commands `silr align` and `silr sample`: the refined classifier as a reward for a language model."""

from __future__ import annotations

import json
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from silr.cli_options import AsJson, Device, Quiet, one_of
from silr.extras import need_models
from silr.processes import is_main


class Method(StrEnum):
    """How the reward is used."""

    grpo = "grpo"
    dpo = "dpo"
    best_of_n = "best-of-n"


class Tuning(StrEnum):
    """Which weights of the policy are tuned."""

    lora = "lora"
    qlora = "qlora"
    full = "full"


Policy = Annotated[str, typer.Option(help="Model folder, .gguf file or hub name.", show_default=False)]
Prompts = Annotated[Path, typer.Option(help="Table with a column of prompts.", show_default=False)]
PromptColumn = Annotated[str, typer.Option(help="Column with the prompts.")]
Longest = Annotated[int, typer.Option(min=1, help="Longest completion, in tokens.")]
Temperature = Annotated[float, typer.Option(help="Of sampling.")]
Chat = Annotated[
    bool | None,
    typer.Option(
        "--chat/--no-chat",
        help="Put prompts into the policy's chat template, or let it continue them; default: chat if it has one.",
        show_default=False,
    ),
]
TextFormat = Annotated[
    str | None,
    typer.Option(
        "--reward-text",
        help="What the reward reads, with {completion} and {prompt}; default: as in the reward's table, else "
        "the prompt and its continuation, or prompt and answer with an empty line between them.",
        show_default=False,
    ),
]
RemoteCode = Annotated[bool, typer.Option(help="Run code that comes with the model.")]
Seed = Annotated[int, typer.Option(min=0)]


def align(
    policy: Policy,
    prompts: Prompts,
    reward: Annotated[Path, typer.Option(help="Run of refine, or folder of export.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all that is made.", show_default=False)],
    wanted: Annotated[
        str | None, typer.Option("--class", help="The class of the reward that is wanted.", show_default=False)
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(help="Another run or folder, which measures and never trains.", show_default=False),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="grpo, or dpo on the best and the worst of --generations completions; best-of-n trains nothing."
        ),
    ] = Method.grpo,
    tuning: Annotated[Tuning, typer.Option(help="Adapters, adapters on 4 bits, or all weights.")] = Tuning.lora,
    kl: Annotated[
        float | None,
        typer.Option(
            help="Coefficient (beta) of the KL from the starting policy; default 0.05, dpo 0.1.", show_default=False
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Updates; default: one pass over the prompts.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Default: grpo 1e-4, dpo 5e-5; full 2e-6 and 1e-6.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Completions (dpo: pairs) an update.")] = 32,
    generations: Annotated[
        int, typer.Option("--generations", "-n", min=2, help="Completions of a prompt that are compared.")
    ] = 8,
    max_new_tokens: Longest = 64,
    temperature: Temperature = 1.0,
    chat: Chat = None,
    reward_text: TextFormat = None,
    prompt_column: PromptColumn = "prompt",
    save_steps: Annotated[int, typer.Option(min=1, help="Updates between checkpoints.")] = 10,
    tracker: Annotated[
        str,
        typer.Option(
            help="tensorboard, wandb, mlflow, ... or none.", autocompletion=one_of("tensorboard", "wandb", "none")
        ),
    ] = "tensorboard",
    vllm: Annotated[bool, typer.Option("--vllm", help="Grpo: generate with vLLM, on GPUs.")] = False,
    trust_remote_code: RemoteCode = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Align a language model with a run's classifier as the reward.

    OUTPUT/policy is the aligned model, a Hugging Face folder; samples.csv has its answers before and after side by
    side; report.html says what changed. A killed alignment goes on where it stopped: run the same command again.

    silr align --policy MODEL --prompts prompts.csv --reward run/ --class harmless -o aligned/
    """
    need_models("alignment")
    from silr.align import AlignSettings
    from silr.align import align as run_align

    warnings.simplefilter("ignore", FutureWarning)  # TRL's and peft's use of transformers
    silent = quiet or as_json or not is_main()
    settings = AlignSettings(
        policy=policy,
        prompts=prompts,
        reward=reward,
        wanted=wanted,
        judge=judge,
        method=method.value,
        tuning=tuning.value,
        kl=kl,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        generations=generations,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        chat=chat,
        text_format=reward_text,
        prompt_column=prompt_column,
        save_steps=save_steps,
        tracker=tracker,
        vllm=vllm,
        trust_remote_code=trust_remote_code,
        seed=seed,
        device=device,
    )
    result = run_align(output, settings, say=(lambda line: None) if silent else _note, quiet=silent)
    if not is_main():
        return
    for warning in result["warnings"]:
        if warning["level"] != "note":
            print(f"silr: warning: {warning['title']}. {warning['words']}", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps(result))
    elif not quiet:
        _print(result)


def sample(
    policy: Policy,
    prompts: Prompts,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the table goes.", show_default=False)],
    generations: Annotated[int, typer.Option("--generations", "-n", min=1, help="Answers to a prompt.")] = 4,
    max_new_tokens: Longest = 64,
    temperature: Temperature = 1.0,
    chat: Chat = None,
    reward_text: TextFormat = None,
    prompt_column: PromptColumn = "prompt",
    trust_remote_code: RemoteCode = False,
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Let a language model answer prompts, as a table for annotate.

    The columns are prompt, completion and text, what annotate reads. A reward that was refined on such a table reads
    prompts and completions in just this form. A killed sampling goes on where it stopped: run the same command again.

    silr sample --policy MODEL --prompts prompts.csv -o answers.csv
    """
    need_models("sampling")
    from silr.align.sample import SampleSettings, sample_table

    silent = quiet or as_json or not is_main()
    settings = SampleSettings(
        policy=policy,
        prompts=prompts,
        generations=generations,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        chat=chat,
        text_format=reward_text,
        prompt_column=prompt_column,
        trust_remote_code=trust_remote_code,
        seed=seed,
        device=device,
    )
    n = sample_table(output, settings, say=(lambda line: None) if silent else _note, quiet=silent)
    if not is_main():
        return
    if as_json:
        print(json.dumps({"output": str(output), "completions": n}))
    elif not quiet:
        print(f"written: {output}, {n:,} completions")


def _note(line: str) -> None:
    print(line, flush=True)


def _print(result: dict[str, Any]) -> None:
    print(f"{result['prompts']['test']} prompts" + (" held out" if result["policy"] else "") + ":    before     after")
    for name, old in result["before"].items():
        print(f"  {name:14}{old:>14.3f}{result['after'][name]:>10.3f}")
    most = " at most" if result["method"] == "best-of-n" else ""
    error = f" ± {result['kl']['error']:.3f}" if "error" in result["kl"] else ""
    print(f"  KL from the start{most}: {result['kl']['completion']:.3f}{error} nats a completion")
    made = [result["policy"], result["samples"], result["report"]]
    print("written: " + ", ".join(path for path in made if path))
