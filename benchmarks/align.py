"""Alignment of a real LLM: does a refined reward make better text than a raw one, by a judge that neither has met?

    pip install 'silr[align]'
    python benchmarks/align.py FOLDER MODEL --encoder ENCODER [--tasks reviews safety] [--seeds 0 1 2] [--arms ...]
    python benchmarks/align.py --report

FOLDER holds ``movie.csv.gz`` and ``offensive.csv.gz`` as compare.py reads them; MODEL is the policy, a folder, a
``.gguf`` file or a hub name; ENCODER a sentence-transformers folder or name: rewards and judge read TF-IDF and its
embeddings (TF-IDF alone without it). The policy continues the first words of texts; the judge is trained on true labels
of texts that no reward has seen. Arms: GRPO with the reward from raw, paper, silr or true labels; without training, by
the silr reward, best-of-n and a revise step, and the LLM's own critique (self-refine), with as many tokens.

A stopped benchmark goes on where it stopped: runs and checkpoints lie in --work (with the samples), finished arms in
benchmarks/results/align/TASK.json. A GPU is used if there is one. --report writes table.md beside them.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from align_tasks import REWARDS, TASKS, accuracy, split, write_rewards
from compare import machine
from revise import BUDGET, guided, self_refine, writer
from silr.align import AlignSettings, align
from silr.align.load_scorer import load_scorer
from silr.align.measures import Measured
from silr.align.policy import PolicySource
from silr.align.prompts import hold_out
from silr.io.files import write_json

RESULTS = Path(__file__).parent / "results" / "align"
HEAD = (
    "judge",
    "by seed",
    "KL, nats",
    "tokens",
    "distinct-2",
    "repeated pairs",
    "reward right on unseen texts",
    "reward and judge correlate",
)
SAMPLES = 10  # of each arm that go into the results
ARMS = (*REWARDS, "best-of-n", "revise", "self-refine")
NAMES = {
    "untouched": "untouched policy",
    "raw": "GRPO, reward from the LLM's labels",
    "paper": "GRPO, refined reward (paper)",
    "silr": "GRPO, refined reward (silr)",
    "true": "GRPO, reward from true labels",
    "best-of-n": f"best of {BUDGET}, refined reward (silr)",
    "revise": "revise step, refined classifier (silr)",
    "self-refine": "revise step, own critique (Self-Refine)",
}


def one_arm(arm: str, task: str, seed: int, work: Path, prompts: list[str], options: argparse.Namespace) -> Any:
    """Align, or revise, and measure on the held-out prompts."""
    began = time.monotonic()
    test = [prompts[row] for row in hold_out(len(prompts), seed)[1]]
    if arm in ("revise", "self-refine"):
        found = revised(arm, task, seed, work, test, options)
    else:
        used = test if arm == "best-of-n" else prompts
        path = work / f"prompts-{len(used)}.csv"
        pd.DataFrame({"prompt": used}).to_csv(path, index=False)
        settings = AlignSettings(
            policy=options.model,
            prompts=path,
            reward=work / ("silr" if arm == "best-of-n" else arm),
            judge=work / "judge",
            wanted=TASKS[task].wanted,
            method="best-of-n" if arm == "best-of-n" else "grpo",
            generations=BUDGET if arm == "best-of-n" else 8,
            steps=options.steps,
            kl=options.kl,
            learning_rate=options.learning_rate,
            max_new_tokens=options.length,
            chat=False,
            tracker="none",
            seed=seed,
        )
        result = align(work / f"aligned-{arm}", settings, say=print, quiet=False)
        found = {name: result[name] for name in ("before", "after", "kl")}
        found["warnings"] = [warning["title"] for warning in result["warnings"]]
        found["agreement"] = agreement(arm, work)
    return {**found, "samples": samples_of(arm, work), "seconds": round(time.monotonic() - began)}


def samples_of(arm: str, work: Path) -> list[dict[str, Any]]:
    """The first held-out prompts, what was written, and what the judge says of it."""
    frame = pd.read_csv(samples_path(arm, work), keep_default_na=False).head(SAMPLES)
    names = {"before": "before", "after": "after", "judge_after": "judge", "judge": "judge"}
    columns = ["prompt", *(name for name in names if name in frame.columns)]
    return frame[columns].rename(columns=names).to_dict("records")


def agreement(arm: str, work: Path) -> float:
    """Correlation of reward and judge over what the untouched policy wrote: how good the reward is, before training."""
    frame = pd.read_csv(samples_path(arm, work))
    return float(np.corrcoef(frame["reward_before"], frame["judge_before"])[0, 1])


def samples_path(arm: str, work: Path) -> Path:
    return work / f"{arm}.csv" if arm in ("revise", "self-refine") else work / f"aligned-{arm}" / "samples.csv"


def revised(arm: str, task: str, seed: int, work: Path, test: list[str], options: argparse.Namespace) -> Any:
    source = PolicySource.of(options.model, "lora", None)
    tokenizer = source.tokenizer()
    write = writer(source.network(), tokenizer, options.length, seed)
    reward, judge = (load_scorer(work / name, TASKS[task].wanted, source.device) for name in ("silr", "judge"))
    if arm == "revise":
        found, tokens = guided(write, tokenizer, TASKS[task], test, reward)
    else:
        found, tokens = self_refine(write, tokenizer, TASKS[task], test)
    texts = [prompt + each.text for prompt, each in zip(test, found, strict=True)]
    measured = Measured.of(found, texts, reward, judge)
    columns = {"prompt": test, "after": measured.completions, "judge": measured.judge}
    pd.DataFrame(columns).round({"judge": 4}).to_csv(samples_path(arm, work), index=False)
    return {"after": measured.means(), "generated_tokens": tokens}


def one_seed(task: str, seed: int, found: dict[str, Any], options: argparse.Namespace, path: Path) -> None:
    cell = found["seeds"].setdefault(str(seed), {})
    wanted = [arm for arm in options.arms if arm not in cell]
    if not wanted:
        return
    work = options.work / f"{task}-{seed}"
    parts = split(options.folder, TASKS[task], seed, options.prompts)
    if "refused" not in cell or not (work / "judge").is_dir():
        features = ["tfidf"] + ([options.encoder] if options.encoder else [])
        cell["refused"] = write_rewards(parts, features, options.gold, seed, work)
        cell["accuracy"] = accuracy(parts, work)
        print(f"{task}, seed {seed}: accuracy on unseen texts", cell["accuracy"], flush=True)
    for arm in wanted:
        if arm in cell["refused"]:
            cell[arm] = {"refused": cell["refused"][arm]}
        else:
            cell[arm] = one_arm(arm, task, seed, work, parts.prompts, options)
            print(f"{task}, seed {seed}, {arm}: judge {cell[arm]['after']['judge']:.3f}", flush=True)
        found["machine"] = machine()
        write_json(path, found)


def table(folder: Path) -> str:
    """Markdown: the judge's mean over seeds and its value for each, and what watches for reward hacking."""
    lines = []
    for path in sorted(folder.glob("*.json")):
        seeds = json.loads(path.read_text())["seeds"]
        lines += [f"\n{path.stem}, seeds {', '.join(seeds)}\n", "| " + " | ".join(("", *HEAD)) + " |"]
        lines += ["|" + " --- |" * (len(HEAD) + 1)]
        for arm, name in NAMES.items():
            cells = [_cell(seed, arm) for seed in seeds.values()]
            if any(cells):
                accuracy = [seed["accuracy"][arm] for seed in seeds.values() if arm in seed["accuracy"]]
                lines.append("| " + " | ".join([name, *_row(cells, accuracy)]) + " |")
    return "\n".join(lines).strip() + "\n"


