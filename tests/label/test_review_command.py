"""`silr label --adjudicate` and `--again` as scripts, careless persons and persons over ssh use them."""

from __future__ import annotations

import json
import os

import pytest
from labelling import gold_of, label_commands, make_table
from test_terminal import READY, Terminal

from silr.io.corpus import read_table
from silr.io.reviews import reviews_path

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path):
    ben = ["positive"] * 2 + ["negative"] * 18
    return make_table(tmp_path / "t.csv", 20, vote_ann=["negative"] * 20, vote_ben=ben)


def test_disputed_texts_in_the_terminal(path):
    with Terminal(path, "--adjudicate") as person:
        first = person.until(READY)
        assert "0 of 2" in first and "negative: ann\r\n" in first and "positive: ben\r\n" in first
        person.press("1")
        assert "text number 0" in person.press("u")
        person.press("2")
        person.press("1", "Enter finish")
        os.write(person.mine, b"\r")
        assert "2 of 2 disputed texts decided (2 new)" in person.until("written:")
        assert person.process.wait(20) == 0
    assert gold_of(path) == {0: "positive", 1: "negative"} and reviews_path(path).exists()
    assert list(read_table(path)["adjudicated"])[:3] == ["positive", "negative", ""]
    done = label_commands()("label", path, "--adjudicate", "--json", "--no-browser")
    assert done.code == 0 and json.loads(done.out)["target"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--adjudicate", "--again", "run"], "--adjudicate and --again are two reviews: give one of them"),
        (["--adjudicate", "-n", "5"], "--adjudicate draws no texts and takes none: leave out --number"),
        (["--again", "run", "--show-llm-label"], "--again shows what the LLM said in any case"),
        (["--again", "run"], "is not a run: it has no run.json"),
        (["--adjudicate", "--label-column", "none"], "none"),
    ],
)
def test_bad_options_are_one_line(path, options, said):
    done = label_commands()("label", path, "--no-browser", *options, cwd=path.parent)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1 and "Traceback" not in done.err


def test_a_table_without_votes(tmp_path):
    path = make_table(tmp_path / "t.csv", 20)
    done = label_commands()("label", path, "--adjudicate", "--no-browser")
    assert done.code == 2 and done.err.startswith(f"silr: {path} has no votes of several people;")
    assert not reviews_path(path).exists()
