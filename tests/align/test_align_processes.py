"""`silr align` in two processes, as `torchrun` and `accelerate launch` start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd


def test_two_processes_train_one_policy(policy: str, prompts: Path, reward: Path, tmp_path: Path) -> None:
    """GRPO shares out completions; one of them speaks and writes."""
    out = tmp_path / "out"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "silr", "align"]
    launch += ["--policy", policy, "--prompts", str(prompts), "--reward", str(reward), "--class", "positive"]
    launch += ["-o", str(out), "--steps", "8", "--learning-rate", "0.02", "--kl", "0.01", "--max-new-tokens", "12"]
    command = [sys.executable, *launch, "--tracker", "none", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written:") == 1 and "find_unused_parameters" not in done.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["after"]["reward"] > result["before"]["reward"] + 0.03
    log = json.loads((out / "history.json").read_text())["log"]
    assert [each["step"] for each in log if "loss" in each] == list(range(1, 9))
    assert len(pd.read_csv(out / "samples.csv")) == 8 and not (out / "checkpoints").exists()