def _cell(seed: dict[str, Any], arm: str) -> dict[str, Any] | None:
    """What is known of an arm, None if it was refused or did not run; the untouched policy is the start of any arm."""
    if arm == "untouched":
        trained = next((seed[each] for each in REWARDS if "before" in seed.get(each, {})), None)
        return {"after": trained["before"]} if trained else None
    return seed[arm] if "after" in seed.get(arm, {}) else None


def _row(cells: list[dict[str, Any] | None], accuracy: list[float]) -> list[str]:
    judged = [f"{cell['after']['judge']:.3f}" if cell else "-" for cell in cells]
    there = [cell for cell in cells if cell]
    means = {key: np.mean([cell["after"][key] for cell in there]) for key in there[0]["after"]}
    distances = [cell["kl"]["completion"] for cell in there if cell.get("kl")]
    return [
        f"{means['judge']:.3f} ± {np.std([cell['after']['judge'] for cell in there]):.3f}",
        ", ".join(judged),
        f"{np.mean(distances):.2f}" if distances else "",
        f"{means['tokens']:.1f}",
        f"{means['distinct_2']:.2f}",
        f"{means['repetition_2']:.1%}",
        f"{np.mean(accuracy):.2f}" if accuracy else "",
        f"{np.mean([cell['agreement'] for cell in there]):.2f}" if "agreement" in there[0] else "",
    ]


def main() -> None:
    warnings.simplefilter("ignore", FutureWarning)  # TRL's and peft's use of transformers
    options = parse()
    if not options.report:
        names = ("length", "steps", "kl", "learning_rate", "prompts", "gold")
        asked = {**{name: getattr(options, name) for name in names}, "encoder": bool(options.encoder)}
        for task in options.tasks:
            path = options.out / f"{task}.json"
            found = json.loads(path.read_text()) if path.exists() else {"settings": asked, "seeds": {}}
            if found["settings"] != asked:
                raise SystemExit(f"{path} holds results of other settings: give another --out, or remove it")
            for seed in options.seeds:
                one_seed(task, seed, found, options, path)
    text = table(options.out)
    (options.out / "table.md").write_text(text)
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--encoder")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="ARM")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--length", type=int, default=24, help="longest completion, in tokens")
    parser.add_argument("--kl", type=float, default=0.05)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--gold", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("align-runs"))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results")
    parser.add_argument("--report", action="store_true", help="only write the table of what is there")
    options = parser.parse_args()
    if not options.report and (options.folder is None or options.model is None):
        parser.error("give FOLDER and MODEL, or --report")
    options.out.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    main()
