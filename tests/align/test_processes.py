"""`silr align` in two processes, as `torchrun` and `accelerate launch` start it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from command_line import Commands, ranks

pytestmark = pytest.mark.slow


def test_two_processes_train_one_policy(
    policy: str, prompts: Path, reward: Path, tmp_path: Path, align: Commands
) -> None:
    """GRPO shares out completions; one of them speaks and writes."""
    out = tmp_path / "out"
    command = ["align", "--policy", policy, "--prompts", prompts, "--reward", reward, "--class", "positive"]
    command += ["-o", out, "--steps", "8", "--learning-rate", "0.02", "--kl", "0.01", "--max-new-tokens", "12"]
    both = align.together(ranks(2), *command, "--tracker", "none", "--device", "cpu")
    assert [each.code for each in both] == [0, 0], both
    assert "written:" in both[0].out and both[1].out == ""
    assert not any("find_unused_parameters" in each.err for each in both)
    result = json.loads((out / "result.json").read_text())
    assert result["after"]["reward"] > result["before"]["reward"] + 0.03
    log = json.loads((out / "history.json").read_text())["log"]
    assert [each["step"] for each in log if "loss" in each] == list(range(1, 9))
    assert len(pd.read_csv(out / "samples.csv")) == 8 and not (out / "checkpoints").exists()
