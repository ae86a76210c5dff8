"""All that silr touches of TRL: its trainers for GRPO and DPO. TRL moves fast; constraints.txt has what was tested.

References
----------
GRPO: Shao and others, "DeepSeekMath", 2024 (arXiv 2402.03300). DPO: Rafailov and others, NeurIPS 2023 (arXiv
2305.18290).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from silr.align.policy import Network, PolicySource
from silr.align.settings import AlignSettings
from silr.errors import InputError
from silr.extras import needs
from silr.hf.distributed import world_size

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainingArguments

AT_ONCE = 8  # completions in one pass forward and backward; more are accumulated
NO_SPREAD = "frac_reward_zero_std"  # in GRPO's log: share of prompts whose completions all have one reward
KL, REWARD = "kl", "reward"

Message = str | list[dict[str, str]]  # plain, or a conversation
RewardOf = Callable[[Sequence[str], Sequence[str], Callable[[str, float], None]], list[float]]


def need_trl(tracker: str) -> None:
    """Raise InputError unless TRL and the tracker are installed."""
    with needs("align", "alignment", "or take --method best-of-n"):
        import datasets  # noqa: F401
        import trl  # noqa: F401
    from transformers.integrations import integration_utils as untyped

    integrations: Any = untyped
    if tracker == "none" or tracker in integrations.get_available_reporting_integrations():
        return
    if tracker not in integrations.INTEGRATION_TO_CALLBACK:
        known = ", ".join(sorted(integrations.INTEGRATION_TO_CALLBACK))
        raise InputError(f"--tracker {tracker}: it must be none or one of {known}")
    raise InputError(f"--tracker {tracker} is not installed: pip install {tracker}, or take --tracker none")


class Training(NamedTuple):
    """Arguments of both trainers: the starting policy, a folder for checkpoints, the number of steps and a callback."""

    network: Network
    tokenizer: PreTrainedTokenizerBase
    source: PolicySource
    settings: AlignSettings
    folder: Path
    steps: int
    callback: TrainerCallback


def grpo_trainer(training: Training, prompts: Sequence[object], reward_of: RewardOf) -> Trainer:
    """Return TRL's GRPO trainer; `reward_of` is given prompts, completions and a function that logs a metric."""
    trl = _trl()

    def reward(prompts: list[Message], completions: list[Message], **more: Any) -> list[float]:
        return reward_of([*map(_words, prompts)], [*map(_words, completions)], more["log_metric"])

    settings = training.settings
    arguments = trl.GRPOConfig(
        **_common(training),
        num_generations=settings.generations,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=0,
        shuffle_dataset=False,
        use_vllm=settings.vllm,
    )
    rows = [{"prompt": prompt} for prompt in prompts]
    return _trainer(trl.GRPOTrainer, training, arguments, rows, reward_funcs=reward)


def dpo_trainer(training: Training, pairs: Sequence[dict[str, list[int]]]) -> Trainer:
    """Return TRL's DPO trainer. It is given the very tokens that were sampled, of prompt, chosen and rejected."""
    trl = _trl()

    class ExactTokens(trl.DPOTrainer):  # type: ignore[misc, name-defined]
        def _prepare_dataset(self, dataset: Any, *_: object, **__: object) -> Any:
            return dataset  # TRL would tokenise texts, and add an end to completions that have none

    return _trainer(ExactTokens, training, trl.DPOConfig(**_common(training), max_length=None), pairs)


def _trainer(
    kind: Callable[..., Trainer],
    training: Training,
    arguments: TrainingArguments,
    rows: Sequence[dict[str, Any]],
    **options: object,
) -> Trainer:
    from datasets import Dataset

    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs take several processes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(
            model=training.network,
            args=arguments,
            train_dataset=Dataset.from_list(list(rows)),
            processing_class=training.tokenizer,
            peft_config=training.source.adapter(),
            callbacks=[training.callback],
            **options,
        )


def _trl() -> Any:
    import trl

    return trl


def _common(training: Training) -> dict[str, object]:
    """Arguments of both trainers' configurations."""
    source, settings, folder = training.source, training.settings, training.folder
    own = settings.batch_size // world_size()
    at_once = max(size for size in range(1, min(AT_ONCE, own) + 1) if own % size == 0)
    cpu = source.device == "cpu"
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.parent / "tensorboard")
    return {
        "output_dir": str(folder),
        "max_steps": training.steps,
        "beta": settings.kl,
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": own // at_once,
        "learning_rate": settings.learning_rate,
        "warmup_steps": 0.05,  # a share
        "lr_scheduler_type": "linear",
        "weight_decay": 0.0,
        "bf16": source.half == "bfloat16",
        "fp16": source.half == "float16",
        "gradient_checkpointing": not cpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": 2,
        "report_to": settings.tracker,
        "disable_tqdm": True,
        "seed": settings.seed,
        "use_cpu": cpu,
        "ddp_find_unused_parameters": False,
        "ddp_backend": "gloo" if cpu and world_size() > 1 else None,
        "dataloader_pin_memory": not cpu,
    }


def _words(part: Message) -> str:
    """The text of a prompt or completion: of a conversation, its last message."""
    return part if isinstance(part, str) else str(part[-1]["content"])
