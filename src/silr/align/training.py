"""Training of a policy, from the last checkpoint if there is one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from silr.align.candidates import pairs as pairs_of
from silr.align.folder import AlignFolder
from silr.align.measures import distinct_n, repetition
from silr.align.policy import check_numbers, write_policy
from silr.align.task import Task
from silr.errors import InputError
from silr.hf.distributed import is_main, wait_for_all
from silr.hf.models import silence_transformers
from silr.io.progress import progress

if TYPE_CHECKING:
    from silr.align.trl_trainers import RewardOf

T = TypeVar("T")


def train(task: Task, folder: AlignFolder) -> None:
    """Train a policy with TRL and write it; where it fails, InputError, and checkpoints are kept."""
    from transformers import PrinterCallback, set_seed

    from silr.align.trl_trainers import Training, dpo_trainer, grpo_trainer
    from silr.align.watch import Watch
    from silr.hf.checkpoints import last_checkpoint

    set_seed(task.settings.seed)  # new adapters are the same whatever was drawn before
    settings, network = task.settings, task.start.give()
    pairs = pairs_of(task, folder.candidates, network) if settings.method == "dpo" else []
    steps = task.steps(len(pairs) if settings.method == "dpo" else len(task.prompts) * settings.generations)
    checkpoint = last_checkpoint(folder.checkpoints)
    done = 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
    state = f"step {done} of {steps}"
    unit = "pairs" if settings.method == "dpo" else "completions"
    with progress("Training", steps, unit, done=done, state=state, quiet=task.quiet) as advance:
        watch = Watch(advance, settings.batch_size)
        training = Training(network, task.tokenizer, task.source, settings, folder.checkpoints, steps, watch)
        with explain_failures(folder.checkpoints), silence_transformers():
            if settings.method == "dpo":
                trainer = dpo_trainer(training, shuffled(pairs, steps * settings.batch_size, settings.seed))
            else:
                prompts = [task.prompt_format.for_trl(prompt) for prompt in task.prompts]
                prompts = shuffled(prompts, steps * settings.batch_size // settings.generations, settings.seed)
                trainer = grpo_trainer(training, prompts, _reward_of(task))
            trainer.remove_callback(PrinterCallback)
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    with explain_failures(folder.policy):
        if is_main():
            trained = trainer.accelerator.unwrap_model(trainer.model)
            folder.keep_history(trainer.state.log_history, watch.stopped)
            write_policy(trained, task.tokenizer, task.source, folder.policy)
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
        wait_for_all()


def shuffled(items: Sequence[T], length: int, seed: int) -> list[T]:
    """Return as many passes over the items as make up the length, each in an order of its own.

    So that a training is one pass for TRL, and one that goes on from a checkpoint reads on where it stopped.
    """
    rng = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < length:
        order += rng.permutation(len(items)).tolist()
    return [items[row] for row in order[:length]]


def _reward_of(task: Task) -> RewardOf:
    """The reward as TRL asks for it; the judge and the text's own measures go into the log beside it."""

    def reward_of(
        prompts: Sequence[str], completions: Sequence[str], log_metric: Callable[[str, float], None]
    ) -> list[float]:
        texts = task.texts(prompts, completions)
        if task.judge is not None:
            log_metric("judge", float(task.judge(texts).mean()))
        log_metric("distinct_2", distinct_n(completions))
        log_metric("repetition_2", sum(map(repetition, completions)) / len(completions))
        return list(map(float, task.reward(texts)))

    return reward_of


@contextmanager
def explain_failures(written: Path) -> Iterator[None]:
    """Turn what a full disk, a full memory or broken weights raise into one line."""
    import torch
    from safetensors import SafetensorError

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            "the GPU's memory does not suffice: take --tuning qlora, a smaller --max-new-tokens or --batch-size, or "
            "several GPUs with `accelerate launch -m silr align ...`; checkpoints are kept"
        ) from error
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot write {written}: {reason}; what was finished before is kept") from error
    except RuntimeError as error:
        check_numbers(error)
        if "file" in str(error).lower() and "writ" in str(error).lower():  # torch.save on a full disk
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot write {written}: {reason}; is the disk full? Checkpoints are kept") from error
        raise
