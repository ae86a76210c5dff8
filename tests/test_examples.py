"""The cheap examples run in a folder of their own, by `make`; the slow one has the right commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from command_line import shared

EXAMPLES = Path(__file__).parent.parent / "examples"


def make(name: str, folder: Path, *arguments: str) -> str:
    """Run `make` in a copy of an example, and return what it printed."""
    place = folder / name
    shutil.copytree(EXAMPLES / name, place)
    environment = {**os.environ, "PATH": shared().put_on_path(folder)}
    done = subprocess.run(["make", *arguments], cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.slow
def test_shares(tmp_path: Path) -> None:
    shown = make("shares", tmp_path)
    assert "Share of “positive” by product" in shown
    assert (tmp_path / "shares" / "shares.tex").read_text().startswith("% \\usepackage{booktabs}")
    assert (tmp_path / "shares" / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_new_texts(tmp_path: Path) -> None:
    make("new-texts", tmp_path)
    labelled = pd.read_csv(tmp_path / "new-texts" / "new-labelled.csv")
    assert len(labelled) == 500
    assert set(labelled["label"]) == {"negative", "positive"}
    assert labelled["probability"].between(0.5, 1).all()


def test_the_slow_example_is_whole(tmp_path: Path) -> None:
    shown = make("local-llm", tmp_path, "--dry-run", "ROWS=20")
    commands = [line.split()[1] for line in shown.splitlines() if line.startswith("silr ")]
    assert commands == ["annotate", "refine", "evaluate"]


def test_the_page_names_every_example() -> None:
    folders = [path.name for path in sorted(EXAMPLES.iterdir()) if path.is_dir()]
    for page in (EXAMPLES / "README.md", EXAMPLES.parent / "docs" / "tutorials" / "index.md"):
        assert all(f"{name}" in page.read_text() for name in folders), page
