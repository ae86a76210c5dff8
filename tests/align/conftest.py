"""A policy that writes random words, a run that likes some of them, and prompts: an alignment takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_policies import write_policy

from command_line import Commands
from silr.refine.table import refine_table
from synthetic import FILLER, make_corpus


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Without a chat template."""
    return write_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def chat_policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_policy(tmp_path_factory.mktemp("chat"), chat=True)


def write_run(folder: Path, seed: int, **columns: Any) -> Path:
    table = make_corpus(400, seed=seed).write(folder, **columns)
    refine_table(table, folder / "run", iterations=2, device="cpu")
    return folder / "run"


@pytest.fixture(scope="session")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tells texts with words like positive3 from those with negative3."""
    return write_run(tmp_path_factory.mktemp("reward"), 1)


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("judge"), 2)


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prompts(tmp_path_factory.mktemp("prompts") / "prompts.csv")


def write_prompts(path: Path, n: int = 40) -> Path:
    """Different pairs of words, that no class has."""
    pairs = [f"{first} {second} " for first in FILLER for second in FILLER][::7][:n]
    pd.DataFrame({"prompt": pairs}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def align(commands: Commands) -> Commands:
    """Runs `silr` with TRL already imported."""
    commands.load("silr.align", "silr.align.watch", "datasets", "trl.trainer.grpo_trainer", "trl.trainer.dpo_trainer")
    return commands
