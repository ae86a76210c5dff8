"""What `pip install silr` brings is enough for the default method: PyTorch and its company stay out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "accelerate", "peft", "gguf", "sentencepiece", "tokenizers", "patsy", "statsmodels")
WITHOUT = f"""
import sys
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Missing)
"""

TABLE = """
import random
random.seed(0)
good, bad, filler = "great lovely fine happy".split(), "awful broken sad poor".split(), "the a it was this and".split()
lines = ["text,truth,llm_label,gold"]
for number in range(400):
    truth = random.choice(["positive", "negative"])
    words = random.choices(filler, k=4) + random.choices(good if truth == "positive" else bad, k=3)
    label = truth if random.random() < (0.97 if truth == "positive" else 0.4) else "positive"
    lines.append(",".join([" ".join(words), truth, label, truth if number < 80 else ""]))
open("table.csv", "w").write("\\n".join(lines))
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], cwd=folder, capture_output=True, text=True)


def silr(*arguments: str) -> str:
    return f"from silr.cli.main import main\nsys.argv = ['silr', *{arguments!r}]\nmain()"


@pytest.mark.slow
def test_the_default_works_without_the_extras(tmp_path: Path) -> None:
    run(TABLE, tmp_path)
    steps = [
        ("refine", "table.csv", "-o", "run", "--features", "tfidf", "--quiet"),
        ("predict", "run", "table.csv", "-o", "scored.csv", "--quiet"),
        ("evaluate", "scored.csv", "--truth", "truth", "--json"),
        ("report", "run", "-o", "report.html", "--quiet"),
        ("export", "run", "exported"),
    ]
    for step in steps:
        done = run(silr(*step), tmp_path)
        assert done.returncode == 0, (step, done.stderr)
    assert (tmp_path / "report.html").stat().st_size and (tmp_path / "exported" / "model.skops").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("refine", "table.csv", "-o", "uu", "--features", "tfidf", "--method", "uu", "--quiet"), "uu"),
        (("refine", "table.csv", "-o", "lora", "--classifier", "lora", "--model", "org/model", "--quiet"), "local"),
        (("annotate", "table.csv", "-o", "out.csv", "--classes", "a,b", "--question", "A or b?"), "local"),
        (("demo",), "local"),
        (("estimate", "table.csv", "--formula", "positive ~ 1"), "estimate"),
        (("align", "--policy", "model", "--prompts", "table.csv", "--reward", "run", "-o", "aligned"), "local"),
    ],
)
def test_one_line_names_the_extra(tmp_path: Path, command: tuple[str, ...], extra: str) -> None:
    run(TABLE, tmp_path)
    done = run(silr(*command), tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert f"pip install 'silr[{extra}]'" in done.stderr


@pytest.mark.slow
def test_python_names_the_extra_too(tmp_path: Path) -> None:
    code = """
import numpy as np
from silr import UUClassifier
from silr.errors import InputError
try:
    UUClassifier([[0.8, 0.2], [0.3, 0.7]]).fit(np.eye(4), [0, 1, 0, 1])
except InputError as error:
    print(error)
"""
    done = run(code, tmp_path)
    assert done.stdout == "UUClassifier needs torch: pip install 'silr[uu]'\n", done.stderr
