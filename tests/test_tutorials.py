"""The tutorials run, and their prose says what comes out, in a new run as in the outputs that are stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipykernel_launcher
import nbformat
import pytest

from command_line import Commands
from tutorials import FOLDER, NOTEBOOKS, run

LARGEST = 100_000  # bytes of a notebook
Outputs = Sequence[str]  # what each code cell printed or showed


def outputs(notebook: Any) -> Outputs:
    cells = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join(each.get("text") or each["data"]["text/plain"] for each in cell) for cell in cells]


def found(pattern: str, shown: Outputs) -> list[str]:
    """The groups of the one place that a pattern has in the outputs."""
    (match,) = [match for text in shown for match in re.finditer(pattern, text, re.MULTILINE)]
    return list(match.groups())


def check_own_reviews(shown: Outputs) -> None:
    """The LLM says "positive" too often, the refined labels do so less often and are right more often."""
    positive = [int(found(rf"^│ {name} +│ .*% .*│ +(\d+)% │", shown)[0]) for name in ("the LLM", "refined")]
    assert positive[0] > 70 and positive[1] < positive[0]
    llm, refined = (float(found(rf"^│ {name} +│ +([\d.]+) │", shown)[0]) for name in ("llm_label", "refined_label"))
    assert refined > llm + 0.01


def check_strong_llm(shown: Outputs) -> None:
    """Hardly a label changes, no gain is claimed, and the labels by hand alone are far worse."""
    assert "The refined labels are better" not in "".join(shown)
    right = {name: float(found(rf"^{name}: +([\d.]+)% right", shown)[0]) for name in ("the LLM", "refined")}
    changed, others = map(int, found(r"^changed: +(\d+) of (\d+) labels", shown))
    assert changed <= 10 and others == 900 and abs(right["refined"] - right["the LLM"]) < 1
    assert float(found(r"^labels by hand alone: +([\d.]+)% right", shown)[0]) < right["refined"] - 20
    worth, counted = found(r"^ *[\d.]+ % \([\d. to]+\) +[\d.]+ % +(\d+) +(\d+)$", shown)[::-1]
    assert int(counted) == 100 and int(worth) > 300


def check_prevalence(shown: Outputs) -> None:
    """The truth lies inside every interval, and counting is too high, mostly outside the interval."""
    (table,) = [text for text in shown if "counted  truth" in text]
    rows = [line.split()[-5:] for line in table.splitlines()[1:]]
    assert len(rows) == 5
    outside = 0
    for _, low, high, counted, truth in [map(float, row) for row in rows]:
        assert low <= truth <= high and counted > truth
        outside += counted > high
    assert outside >= 3
    dvd = [float(number) for number in rows[1]]
    assert table.splitlines()[2].startswith("DVD player") and dvd[4] < 0.5 < dvd[3]
    assert "\\begin{table}" in shown[-1] and "% Methods:" in shown[-1]


CHECKS: dict[str, Callable[[Outputs], None]] = {
    "own-reviews": check_own_reviews,
    "prevalence": check_prevalence,
    "strong-llm": check_strong_llm,
}


def test_every_tutorial_is_checked() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(CHECKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_those_of_one_whole_run(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    CHECKS[path.stem](outputs(notebook))
    assert "/tmp" not in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_says_what_comes_out(path: Path, commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    kernel = commands.program(tmp_path / "kernel", script=ipykernel_launcher.__file__, encoder=True)
    shown = outputs(run(path, commands.put_on_path(tmp_path / "bin", encoder=True), str(kernel)))
    CHECKS[path.stem](shown)


def test_the_page_names_every_tutorial() -> None:
    page = (FOLDER / "index.md").read_text()
    assert all(f"({path.name})" in page for path in NOTEBOOKS)
