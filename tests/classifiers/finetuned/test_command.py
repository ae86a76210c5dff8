"""A fine-tuned model through the command line: refine, resume, predict from another folder, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command_line import Commands
from synthetic import make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(small_llama: str, tmp_path: Path) -> Path:
    make_corpus(320, seed=1).write(tmp_path, "table.csv")
    (tmp_path / "model").symlink_to(small_llama)
    return tmp_path


def test_refine_and_predict(commands: Commands, folder: Path) -> None:
    tuned = ["--classifier", "full", "--model", "model", "--learning-rate", "2e-3", "--tune-top", "2", "--method", "uu"]
    common = ["table.csv", "-o", "run", *tuned, "--epochs", "3", "--truth", "truth", "--device", "cpu"]
    done = commands("refine", *common, "--iterations", "1", cwd=folder)
    assert (done.code, done.err) == (0, "")
    labels = pd.read_csv(folder / "run" / "labels.csv")
    assert (labels["refined_label"] == labels["truth"]).mean() > (labels["llm_label"] == labels["truth"]).mean() + 0.1
    assert "--tune-top 2" in (folder / "run" / "report.html").read_text()
    kept = (folder / "run" / "iteration-1" / "classifier.safetensors").stat()
    assert commands("refine", *common, "--iterations", "2", cwd=folder).code == 0
    assert (folder / "run" / "iteration-1" / "classifier.safetensors").stat().st_mtime_ns == kept.st_mtime_ns
    assert not (folder / "run" / "checkpoints").exists()
    labels = pd.read_csv(folder / "run" / "labels.csv")
    (folder / "elsewhere").mkdir()
    done = commands("predict", "../run", "../table.csv", "-o", "scored.csv", cwd=folder / "elsewhere")
    assert done.code == 0, done
    scored = pd.read_csv(folder / "elsewhere" / "scored.csv")
    same = scored["refined_label"] == labels["refined_label"]
    unsure = (labels["refined_score"] < 0.6) | labels["gold"].notna()
    assert (same | unsure).all()  # processors that train in half precision predict exactly
    assert same.mean() > 0.97


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classifier", "lora"], "needs a model"),
        (["--classifier", "lora", "--model", "nowhere/at/all"], "no model at nowhere/at/all"),
        (["--classifier", "lora", "--model", "model", "--features", "tfidf"], "leave out --features"),
        (["--classifier", "lora", "--model", "model", "--hidden-units", "8"], "hidden_units is for the classifier"),
        (["--classifier", "lora", "--model", "model", "--tune-top", "3"], "the model has 3 layers"),
        (["--classifier", "lora", "--model", "model", "--batch-size", "1000"], "fewer than one batch of 1000"),
        (["--classifier", "lora", "--model", "model", "--max-length", "99"], "64 tokens at most"),
        (["--classifier", "lora", "--model", "model", "--prompt", "Read: text"], "must contain {text} exactly once"),
        (["--classifier", "lora", "--model", "model", "--prompt", "{text}" + " is" * 70], "no room for its own words"),
        (["--prompt", "{text} is"], "prompt is for the classifiers lora, qlora and full"),
        (["--tune-top", "2"], "tune_top is for the classifiers lora, qlora and full"),
        (["--method", "uu", "--learning-rate", "-1"], "learning_rate must be above 0"),
    ],
)
def test_refusals_are_one_line(commands: Commands, folder: Path, options: list[str], said: str) -> None:
    done = commands("refine", "table.csv", "-o", "run", *options, "--device", "cpu", cwd=folder)
    assert done.code == 2 and done.err.startswith("silr: ") and done.err.count("\n") == 1, done
    assert said in done.err


def test_the_annotators_prompt(commands: Commands, folder: Path, small_llama: str) -> None:
    """It is the default if the model is the annotator, can be asked for, and can be left out."""
    about = {"kind": "local", "model": str((folder / "model").resolve()), "classes": ["negative", "positive"]}
    about |= {"question": None, "prompt": "Is it good? {text}", "opening": "It is", "class_words": {}, "examples": []}
    np.save(folder / "table.features.npy", np.zeros((320, 2), np.float16))
    (folder / "table.annotator.json").write_text(json.dumps(about))
    tuned = ["--classifier", "lora", "--model", "model", "--epochs", "1", "--iterations", "1", "--device", "cpu"]
    tuned += ["--learning-rate", "5e-3"]
    found = {}
    for run, options in {"default": [], "alone": ["--prompt", "{text}"], "paper": ["--method", "paper"]}.items():
        done = commands("refine", "table.csv", "-o", run, *tuned, *options, cwd=folder)
        assert ("annotator's prompt" in done.out) == (run == "default"), done
        found[run] = json.loads((folder / run / "run.json").read_text())["identity"]["features"]["prompt"]
    assert found == {"default": "Is it good? {text}\n\nIt is", "alone": "{text}", "paper": None}
    (folder / "table.annotator.json").unlink()
    done = commands("refine", "table.csv", "-o", "none", *tuned, "--prompt", "annotator", cwd=folder)
    assert done.code == 2 and "no annotator's prompt is known" in done.err
