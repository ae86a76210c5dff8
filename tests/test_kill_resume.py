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

OPTIONS = ["--features", "tfidf", "--hidden-units", "64", "--epochs", "25", "--iterations", "3", "--device", "cpu"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("kill")
    table = make_corpus(4000, n_gold=200).write(folder, "table.csv")
    return undisturbed(table, folder / "reference", OPTIONS)


def test_killed_three_times_at_random(reference: Reference, tmp_path: Path) -> None:
    outcome = killed_at_random(reference, tmp_path / "run", 3, np.random.default_rng(6))
    assert outcome.wrong == []
    assert outcome.killed  # at least once it was there to be killed


def test_ctrl_c(reference: Reference, tmp_path: Path) -> None:
    process = start(reference.table, tmp_path / "run", OPTIONS)
    for line in process.stdout:
        if line.startswith("iteration 1 of 3"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "silr: interrupted; the same command goes on where it stopped\n"
    before = iterations(tmp_path / "run")
    assert "iteration-1" in before and "iteration-3" not in before
    again = start(reference.table, tmp_path / "run", OPTIONS)
    out, _ = again.communicate()
    assert again.returncode == 0 and "iteration 1 of 3" not in out and "iteration 3 of 3" in out
    assert before.items() <= iterations(tmp_path / "run").items()
    assert differences(reference.run, tmp_path / "run") == []


def test_the_check_sees_a_difference(reference: Reference, tmp_path: Path) -> None:
    """What the tests above rely on."""
    copy = Path(shutil.copytree(reference.run, tmp_path / "run"))
    assert differences(reference.run, copy) == []
    values = json.loads((copy / "iteration-2" / "iteration.json").read_text())
    (copy / "iteration-2" / "iteration.json").write_text(json.dumps(values | {"number": 3}))
    (copy / "labels.csv").unlink()
    assert sorted(differences(reference.run, copy)) == ["iteration-2/iteration.json differs", "labels.csv differs"]
    assert iterations(copy).keys() == iterations(reference.run).keys()
    assert iterations(copy) != iterations(reference.run)
