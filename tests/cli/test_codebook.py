"""`silr codebook init` and `check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from command_line import Commands
from silr import Codebook
from silr.annotators.prompts import Prompt
from silr.cli.main import app
from silr.cli.options import spread_classes
from silr.errors import InputError
from silr.io.codebook_draft import draft_codebook


@pytest.fixture
def table(tmp_path: Path) -> Path:
    n = 40
    odds = np.linspace(-4, 4, n)
    frame = pd.DataFrame({"text": [f'text "{row}": #1' for row in range(n)]})
    frame["llm_label"] = np.where(odds > 0, "yes", "no")
    frame["llm_score_no"], frame["llm_score_yes"] = -np.logaddexp(0, odds), -np.logaddexp(0, -odds)
    frame["gold"] = ["no" if row in (0, 1) else "" for row in range(n)]
    frame.loc[39, "text"] = "long " * 100
    frame.loc[5, "text"] = f"  {frame.loc[0, 'text']}"  # a gold text once more
    path = tmp_path / "labelled.csv"
    frame.to_csv(path, index=False)
    (tmp_path / "labelled.annotator.json").write_text(
        json.dumps({"question": 'Is it "yes"?', "classes": ["yes", "no"]})
    )
    return path


@pytest.mark.slow
def test_a_first_codebook_is_filled_from_the_table(table: Path, commands: Commands) -> None:
    done = commands("codebook", "init", table, cwd=table.parent)
    assert (done.code, done.err) == (0, "")
    assert "written: codebook.yaml with 2 classes and 4 examples" in done.out and "to fill in" in done.out
    path = table.with_name("codebook.yaml")
    book = Codebook.read(path)
    assert book.question == 'Is it "yes"?' and book.class_names == ["yes", "no"]
    yes, no = ([example.text for example in each.examples] for each in book.classes)
    assert yes == ['text "38": #1', 'text "37": #1']  # the surest short ones
    assert no == ['text "2": #1', 'text "3": #1']  # and none that has a gold label in any row
    assert "# - name: none of these" in path.read_text()
    again = commands("codebook", "init", table, cwd=table.parent)
    assert again.code == 2 and "--force" in again.err and again.err.count("\n") == 1
    assert commands("codebook", "init", table, "--force", "-q", cwd=table.parent) == (0, "", "")
    checked = commands("codebook", "check", path, table)
    assert checked.code == 0 and 'Class: yes\nExamples:\n- "text "38": #1"' in checked.out
    assert "without a definition: 'yes', 'no'" in checked.out


def test_without_scores_examples_are_drawn_by_the_seed(table: Path) -> None:
    frame = pd.read_csv(table).drop(columns=["llm_score_no", "llm_score_yes"])
    frame.to_csv(table, index=False)
    one, same, other = (draft_codebook(table, "c.yaml", seed=seed) for seed in (0, 0, 1))
    assert one == same and one.text != other.text and one.n_examples == 4


def test_classes_of_gold_labels_and_of_the_record(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    pd.DataFrame({"text": list("abc"), "gold": ["10", "9", ""]}).to_csv(path, index=False)
    draft = draft_codebook(path, "c.yaml")
    assert draft.classes == ["9", "10"] and draft.n_examples == 0
    record: dict[str, Any] = {"classes": ["9", "10", "none of these"]}
    record["codebook"] = {"classes": ["9", "10", {"name": "none of these", "none": True}]}
    (tmp_path / "t.annotator.json").write_text(json.dumps(record))
    written = tmp_path / "c.yaml"
    written.write_text(draft_codebook(path, written).text)
    assert [each.is_none for each in Codebook.read(written).classes] == [False, False, True]


def test_labels_of_several_llms(tmp_path: Path) -> None:
    path, written = tmp_path / "t.csv", tmp_path / "c.yaml"
    frame = pd.DataFrame({"text": list("abcdef"), "llm_label_a": ["x", "x", "y", "y", "", "x"]})
    frame["llm_label_b"] = ["x", "y", "z", "y", "z", ""]
    frame["llm_label"] = ["x", "z", "x", "y", "z", "y"]
    frame["llm_score_x"], frame["llm_score_y"], frame["llm_score_z"] = [-0.1] * 6, [-3.0] * 6, [-4.0] * 6
    frame.to_csv(path, index=False)
    (tmp_path / "t.annotator.json").write_text(json.dumps({"annotators": {"a": {"question": "Which letter?"}}}))
    written.write_text(draft_codebook(path, written).text)
    book = Codebook.read(written)
    assert book.question == "Which letter?" and book.class_names == ["x", "y", "z"]
    examples = [[example.text for example in each.examples] for each in book.classes]
    assert examples == [["a"], ["d"], ["e"]]  # of b, c and f the LLMs say different classes
    one = draft_codebook(path, written, label="llm_label_a")
    assert one.classes == ["x", "y"] and one.n_examples == 4
    checked = CliRunner().invoke(app, ["codebook", "check", str(written), str(path)])
    assert checked.exit_code == 0
    written.write_text("classes: [x, y]")
    refused = CliRunner().invoke(app, ["codebook", "check", str(written), str(path)])
    assert "has the label 'z', which the codebook lacks" in str(refused.exception)  # only llm_label_b has it


def test_a_question_in_the_names_of_the_classes(tmp_path: Path) -> None:
    path, written = tmp_path / "t.csv", tmp_path / "c.yaml"
    pd.DataFrame({"text": list("abc"), "llm_label": ["off topic", "no: 1", "yes"]}).to_csv(path, index=False)
    written.write_text(draft_codebook(path, written).text)
    question = Codebook.read(written).question
    assert question == "Is this text no: 1, off topic or yes?"  # what `silr annotate` asks without --question
    asked = Prompt(Codebook.read(written).class_names).message("{question}")
    assert question == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("init", "labelled.csv", "--label-column", "lable"), "no column 'lable'"),
        (("check", "gold.yaml", "labelled.csv", "--label-column", "lable"), "no column 'lable'"),
        (("init", "empty.csv"), "needs labels of two classes at least"),
        (("init", "labelled.csv", "-o", "no/c.yaml"), "the folder no does not exist"),
        (("check", "gold.yaml", "labelled.csv"), "labelled.csv, row 1: this text has a gold label"),
        (("check", "more.yaml", "labelled.csv"), "the codebook has the class 'maybe', which labelled.csv lacks"),
        (("check", "less.yaml", "labelled.csv"), "has the label 'yes', which the codebook lacks"),
        (("check", "more.yaml", "--classes", "no,yes"), "the codebook has the class 'maybe', which --classes lacks"),
        (("check", "labelled.csv"), "labelled.csv: "),
    ],
)
def test_what_is_refused(
    table: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    folder = table.parent
    monkeypatch.chdir(folder)
    (folder / "empty.csv").write_text("text\na\nb\n")
    (folder / "gold.yaml").write_text("classes: [no, {name: yes, examples: ['TEXT \"0\":  #1']}]")
    (folder / "more.yaml").write_text("classes: [no, yes, maybe]")
    (folder / "less.yaml").write_text("classes: [no, maybe]")
    done = CliRunner().invoke(app, spread_classes(["codebook", *arguments]))
    assert isinstance(done.exception, InputError) and message in str(done.exception) and done.output == ""
