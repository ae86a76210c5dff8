"""The whole of an alignment: measure the policy, train it or choose among its answers, measure again, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.align.candidates import SAME, candidates
from silr.align.cautions import Caution, find_warnings
from silr.align.folder import AlignFolder, read_json
from silr.align.generate import Completion, log_probabilities, sample
from silr.align.measures import Measured
from silr.align.policy import PolicySource, Start, context_of, read_policy, starting_point
from silr.align.prompts import check_lengths, choose_format, hold_out, read_prompts
from silr.align.report import write_align_report
from silr.align.scorer import load_scorer
from silr.align.settings import AlignSettings
from silr.align.text_format import format_of
from silr.align.training import Task, train, trouble
from silr.annotators.models import network_fingerprint, silence_transformers
from silr.corpus import corpus_hash
from silr.errors import InputError
from silr.files import write_json
from silr.formats import write_table
from silr.processes import check_launch, is_main, wait_for_all, world_size
from silr.progress import progress

NOT_IDENTITY = ("policy", "prompts", "reward", "judge", "wanted", "device", "save_steps", "tracker", "vllm", "chat")


def align(
    output: str | Path, settings: AlignSettings, say: Callable[[str], None] = lambda line: None, quiet: bool = True
) -> dict[str, Any]:
    """Align a policy with a reward, or choose its best answers, and report what came of it.

    A killed alignment goes on where it stopped when it is called again.

    Parameters
    ----------
    output : str or Path
        A new folder, or one of the same settings.
    settings : AlignSettings
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
    settings = settings.checked(world_size())
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
    judge = None
    if settings.judge is not None:
        judge = load_scorer(settings.judge, reward.wanted, source.device, "--judge")
        if judge.record["weights"] == reward.record["weights"]:
            raise InputError("--judge is the reward itself; a judge must have seen other texts")
    with silence_transformers():
        for scorer in (reward, judge):
            if scorer is not None:
                scorer([prompts[0]])  # loads what it reads with; what it cannot read is said before any work
    encoded = prompt_format.encode(prompts, tokenizer)
    start = Start(source)
    weights = network_fingerprint(start.network())
    check_lengths(encoded, context_of(start.network()), settings.max_new_tokens, settings.prompts)
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
    task = Task(
        settings,
        source,
        start,
        tokenizer,
        [prompts[row] for row in rows],
        [encoded[row] for row in rows],
        prompt_format,
        text_format,
        reward,
        judge,
        quiet or not is_main(),
    )
    with AlignFolder.start(Path(output), identity) as folder:
        test = [prompts[row] for row in kept], [encoded[row] for row in kept]
        work = _choose if settings.method == "best-of-n" else _train
        before, after, kl = work(task, folder, *test)
        held_out = settings.method == "best-of-n" or len(rows) < len(prompts)
        warnings = find_warnings(before, after, kl["completion"], held_out)
        history = read_json(folder.history) if folder.history.exists() else {"log": [], "stopped": None}
        if history["stopped"]:
            warnings.append(Caution("careful", "Training ended early", history["stopped"]))
        result = {
            "method": settings.method,
            "prompts": {"train": len(rows), "test": len(kept), "held_out": held_out},
            "reward": reward.scale,
            "judge": judge and judge.scale,
            "before": before.means(),
            "after": after.means(),
            "kl": kl,
            "warnings": [caution._asdict() for caution in warnings],
            "policy": str(folder.policy) if folder.policy.exists() else None,
            "samples": str(folder.samples),
            "report": str(folder.folder / "report.html"),
        }
        if is_main():
            write_table(_side_by_side(test[0], before, after), folder.samples)
            write_json(folder.result, result)
            write_align_report(folder, result, before, after, test[0], history["log"])
        wait_for_all()
    return result


def _train(
    task: Task, folder: AlignFolder, prompts: list[str], encoded: list[list[int]]
) -> tuple[Measured, Measured, dict[str, float]]:
    """Sample, train, and sample again with the same seed."""
    settings = task.settings

    def measured(found: list[Completion]) -> Measured:
        return Measured.of(found, task.texts(prompts, [each.text for each in found]), task.reward, task.judge)

    def first() -> dict[str, Any]:
        return measured(_sampled(task, task.start.network(), encoded, "Sampling before")).to_dict()

    before = Measured.from_dict(folder.keep(folder.before, first))
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
    with trouble(folder.folder):
        trained = read_policy(folder.policy, task.source)
        found = _sampled(task, trained, encoded, "Sampling after")
        kl = _kl(task, trained, encoded, found, settings.temperature)
    return before, measured(found), kl


def _choose(
    task: Task, folder: AlignFolder, prompts: list[str], encoded: list[list[int]]
) -> tuple[Measured, Measured, dict[str, float]]:
    """Take the first of n completions, and the one that the reward likes best."""
    n = task.settings.generations
    sampled, rewards = candidates(task, folder.candidates, task.start.network())
    if (rewards.max(axis=1) - rewards.min(axis=1) < SAME).all():
        raise InputError("the reward is the same for all completions of each prompt: there is nothing to choose by")
    chosen = {"before": np.zeros(len(sampled), dtype=np.int64), "after": rewards.argmax(axis=1)}
    found = []
    for picks in chosen.values():
        picked = [completions[pick] for completions, pick in zip(sampled, picks, strict=True)]
        texts = task.texts(prompts, [each.text for each in picked])
        found.append(Measured.of(picked, texts, task.reward, task.judge))
    folder.keep(folder.before, found[0].to_dict)
    # at most so much: Beirami and others, "Theoretical guarantees on the best-of-n alignment policy", 2024
    return found[0], found[1], {"completion": float(np.log(n) - (n - 1) / n)}


def _sampled(task: Task, network: Any, encoded: list[list[int]], name: str) -> list[Completion]:
    total = len(encoded)
    done = 0
    with progress(name, total, "prompts", state=f"0 of {total} prompts", quiet=task.quiet) as advance:

        def on_batch(answered: int) -> None:
            nonlocal done
            done += answered
            advance(answered, answered, f"{done} of {total} prompts")

        return sample(
            network,
            task.tokenizer,
            encoded,
            max_new_tokens=task.settings.max_new_tokens,
            temperature=task.settings.temperature,
            seed=task.settings.seed,
            on_batch=on_batch,
        )


def _kl(
    task: Task, trained: Any, encoded: Sequence[Sequence[int]], found: list[Completion], temperature: float
) -> dict[str, float]:
    """KL divergence of the trained policy from the starting one, by the completions of the trained one, in nats."""
    padding = int(task.tokenizer.pad_token_id)

    def logps(network: Any) -> NDArray[np.float64]:
        return log_probabilities(network, encoded, found, temperature, padding)

    now = logps(trained)
    with starting_point(trained, task.source) as start:
        gap = now - logps(start)
    tokens = sum(len(each.ids) for each in found)
    error = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else 0.0
    return {"completion": float(gap.mean()), "error": error, "token": float(gap.sum() / max(1, tokens))}


def _side_by_side(prompts: list[str], before: Measured, after: Measured) -> Any:
    import pandas as pd

    columns: dict[str, Any] = {"prompt": prompts, "before": before.completions, "after": after.completions}
    for name in ("reward", "judge", "tokens"):
        for when, values in (("before", before), ("after", after)):
            column = getattr(values, name)
            if column is not None:
                columns[f"{name}_{when}"] = np.round(column, 4) if name != "tokens" else column
    return pd.DataFrame(columns)
