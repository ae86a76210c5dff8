"""An alignment: measure the policy, train it or choose among its answers, measure again, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.align.candidates import SAME, candidates
from silr.align.cautions import find_warnings
from silr.align.folder import AlignFolder, finished_part
from silr.align.generate import Completion, log_probabilities, sample
from silr.align.load_scorer import load_scorer
from silr.align.measures import ARRAYS, AlignResult, Divergence, Measured
from silr.align.policy import Network, PolicySource, Start, context_of, read_policy, starting_point
from silr.align.prompts import check_lengths, choose_format, hold_out, read_prompts
from silr.align.report import write_align_report
from silr.align.scorer import Scorer
from silr.align.settings import AlignSettings
from silr.align.task import Task
from silr.align.text_format import format_of
from silr.align.training import explain_failures, train
from silr.errors import InputError
from silr.hf.distributed import check_launch, is_main, wait_for_all, world_size
from silr.hf.models import network_fingerprint, silence_transformers
from silr.io.corpus import corpus_hash
from silr.io.files import read_json, write_json
from silr.io.progress import progress
from silr.io.tables import write_table
from silr.report.warnings import Caution

if TYPE_CHECKING:
    import pandas as pd

NOT_IDENTITY = ("policy", "prompts", "reward", "judge", "wanted", "device", "save_steps", "tracker", "vllm", "chat")


class Plan(NamedTuple):
    """A task, the prompts that measure it with their tokens, and what makes it the same alignment."""

    task: Task
    prompts: list[str]
    encoded: list[list[int]]
    held_out: bool
    identity: dict[str, object]


def align(
    output: str | Path, settings: AlignSettings, say: Callable[[str], None] = lambda line: None, quiet: bool = True
) -> AlignResult:
    """Align a policy with a reward, or choose its best answers, and report what came of it.

    A killed alignment goes on where it stopped when it is called again.

    Parameters
    ----------
    output : str or Path
        A new folder, or one of the same settings.
    say : callable
        Called with lines that the user should read.
    quiet : bool, default True
        Show no progress.

    Returns
    -------
    dict
        All figures, as in ``result.json``: ``before`` and ``after`` (means over the same prompts), ``kl`` (nats a
        completion), ``warnings``, and paths.

    Raises
    ------
    InputError
        Something that is given cannot be used, there is nothing to learn, or the disk or memory is full.
    """
    plan = _plan(settings.checked(world_size()), say, quiet)
    with AlignFolder.start(Path(output), plan.identity) as folder:
        work = _choose if settings.method == "best-of-n" else _train
        before, after, kl = work(plan, folder)
        history = read_json(folder.history) if folder.history.exists() else {"log": [], "stopped": None}
        result = _result(plan, folder, before, after, kl, history["stopped"])
        if is_main():
            write_table(_side_by_side(plan.prompts, before, after), folder.samples)
            write_json(folder.result, result)
            write_align_report(folder, result, before, after, plan.prompts, history["log"])
        wait_for_all()
    return result


def _plan(settings: AlignSettings, say: Callable[[str], None], quiet: bool) -> Plan:
    """Everything loaded and checked, before any work."""
    prompts = read_prompts(settings.prompts, settings.prompt_column)
    check_launch(settings.device, "--tuning qlora")
    if settings.method != "best-of-n":
        from silr.align.trl_trainers import need_trl

        need_trl(settings.tracker)
    source = PolicySource.of(settings.policy, settings.tuning, settings.device, settings.trust_remote_code)
    tokenizer = source.tokenizer()
    prompt_format = choose_format(settings.chat, tokenizer)
    reward = load_scorer(settings.reward, settings.wanted, source.device)
    if settings.text_format is not None:
        text_format, known_from = settings.text_format, "as it was given"
    else:
        text_format, known_from = format_of(Path(settings.reward).expanduser(), prompt_format.chat)
    judge = _judge(settings, reward, source.device)
    with silence_transformers():
        for scorer in filter(None, (reward, judge)):
            scorer([prompts[0]])  # loads what it reads with; what it cannot read is said before any work
    encoded = prompt_format.encode(prompts, tokenizer)
    start = Start(source)
    weights = network_fingerprint(start.network)
    check_lengths(encoded, context_of(start.network), settings)
    rows, kept = hold_out(len(prompts), settings.seed)
    if settings.method == "best-of-n":
        rows = kept = list(range(len(prompts)))
    say(f"{prompt_format}")
    say(f"the reward reads {text_format!r} ({known_from}): {reward.scale}")
    identity = {
        **{name: value for name, value in asdict(settings).items() if name not in NOT_IDENTITY},
        "policy": {"model": source.model, "weights": weights},
        "prompts": corpus_hash(prompts),
        "chat": prompt_format.chat,
        "text_format": text_format,
        "reward": reward.record,
        "judge": judge and judge.record,
    }
    trained = [prompts[row] for row in rows], [encoded[row] for row in rows]
    silent = quiet or not is_main()
    task = Task(settings, source, start, tokenizer, *trained, prompt_format, text_format, reward, judge, silent)
    held_out = settings.method == "best-of-n" or len(rows) < len(prompts)
    return Plan(task, [prompts[row] for row in kept], [encoded[row] for row in kept], held_out, identity)


def _judge(settings: AlignSettings, reward: Scorer, device: str) -> Scorer | None:
    if settings.judge is None:
        return None
    judge = load_scorer(settings.judge, reward.wanted, device, "--judge")
    if judge.record["weights"] == reward.record["weights"]:
        raise InputError("--judge is the reward itself; a judge must have seen other texts")
    return judge


def _result(
    plan: Plan, folder: AlignFolder, before: Measured, after: Measured, kl: Divergence, stopped: str | None
) -> AlignResult:
    task = plan.task
    warnings = find_warnings(before, after, kl["completion"], plan.held_out)
    if stopped:
        warnings.append(Caution("careful", "Training ended early", stopped))
    return {
        "method": task.settings.method,
        "prompts": {"train": len(task.prompts), "test": len(plan.prompts), "held_out": plan.held_out},
        "reward": task.reward.scale,
        "judge": None if task.judge is None else task.judge.scale,
        "before": before.means(),
        "after": after.means(),
        "kl": kl,
        "warnings": [caution._asdict() for caution in warnings],
        "policy": str(folder.policy) if folder.policy.exists() else None,
        "samples": str(folder.samples),
        "report": str(folder.folder / "report.html"),
    }


def _train(plan: Plan, folder: AlignFolder) -> tuple[Measured, Measured, Divergence]:
    """Sample, train, and sample again with the same seed."""
    task = plan.task

    def first() -> dict[str, object]:
        return _measured(plan, _sampled(plan, task.start.network, "Sampling before")).to_dict()

    before = Measured.from_dict(finished_part(folder.before, first))
    if before.reward.max() - before.reward.min() < SAME:
        raise InputError(
            f"the reward is {before.reward[0]:.6g} for all {len(before.reward)} completions of the starting policy: "
            "there is nothing to learn"
        )
    if not folder.policy.exists():
        train(task, folder)
    else:
        task.start.give()
        if is_main():
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
    with explain_failures(folder.folder):
        trained = read_policy(folder.policy, task.source)
        completions = _sampled(plan, trained, "Sampling after")
        kl = _divergence(plan, trained, completions)
    return before, _measured(plan, completions), kl


def _choose(plan: Plan, folder: AlignFolder) -> tuple[Measured, Measured, Divergence]:
    """Take the first of n completions, and the one that the reward likes best."""
    n = plan.task.settings.generations
    sampled, rewards = candidates(plan.task, folder.candidates, plan.task.start.network)
    if (rewards.max(axis=1) - rewards.min(axis=1) < SAME).all():
        raise InputError("the reward is the same for all completions of each prompt: there is nothing to choose by")
    before = _measured(plan, [completions[0] for completions in sampled])
    best = rewards.argmax(axis=1)
    after = _measured(plan, [completions[pick] for completions, pick in zip(sampled, best, strict=True)])
    finished_part(folder.before, before.to_dict)
    # at most so much: Beirami and others, "Theoretical guarantees on the best-of-n alignment policy", 2024
    return before, after, {"completion": float(np.log(n) - (n - 1) / n)}


def _measured(plan: Plan, completions: list[Completion]) -> Measured:
    task = plan.task
    texts = task.texts(plan.prompts, [completion.text for completion in completions])
    return Measured.of(completions, texts, task.reward, task.judge)


def _sampled(plan: Plan, network: Network, name: str) -> list[Completion]:
    task, total, done = plan.task, len(plan.encoded), 0
    with progress(name, total, "prompts", state=f"0 of {total} prompts", quiet=task.quiet) as advance:

        def on_batch(answered: int) -> None:
            nonlocal done
            done += answered
            advance(answered, answered, f"{done} of {total} prompts")

        return sample(
            network,
            task.tokenizer,
            plan.encoded,
            max_new_tokens=task.settings.max_new_tokens,
            temperature=task.settings.temperature,
            seed=task.settings.seed,
            on_batch=on_batch,
        )


def _divergence(plan: Plan, trained: Network, completions: list[Completion]) -> Divergence:
    """KL divergence of the trained policy from the starting one, by the completions of the trained one, in nats."""
    task = plan.task

    def logps(network: Network) -> NDArray[np.float64]:
        temperature, padding = task.settings.temperature, int(task.tokenizer.pad_token_id)
        return log_probabilities(network, plan.encoded, completions, temperature, padding)

    after = logps(trained)
    with starting_point(trained, task.source) as start:
        gap = after - logps(start)
    tokens = sum(len(completion.ids) for completion in completions)
    error = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else 0.0
    return {"completion": float(gap.mean()), "error": error, "token": float(gap.sum() / max(1, tokens))}


def _side_by_side(prompts: list[str], before: Measured, after: Measured) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({"prompt": prompts, "before": before.completions, "after": after.completions})
    for name in ARRAYS:
        for when, measured in (("before", before), ("after", after)):
            if (column := getattr(measured, name)) is not None:
                frame[f"{name}_{when}"] = np.round(column, 4)
    return frame
