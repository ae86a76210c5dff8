"""What a person sees on a terminal: bars that move, and completion of what was typed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from command_line import shared
from silr.refine.options import METHODS
from silr.stats.losses import Correction, Loss
from synthetic import make_corpus

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
LONG = ("--method", "uu", "--epochs", 200)


def on_a_terminal(*arguments: object, columns: int = 120) -> tuple[int, list[str]]:
    """Run `silr` on a pseudo-terminal; return its exit code and the lines it showed, each state of a bar by itself."""
    terminal, theirs = pty.openpty()
    process = shared().start(*arguments, terminal=theirs, more={"COLUMNS": str(columns), "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:  # how a pseudo-terminal says that the other end is closed
        pass
    os.close(terminal)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    return process.wait(), [line for line in re.split(r"[\r\n]+", plain) if line]


def test_refine_shows_a_bar_above_which_the_lines_stay(tmp_path: Path) -> None:
    table = make_corpus(3000, seed=2).write(tmp_path)
    code, lines = on_a_terminal("refine", table, "-o", tmp_path / "run", "--iterations", 2, *LONG)
    assert code == 0
    bars = [line for line in lines if line.startswith("Refining")]
    state = r"iteration (\d) of 2, step (\d+) of \d+, [\d.,]+ steps/s, \d+ s left, estimated accuracy \d\d\.\d% \("
    steps = [(int(found[1]), int(found[2])) for bar in bars if (found := re.search(state, bar))]
    assert len(set(steps)) > 3 and steps == sorted(steps) and {number for number, _ in steps} == {1, 2}
    for line in ("iteration 1 of 2: estimated accuracy", "iteration 2 of 2: estimated accuracy", "written: "):
        assert sum(each.startswith(line) for each in lines) == 1
    code, lines = on_a_terminal("refine", table, "-o", tmp_path / "run", "--iterations", 2, *LONG, "--quiet")
    assert (code, lines) == (0, [])


def test_a_run_that_goes_on_counts_from_where_it_was(tmp_path: Path) -> None:
    table = make_corpus(600, seed=2).write(tmp_path)
    refine = ("refine", table, "-o", tmp_path / "run", "--method", "uu", "--epochs", 10)
    assert on_a_terminal(*refine, "--iterations", 1)[0] == 0
    code, lines = on_a_terminal(*refine, "--iterations", 2, columns=80)
    assert code == 0
    assert [line[:14] for line in lines if re.match(r"iteration \d of", line)] == ["iteration 2 of"]
    bars = [line for line in lines if line.startswith("Refining")]
    assert bars and "iteration 2 of 2" in bars[-1] and all(len(bar) <= 80 for bar in bars)


def completions(typed: str) -> list[str]:
    """What bash offers after a press of the tab key."""
    words = typed.split(" ")
    script = f"""
        eval "$(silr --show-completion)"
        COMP_WORDS=({" ".join(word or "''" for word in words)}); COMP_CWORD={len(words) - 1}
        _silr_completion silr
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("silr re", ["refine", "report"]),
        ("silr annotate t.csv --strategy ", ["direct", "self-refine"]),
        ("silr annotate t.csv --annotator a", ["api"]),
        ("silr refine t.csv --me", ["--method"]),
        ("silr refine t.csv --features t", ["tfidf"]),
        ("silr refine t.csv --no-such", []),
    ],
)
def test_bash_completes(typed: str, offered: list[str]) -> None:
    assert completions(typed) == offered


@pytest.mark.parametrize(
    ("option", "taken"), [("method", tuple(METHODS)), ("loss", get_args(Loss)), ("correction", get_args(Correction))]
)
def test_the_values_offered_are_those_that_are_taken(option: str, taken: tuple[str, ...]) -> None:
    """The command line offers them without loading what knows them."""
    assert completions(f"silr refine t.csv --{option} ") == list(taken)
