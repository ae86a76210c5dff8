"""What `pip install silr` brings is enough for the default method: PyTorch and its company stay out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Commands
from without_extras import HEAVY


@pytest.fixture(scope="module")
def light() -> Iterator[Commands]:
    """Runs `silr` where none of the heavy packages can be found."""
    with Commands(("without_extras", "silr.cli.main", "sklearn.linear_model")) as commands:
        yield commands


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder with table.csv."""
    rng = random.Random(0)
    good, bad, filler = "great lovely fine happy", "awful broken sad poor", "the a it was this and"
    lines = ["text,truth,llm_label,gold"]
    for number in range(400):
        truth = rng.choice(["positive", "negative"])
        words = rng.choices(filler.split(), k=4) + rng.choices((good if truth == "positive" else bad).split(), k=3)
        label = truth if rng.random() < (0.97 if truth == "positive" else 0.4) else "positive"
        lines.append(",".join([" ".join(words), truth, label, truth if number < 80 else ""]))
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.slow
def test_the_heavy_packages_cannot_be_found(light: Commands, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys
for name in {HEAVY!r}:
    assert name not in sys.modules
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert error.name == name
    else:
        raise AssertionError(name)
""")
    done = light(script=script)
    assert done.code == 0, done.err


@pytest.mark.slow
def test_the_default_works_without_the_extras(light: Commands, table: Path) -> None:
    steps = [
        ("refine", "table.csv", "-o", "run", "--features", "tfidf", "--quiet"),
        ("predict", "run", "table.csv", "-o", "scored.csv", "--quiet"),
        ("evaluate", "scored.csv", "--truth", "truth", "--json"),
        ("report", "run", "-o", "report.html", "--quiet"),
        ("export", "run", "exported"),
    ]
    for step in steps:
        done = light(*step, cwd=table)
        assert done.code == 0, (step, done.err)
    assert (table / "report.html").stat().st_size and (table / "exported" / "model.skops").is_file()


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
def test_one_line_names_the_extra(light: Commands, table: Path, command: tuple[str, ...], extra: str) -> None:
    done = light(*command, cwd=table)
    assert done.code == 2 and done.err.count("\n") == 1, done.err
    assert f"pip install 'silr[{extra}]'" in done.err


@pytest.mark.slow
def test_python_names_the_extra_too(light: Commands, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("""
import numpy as np
from silr import UUClassifier
from silr.errors import InputError
try:
    UUClassifier([[0.8, 0.2], [0.3, 0.7]]).fit(np.eye(4), [0, 1, 0, 1])
except InputError as error:
    print(error)
""")
    done = light(script=script)
    assert done.out == "UUClassifier needs torch: pip install 'silr[uu]'\n", done.err
