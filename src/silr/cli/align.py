"""The commands `silr align` and `silr sample`: the refined classifier as a reward for a language model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from typer import Option

from silr.cli.options import AsJson, Device, Quiet, Seed, choice, narrator
from silr.cli.warnings import warn
from silr.extras import need_models
from silr.hf.distributed import is_main

if TYPE_CHECKING:
    from silr.align import AlignSettings
    from silr.align.measures import AlignResult
    from silr.align.settings import SampleSettings

    Settings = TypeVar("Settings", AlignSettings, SampleSettings)

Policy = Annotated[str, Option(help="Model folder, .gguf file or hub name.")]
Prompts = Annotated[Path, Option(help="Table with a column of prompts.")]
PromptColumn = Annotated[str, Option(help="Column with the prompts.")]
Longest = Annotated[int, Option(min=1, help="Longest completion, in tokens.")]
Temperature = Annotated[float, Option(help="Of sampling.")]
RemoteCode = Annotated[bool, Option(help="Run code that comes with the model.")]
CHAT_HELP = "Put prompts into the policy's chat template, or let it continue them; default: chat if it has one."
Chat = Annotated[bool | None, Option("--chat/--no-chat", help=CHAT_HELP)]
TEXT_FORMAT_HELP = (
    "What the reward reads, with {completion} and {prompt}; default: as in the reward's table, else the prompt and its "
    "continuation, or prompt and answer with an empty line between them."
)
TextFormat = Annotated[str | None, Option("--reward-text", help=TEXT_FORMAT_HELP)]
Table = Annotated[Path, Option("--output", "-o", help="Where the table goes.")]
Answers = Annotated[int, Option("--generations", "-n", min=1, help="Answers to a prompt.")]

Folder = Annotated[Path, Option("--output", "-o", help="Folder for all that is made.")]
METHOD_HELP = "grpo, or dpo on the best and the worst of --generations completions; best-of-n trains nothing."
Tuning = Annotated[Literal["lora", "qlora", "full"], Option(help="Adapters, adapters on 4 bits, or all weights.")]
KL_HELP = "Coefficient (beta) of the KL from the starting policy; default 0.05, dpo 0.1."
Compared = Annotated[int, Option("--generations", "-n", min=2, help="Completions of a prompt that are compared.")]
Tracker = Annotated[str, choice("tensorboard, wandb, mlflow, ... or none.", "tensorboard", "wandb", "none")]


def align(
    policy: Policy,
    prompts: Prompts,
    reward: Annotated[Path, Option(help="Run of refine, or folder of export.")],
    output: Folder,
    wanted: Annotated[str | None, Option("--class", help="The class of the reward that is wanted.")] = None,
    judge: Annotated[Path | None, Option(help="Another run or folder, which measures and never trains.")] = None,
    method: Annotated[Literal["grpo", "dpo", "best-of-n"], Option(help=METHOD_HELP)] = "grpo",
    tuning: Tuning = "lora",
    kl: Annotated[float | None, Option(help=KL_HELP)] = None,
    steps: Annotated[int | None, Option(min=1, help="Updates; default: one pass over the prompts.")] = None,
    learning_rate: Annotated[float | None, Option(help="Default: grpo 1e-4, dpo 5e-5; full 2e-6 and 1e-6.")] = None,
    batch_size: Annotated[int, Option(min=1, help="Completions (dpo: pairs) an update.")] = 32,
    generations: Compared = 8,
    max_new_tokens: Longest = 64,
    temperature: Temperature = 1.0,
    chat: Chat = None,
    text_format: TextFormat = None,
    prompt_column: PromptColumn = "prompt",
    save_steps: Annotated[int, Option(min=1, help="Updates between checkpoints.")] = 10,
    tracker: Tracker = "tensorboard",
    vllm: Annotated[bool, Option("--vllm", help="Grpo: generate with vLLM, on GPUs.")] = False,
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
    options = locals()
    need_models("alignment")
    from silr.align import AlignSettings
    from silr.align import align as run_align

    warnings.simplefilter("ignore", FutureWarning)  # TRL's and peft's use of transformers
    silent = quiet or as_json or not is_main()
    result = run_align(output, _settings(AlignSettings, options), say=narrator(silent), quiet=silent)
    if not is_main():
        return
    for caution in result["warnings"]:
        if caution["level"] != "note":
            warn(f"{caution['title']}. {caution['words']}")
    if as_json:
        print(json.dumps(result))
    elif not quiet:
        _print(result)


def sample(
    policy: Policy,
    prompts: Prompts,
    output: Table,
    generations: Answers = 4,
    max_new_tokens: Longest = 64,
    temperature: Temperature = 1.0,
    chat: Chat = None,
    text_format: TextFormat = None,
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
    options = locals()
    need_models("sampling")
    from silr.align import SampleSettings, sample_table

    silent = quiet or as_json or not is_main()
    n = sample_table(output, _settings(SampleSettings, options), say=narrator(silent), quiet=silent)
    if as_json and is_main():
        print(json.dumps({"output": str(output), "completions": n}))
    elif not silent:
        print(f"written: {output}, {n:,} completions")


def _settings(kind: type[Settings], options: Mapping[str, object]) -> Settings:
    """Settings of the options of their names."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def _print(result: AlignResult) -> None:
    print(f"{result['prompts']['test']} prompts" + (" held out" if result["policy"] else "") + ":    before     after")
    for name, old in result["before"].items():
        print(f"  {name:14}{old:>14.3f}{result['after'][name]:>10.3f}")
    most = " at most" if result["method"] == "best-of-n" else ""
    error = f" ± {result['kl']['error']:.3f}" if "error" in result["kl"] else ""
    print(f"  KL from the start{most}: {result['kl']['completion']:.3f}{error} nats a completion")
    made = [result["policy"], result["samples"], result["report"]]
    print("written: " + ", ".join(path for path in made if path))
