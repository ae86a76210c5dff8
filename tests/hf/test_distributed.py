"""Two processes on the CPU (gloo) end like one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from command_line import Commands, ranks
from silr.errors import InputError
from silr.hf.distributed import check_launch
from synthetic import make_corpus


def refine(commands: Commands, table: Path, run: Path, model: str, processes: int) -> str:
    options = ["--classifier", "full", "--model", model, "--learning-rate", "2e-3", "--epochs", "2", "--device", "cpu"]
    options += ["--prompt", "Read what comes now and say what it is, in one word: {text} It is"]
    script = run.parent / "exact.py"  # in half precision two orders of summation go apart
    script.write_text(
        "import silr.classifiers.finetuned.backbone as backbone\nfrom silr.cli.main import main\n"
        "backbone.best_dtype = lambda device: 'float32'\nmain()\n"
    )
    environments = ranks(processes) if processes > 1 else [{}]
    done = commands.together(environments, "refine", table, "-o", run, *options, script=script)
    assert not any(each.code for each in done), done
    return "".join(each.out for each in done)


@pytest.mark.slow
def test_two_processes_end_like_one(small_llama: str, tmp_path: Path, commands: Commands) -> None:
    """Of 201 texts, so that neither batches nor scored rows divide by two."""
    table = make_corpus(201, seed=1).write(tmp_path, "table.csv")
    refine(commands, table, tmp_path / "one", small_llama, 1)
    said = refine(commands, table, tmp_path / "two", small_llama, 2)
    assert said.count("iteration 1 of 2") == said.count("written:") == 1  # one of them speaks
    one, two = (pd.read_csv(tmp_path / run / "labels.csv") for run in ("one", "two"))
    assert len(two) == 201 and two["refined_label"].notna().all()
    assert (one["refined_label"] == two["refined_label"]).mean() >= 0.99
    risks: list[Any] = [
        json.loads((tmp_path / run / "iteration-2" / "iteration.json").read_text())["metrics"]["fit"]
        for run in ("one", "two")
    ]
    assert risks[1]["validation_risk"] == pytest.approx(risks[0]["validation_risk"], rel=0.02, abs=1e-5)
    assert not (tmp_path / "two" / "checkpoints").exists()


@pytest.mark.slow
def test_a_slow_process_is_waited_for(tmp_path: Path) -> None:
    """Before anything is trained too; by torch's own launcher."""
    script = tmp_path / "wait.py"
    script.write_text(
        "import pathlib, time\nfrom silr.hf.distributed import from_main, is_main, rank, wait_for_all\n"
        "if is_main():\n    time.sleep(1)\n    pathlib.Path('made').touch()\n"
        "wait_for_all()\nassert pathlib.Path('made').exists()\nassert from_main(rank()) == 0\n"
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run([sys.executable, *launch], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP=true", "ACCELERATE_DEEPSPEED_ZERO_STAGE=3"])
def test_split_weights_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*name.split("="))
    with pytest.raises(InputError, match="take --classifier qlora"):
        check_launch("cpu")


def test_idle_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    with pytest.warns(UserWarning, match="one of 8 GPUs is used; `accelerate launch"):
        check_launch(None)
    check_launch("cpu")
    monkeypatch.setenv("WORLD_SIZE", "8")
    check_launch(None)
