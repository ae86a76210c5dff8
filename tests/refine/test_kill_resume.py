"""Runs that are killed or interrupted in the middle end like those that are not (benchmarks/kill_resume.py: more)."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from killing import Reference, differences, iterations, killed_at_random, start, undisturbed
from synthetic import make_corpus

pytestmark = pytest.mark.slow

OPTIONS = [
    "--features",
    "tfidf",
    "--method",
    "uu",
    "--hidden-units",
    "64",
    "--epochs",
    "25",
    "--iterations",
    "3",
    "--device",
    "cpu",
]


def test_killed_or_interrupted_runs_end_like_undisturbed_ones(tmp_path: Path) -> None:
    """One test for all of it, because of what the run to compare with costs."""
    table = make_corpus(4000, n_gold=200).write(tmp_path, "table.csv")
    reference = undisturbed(table, tmp_path / "reference", OPTIONS)
    check_that_differences_are_seen(reference.run, tmp_path / "copy")
    outcome = killed_at_random(reference, tmp_path / "killed", 3, np.random.default_rng(6))
    assert outcome.wrong == []
    assert outcome.killed  # at least once it was there to be killed
    interrupt(reference, tmp_path / "interrupted")


def interrupt(reference: Reference, run: Path) -> None:
    """Ctrl-C after the first iteration."""
    process = start(reference.table, run, OPTIONS)
    for line in process.stdout:
        if line.startswith("iteration 1 of 3"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "silr: interrupted; the same command goes on where it stopped\n"
    before = iterations(run)
    assert "iteration-1" in before and "iteration-3" not in before
    again = start(reference.table, run, OPTIONS)
    out, _ = again.communicate()
    assert again.returncode == 0 and "iteration 1 of 3" not in out and "iteration 3 of 3" in out
    assert before.items() <= iterations(run).items()
    assert differences(reference.run, run) == []


def check_that_differences_are_seen(run: Path, copy: Path) -> None:
    shutil.copytree(run, copy)
    assert differences(run, copy) == []
    values = json.loads((copy / "iteration-2" / "iteration.json").read_text())
    (copy / "iteration-2" / "iteration.json").write_text(json.dumps(values | {"number": 3}))
    (copy / "labels.csv").unlink()
    assert sorted(differences(run, copy)) == ["iteration-2/iteration.json differs", "labels.csv differs"]
    assert iterations(copy).keys() == iterations(run).keys() and iterations(copy) != iterations(run)
