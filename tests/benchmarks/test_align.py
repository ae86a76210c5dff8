"""benchmarks/align.py from tables to the results, with a policy that writes random words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import align as benchmark
from align_tasks import TASKS, split
from synthetic import make_corpus

pytestmark = pytest.mark.slow


def write_table(folder: Path) -> None:
    corpus = make_corpus(900, seed=1)
    texts = [f"{text} {' '.join(text.split()[::-1])}" for text in corpus.texts]
    said = corpus.llm_labels == "positive"
    p = np.clip(0.5 + (said - 0.5) * 0.4 + 0.3 * (corpus.truth == "positive"), 0.05, 0.95)
    columns = {"llm_score_negative": np.log(1 - p), "llm_score_positive": np.log(p)}
    corpus.write(folder, "movie.csv.gz", text=texts, **columns)


def test_every_arm_runs_and_is_not_run_again(
    chat_policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path)
    out = tmp_path / "results"
    arms = ["raw", "best-of-n", "revise", "self-refine"]
    options = [
        "--tasks",
        "reviews",
        "--seeds",
        "0",
        "--arms",
        *arms,
        "--steps",
        "1",
        "--length",
        "6",
        "--prompts",
        "60",
    ]
    folders = ["--work", str(tmp_path / "work"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["align.py", str(tmp_path), chat_policy, *options, *folders])
    benchmark.main()
    found = json.loads((out / "reviews.json").read_text())["seeds"]["0"]
    assert set(found) == {"accuracy", "refused", *arms}
    assert found["accuracy"]["true"] > 0.9 and found["accuracy"]["judge"] > 0.9
    assert found["best-of-n"]["after"]["judge"] > found["best-of-n"]["before"]["judge"]
    assert found["revise"]["generated_tokens"] <= 24 and found["self-refine"]["generated_tokens"] <= 24
    assert all(len(found[arm]["samples"]) == 10 for arm in arms)
    assert {"prompt", "before", "after", "judge"} == set(found["best-of-n"]["samples"][0])
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["align.py", "--report", "--out", str(out)])
    benchmark.main()
    table = capsys.readouterr().out
    assert "reviews, seeds 0" in table and table.count("\n| ") == 3 + len(arms)  # head, rule, untouched
    assert (out / "table.md").read_text() + "\n" == table


def test_no_text_is_in_two_parts(tmp_path: Path) -> None:
    write_table(tmp_path)
    parts = split(tmp_path, TASKS["reviews"], 3, 100)
    rows = [set(part.tolist()) for part in (parts.reward_rows, parts.judge_rows, parts.other_rows)]
    assert sum(map(len, rows)) == len(set.union(*rows)) == len(parts.frame)
    assert len(set(parts.prompts)) == len(parts.prompts) and all(len(each.split()) == 5 for each in parts.prompts)
