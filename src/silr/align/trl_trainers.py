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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from silr.align.policy import PolicySource
from silr.align.settings import AlignSettings
from silr.errors import InputError
from silr.extras import needs
from silr.processes import world_size

AT_ONCE = 8  # completions in one pass forward and backward; more are accumulated
NO_SPREAD = "frac_reward_zero_std"  # in GRPO's log: share of prompts whose completions all have one reward
KL, REWARD = "kl", "reward"

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


@dataclass(frozen=True)
class Pair:
    """Two completions of a prompt, as token ids."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


def grpo_trainer(
    network: Any,
    tokenizer: Any,
    source: PolicySource,
    settings: AlignSettings,
    folder: Path,
    steps: int,
    prompts: Sequence[Any],
    reward_of: RewardOf,
    callback: Any,
) -> Any:
    """Return TRL's GRPO trainer.

    Parameters
    ----------
    network, tokenizer, source
        The starting policy.
    settings : AlignSettings
    folder : Path
        For checkpoints.
    steps : int
    prompts : sequence of str or conversations
    reward_of : callable
        Given prompts, completions and a function that logs a metric, returns rewards.
    callback : transformers.TrainerCallback
    """
    from datasets import Dataset

    trl = _trl()

    def reward(prompts: list[Any], completions: list[Any], **more: Any) -> list[float]:
        return reward_of([_words(each) for each in prompts], [_words(each) for each in completions], more["log_metric"])

    arguments = trl.GRPOConfig(
        **_common(source, settings, folder, steps),
        beta=settings.kl,
        num_generations=settings.generations,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=0,
        shuffle_dataset=False,
        use_vllm=settings.vllm,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs take several processes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trl.GRPOTrainer(
            model=network,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
            processing_class=tokenizer,
            peft_config=source.adapter(),
            callbacks=[callback],
        )


def dpo_trainer(
    network: Any,
    tokenizer: Any,
    source: PolicySource,
    settings: AlignSettings,
    folder: Path,
    steps: int,
    pairs: Sequence[Pair],
    callback: Any,
) -> Any:
    """Return TRL's DPO trainer. It is given the very tokens that were sampled.

    Parameters
    ----------
    network, tokenizer, source, settings, folder, steps, callback
        As in `grpo_trainer`.
    pairs : sequence of Pair
    """
    from datasets import Dataset

    trl = _trl()

    class ExactTokens(trl.DPOTrainer):  # type: ignore[misc, name-defined]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # TRL would tokenise texts, and add an end to completions that have none

    columns = {
        "prompt_ids": [pair.prompt for pair in pairs],
        "chosen_ids": [pair.chosen for pair in pairs],
        "rejected_ids": [pair.rejected for pair in pairs],
    }
    arguments = trl.DPOConfig(**_common(source, settings, folder, steps), beta=settings.kl, max_length=None)
    arguments._n_gpu = min(arguments.n_gpu, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ExactTokens(
            model=network,
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            processing_class=tokenizer,
            peft_config=source.adapter(),
            callbacks=[callback],
        )


def _trl() -> Any:
    import trl

    return trl


def _common(source: PolicySource, settings: AlignSettings, folder: Path, steps: int) -> dict[str, Any]:
    own = settings.batch_size // world_size()
    at_once = max(size for size in range(1, min(AT_ONCE, own) + 1) if own % size == 0)
    cpu = source.device == "cpu"
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.parent / "tensorboard")
    return {
        "output_dir": str(folder),
        "max_steps": steps,
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


def _words(part: Any) -> str:
    """The text of a prompt or completion: of a conversation, its last message."""
    return part if isinstance(part, str) else str(part[-1]["content"])
