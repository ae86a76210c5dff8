"""`silr init`: five questions, and a script that runs, whatever the names of files, columns and classes."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from chat_server import by_word, chat_server

from command_line import Commands
from synthetic import make_corpus

ODD_CLASSES = ("don't know, maybe", 'a "good" one')
RECORDING = """#!/bin/sh
printf '%s\\0' "$@" >>"$RECORD"
printf '\\001' >>"$RECORD"
"""


def run_script(script: Path, folder: Path, silr: str) -> str:
    """Run a script from elsewhere, with this program as `silr`; return what it printed."""
    program = folder / "bin" / "silr"
    program.parent.mkdir(exist_ok=True)
    program.write_text(silr)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "RECORD": str(folder / "record")}
    done = subprocess.run(["sh", str(script)], cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def recorded(script: Path, folder: Path) -> list[list[str]]:
    """The arguments of each `silr` in a script, as a shell hands them over."""
    record = folder / "record"
    record.unlink(missing_ok=True)
    run_script(script, folder, RECORDING)
    return [words.split("\0")[:-1] for words in record.read_text().split("\1")[:-1]]


@pytest.mark.slow
def test_a_script_with_odd_names_runs(tmp_path: Path, commands: Commands) -> None:
    corpus = make_corpus(300, ODD_CLASSES, n_gold=60)
    folder = tmp_path / "the user's $HOME"
    folder.mkdir()
    frame = corpus.table().rename(columns={"text": "the text", "llm_label": "said; by it"})
    frame.to_csv(folder / "-it's 50 %.csv", index=False)
    options = ("--text-column", "the text", "--label-column", "said; by it", "--annotator", "table", "-n", 50)
    named = ("--classes", '"don\'t know, maybe"', "--classes", '"a ""good"" one"', "--want", "share")
    done = commands("init", "./-it's 50 %.csv", *options, *named, cwd=folder)
    assert (done.code, done.out, done.err) == (
        0,
        "written: silr.sh\nRead it, change what you like, and run it: sh silr.sh\n",
        "",
    )
    assert "The table has 60 labels by hand" in (folder / "silr.sh").read_text()
    shown = run_script(folder / "silr.sh", tmp_path, commands.program(tmp_path / "real").read_text())
    assert "of the texts are “" in shown and "60 gold labels" in shown
    labels = pd.read_csv(folder / "-it's 50 %-run" / "labels.csv")
    assert set(labels["refined_label"]) == set(ODD_CLASSES)
    assert (folder / "-it's 50 %-shares.tex").read_text().startswith("% \\usepackage{booktabs}")


def test_a_script_with_a_server(tmp_path: Path, commands: Commands) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    texts = [f"a {word} text, {number}" for number, word in enumerate(["good", "bad"] * 6)]
    table = tmp_path / "mine.jsonl"
    pd.DataFrame({"text": texts}).to_json(table, orient="records", lines=True)
    with chat_server(by_word) as (url, _):
        options = ("--base-url", url, "--model", "a model", "--classes", "negative", "positive", "-n", 8)
        asked = ("--question", "Is it `good` or $bad?", "--want", "classifier", "-o", folder / "go.sh")
        assert commands("init", table, *options, *asked).code == 0
        annotate, label, refine, export = recorded(folder / "go.sh", tmp_path)
        assert commands(*annotate, "--cache", tmp_path / "cache", cwd=folder).code == 0
    labelled = pd.read_json(folder / "mine-labelled.jsonl", lines=True)
    assert list(labelled["llm_label"]) == ["positive", "negative"] * 6
    assert annotate[annotate.index("--question") + 1] == "Is it `good` or $bad?"
    assert label == ["label", "mine-labelled.jsonl", "-n", "8", "--classes", "negative,positive"]
    assert refine == ["refine", "mine-labelled.jsonl", "-o", "mine-run", "--classes", "negative,positive"]
    assert export == ["export", "mine-run", "mine-classifier"]
    (folder / "mine-classifier").mkdir()
    assert [words[0] for words in recorded(folder / "go.sh", tmp_path)] == ["label", "refine"]  # what is there stays
    text = (folder / "go.sh").read_text()
    assert "pip install 'silr[api,label,export]'" in text and "# silr predict mine-run new.csv -o scored.csv" in text
    assert str(table) in text


def test_a_script_with_a_model_on_this_machine(tmp_path: Path, commands: Commands) -> None:
    make_corpus(100).write(tmp_path)
    (tmp_path / "a model").mkdir()
    (tmp_path / "work").mkdir()
    options = ("--annotator", "local", "--model", "a model", "--classes", "negative", "positive", "-n", 0)
    output = ("--want", "labels", "-o", "work/it.sh")
    assert commands("init", "table.csv", *options, *output, cwd=tmp_path).code == 0
    annotate, refine = recorded(tmp_path / "work" / "it.sh", tmp_path)
    asked = [
        "--model",
        "../a model",
        "--classes",
        "negative,positive",
        "--question",
        "Is this text negative or positive?",
    ]
    assert annotate == ["annotate", "../table.csv", "-o", "table-labelled.csv", *asked]
    assert refine[:2] == ["refine", "table-labelled.csv"]
    assert "The table has 60 labels by hand" in (tmp_path / "work" / "it.sh").read_text()


def on_a_terminal(commands: Commands, folder: Path, answers: list[str], *arguments: object) -> tuple[int, str]:
    """Answer the questions one after the other; return the exit code and what was shown."""
    terminal, theirs = pty.openpty()
    process = commands.start("init", *arguments, terminal=theirs, cwd=folder, more={"COLUMNS": "500", "TERM": "dumb"})
    os.close(theirs)
    shown = b""
    left = list(answers)
    try:
        while True:
            if "\x03" in answers and not left and not select.select([terminal], [], [], 1)[0]:
                os.write(terminal, b"\x03")  # the first may have come before it read: only a second one wakes it then
                continue
            if not (part := os.read(terminal, 65536)):
                break
            shown += part
            if left and shown.endswith(b": "):
                answer = left.pop(0)
                os.write(terminal, answer.encode() if answer in ("\x03", "\x04") else f"{answer}\n".encode())
    except OSError:  # how a pseudo-terminal says that the other end is closed
        pass
    os.close(terminal)
    assert not left
    return process.wait(), re.sub(r"\r\n", "\n", shown.decode())


def test_the_questions_and_what_the_table_proposes(tmp_path: Path, commands: Commands) -> None:
    frame = make_corpus(100, ("bad", "fair", "good")).table().rename(columns={"text": "review"})
    frame.to_csv(tmp_path / "table.csv", index=False)
    code, shown = on_a_terminal(
        commands, tmp_path, ["nowhere.csv", "table.csv", *[""] * 3, "-3", "70", "none", "share"]
    )
    assert code == 0, shown
    for line in (
        "1. Which table?: ",
        "Error: nowhere.csv does not exist",
        "Which column has the texts? [review]: ",
        "the labels are there already (table) [table]: ",
        "3. Which classes, with commas between? [bad,fair,good]: ",
        "4. How many labels by hand, the 60 in the table included? [60]: ",
        "Error: the answer must be a number from 0, not '-3'",
        "Error: the answer must be labels, classifier or share, not 'none'",
    ):
        assert line in shown
    options = ("--text-column", "review", "--annotator", "table", "--classes", "bad,fair,good", "-n", 70)
    assert commands("init", "table.csv", *options, "--want", "share", "-o", "again.sh", cwd=tmp_path).code == 0
    text = (tmp_path / "silr.sh").read_text()
    assert text == (tmp_path / "again.sh").read_text().replace("again.sh", "silr.sh")
    label = ["label", "table.csv", "-n", "70", "--classes", "bad,fair,good", "--text-column", "review"]
    assert recorded(tmp_path / "silr.sh", tmp_path)[0] == label


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_who_stops_at_a_question_is_told_that_nothing_is_kept(tmp_path: Path, commands: Commands, key: str) -> None:
    make_corpus(100).write(tmp_path)
    code, shown = on_a_terminal(commands, tmp_path, ["table", key], "table.csv", "-n", 60, "--want", "labels")
    assert code == 130 and not (tmp_path / "silr.sh").exists()
    assert shown.endswith("\nsilr: interrupted; nothing is written, and the same command asks again\n")


def test_only_what_no_option_says_is_asked(tmp_path: Path, commands: Commands) -> None:
    pd.DataFrame({"text": ["one text", "two texts"]}).to_csv(tmp_path / "table.csv", index=False)
    given = ("table.csv", "--classes", "a", "b", "-n", 100, "--want", "labels")
    code, shown = on_a_terminal(commands, tmp_path, ["api", "", "gpt", ""], *given)
    assert code == 0, shown
    assert [line.strip(" 2.")[:9] for line in shown.splitlines()[:4]] == [
        "Who label",
        "At which ",
        "Which mod",
        "What is i",
    ]
    assert "[https://api.openai.com/v1]" in shown and "[Is this text a or b?]" in shown


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"--want": None, "-n": None}, "there is no terminal to ask on: give -n, --want"),
        ({"--annotator": "nobody"}, "the answer must be local, api or table, not 'nobody'"),
        ({"--annotator": "api"}, "name the server's model with --model"),
        ({"--model": "gpt"}, "with --annotator table leave out --model"),
        ({"--text-column": "truth "}, "has no column 'truth '"),
        ({"--classes": "negative,neutral"}, "is 'positive', outside the classes 'negative', 'neutral'"),
        ({"-o": "table.csv"}, "table.csv is there already: move it away, or name another script with -o"),
        ({"-o": "no/silr.sh"}, "the folder no does not exist"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, commands: Commands, change: dict[str, str | None], line: str
) -> None:
    make_corpus(100).write(tmp_path)
    options = {"--annotator": "table", "--classes": "negative,positive", "-n": "60", "--want": "labels", **change}
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    done = commands("init", "table.csv", *words, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert line in done.err and done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_share_needs_labels_by_hand_and_a_name_must_be_printable(tmp_path: Path, commands: Commands) -> None:
    make_corpus(100).write(tmp_path, "a\nb.csv", gold=None)
    options = ("--annotator", "table", "--classes", "negative,positive", "-n", 0, "--want", "share")
    done = commands("init", "a\nb.csv", *options, cwd=tmp_path)
    assert done.code == 2 and "has a character that cannot be printed" in done.err
    (tmp_path / "a\nb.csv").rename(tmp_path / "ab.csv")
    done = commands("init", "ab.csv", *options, cwd=tmp_path)
    assert done.code == 2 and "a share needs at least 10 labels by hand" in done.err
