"""The codebook beside the texts: which one, its keys, and examples that are never drawn."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelling import Fixed, Labelling, gold_of, label_commands, make_table, weights_of

from silr.errors import InputError
from silr.io.codebook import Codebook, OtherClassesError, recorded_classes, recorded_codebook
from silr.io.corpus import read_table, write_table
from silr.label.codebook import panel, plain_text, question_for
from silr.label.gold_table import GoldTable
from silr.label.keys import codebook_key, tool_keys
from silr.label.session import Session
from tests.label.test_terminal import READY, Terminal

VALUES = {
    "question": "Is it <b>kind</b>?",
    "classes": [
        {"name": "positive", "definition": "Kind <script>words</script>.", "in": ["thanks", "praise"]},
        {"name": "negative", "out": ["questions"], "examples": ["Text  number 5", "text number 7"]},
        {"name": "none of these", "none": True},
    ],
}
BOOK = Codebook.from_dict(VALUES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table of an LLM that was asked with the codebook, and never said none."""
    path = make_table(tmp_path / "t.csv", 40)
    frame = read_table(path).drop(columns=["llm_score_negative", "llm_score_positive"])
    write_table(frame, path)
    record = {"classes": BOOK.class_names, "question": VALUES["question"], "prompt": "{codebook} {question} {text}"}
    (tmp_path / "t.annotator.json").write_text(json.dumps({**record, "codebook": VALUES}))
    return path


def test_a_class_that_the_llm_never_gave_can_be_chosen(path: Path) -> None:
    table = GoldTable(path, codebook=BOOK)
    assert table.classes == ["positive", "negative", "none of these"]
    assert question_for(table) == "Is it <b>kind</b>?"
    book = panel(table)
    assert book["key"] == "?" and [(each["name"], each["key"]) for each in book["classes"]] == [
        ("positive", "1"),
        ("negative", "2"),
        ("none of these", "3"),
    ]
    assert plain_text(table).startswith("1 positive\nDefinition: Kind <script>words</script>.\nBelongs here:\n- thanks")
    assert panel(GoldTable(path)) == {"key": "", "classes": []} and plain_text(GoldTable(path)) == ""


def test_the_key_of_the_codebook_gives_way() -> None:
    assert codebook_key(["a", "b"]) == "?" and codebook_key(["?", "b"]) == "/"
    for classes in (["v", "x"], ["?", "v"], ["?", "/", "}"]):
        assert codebook_key(classes) not in {*classes, *tool_keys(classes).values()}


@pytest.mark.parametrize("rounds", [False, True])
def test_examples_are_never_drawn_and_weights_are_those_of_the_others(path: Path, rounds: bool) -> None:
    posterior: Any = Fixed(np.full((40, 3), 1 / 3)) if rounds else None
    session = Session(GoldTable(path, rounds=rounds, codebook=BOOK), 40, posterior=posterior)
    assert session.table.barred == {5, 7}
    while session.current is not None and len(session.gold) < session.target:
        session.label(session.current, 0)
    session.close()
    assert len(session.gold) == 38 and not session.table.barred & session.gold.keys()
    assert sum(weights_of(path)) == pytest.approx(38)


def test_weights_of_some_labels_sum_to_all_texts_but_the_examples(path: Path) -> None:
    session = Session(GoldTable(path, codebook=BOOK), 12)
    while len(session.gold) < 12:
        session.label(session.current, 1)
    session.close()
    assert sum(weights_of(path)) == pytest.approx(38)


def test_gold_that_is_an_example_is_refused(path: Path) -> None:
    frame = read_table(path)
    frame["gold"] = ["positive" if row == 7 else "" for row in range(40)]
    write_table(frame, path)
    with pytest.raises(InputError, match=r"t.csv, row 8: this text has a gold label and is an example"):
        GoldTable(path, codebook=BOOK)
    frame["gold"] = ""
    write_table(frame, path)
    session = Session(GoldTable(path, codebook=BOOK), 5)
    with pytest.raises(InputError, match="row 8"):
        session.adopt({7: 0})
    session.close()
    assert gold_of(path) == {}


def test_other_classes_than_the_tables(path: Path) -> None:
    path.with_name("t.annotator.json").unlink()
    with pytest.raises(OtherClassesError, match=r"'none of these', which .*t.csv lacks; .*--classes "):
        GoldTable(path, codebook=BOOK)
    assert GoldTable(path, classes=BOOK.class_names, codebook=BOOK).classes == BOOK.class_names
    with pytest.raises(OtherClassesError, match="the codebook has the class 'none of these', which --classes lacks"):
        GoldTable(path, classes=["positive", "negative"], codebook=BOOK)


@pytest.mark.slow
def test_the_page_has_the_codebook_of_the_annotation_or_another(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("question: Really?\nclasses: [negative, positive, none of these]")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("classes: [negative, positive, unclear]")
    with Labelling(path) as labelling:
        setting = labelling.get().json()
        assert setting["question"] == "Is it <b>kind</b>?" and len(setting["codebook"]["classes"]) == 3
        assert [each["name"] for each in setting["classes"]] == BOOK.class_names
    with Labelling(path, "--codebook", other) as labelling:
        setting = labelling.get().json()
        assert setting["question"] == "Really?" and setting["codebook"]["classes"][0]["entries"] == []
    refused = label_commands()("label", path, "--no-browser", "--codebook", wrong)
    assert refused.code == 2 and "'unclear', which" in refused.err and refused.err.count("\n") == 1
    frame = read_table(path)
    frame.loc[3, "llm_label"] = "surprise"
    write_table(frame, path)
    with Labelling(path) as labelling:
        assert labelling.said[0].startswith("the codebook of the annotation is not shown: ")
        assert labelling.get().json()["codebook"]["classes"] == []


@pytest.mark.slow
def test_the_terminal_shows_it_on_a_key(path: Path) -> None:
    with Terminal(path, "-n", 2) as person:
        assert "? codebook   z save and stop" in person.until(READY)
        shown = person.press("?", r"\(any key: more\)")
        assert "1 positive\r\nDefinition: Kind <script>" in shown
        shown = person.press(" ", READY)
        assert "Only where none of the other classes fits." in shown and "0 of 2" in shown
        assert "-> none of these" in person.press("3")
        os.write(person.mine, b"z")
        person.until("written:")
    assert list(gold_of(path).values()) == ["none of these"]


def test_of_several_llms_the_first_that_read_a_codebook(path: Path) -> None:
    """The record of embeddings comes first where the only LLM has a name."""
    beside = path.with_name("t.annotator.json")
    record = {**json.loads(beside.read_bytes()), "examples": []}
    beside.write_text(json.dumps({"embeddings": {"kind": "api", "model": "emb"}, "annotators": {"gpt": record}}))
    found = recorded_codebook(path)
    assert found is not None and found.class_names == BOOK.class_names == recorded_classes(path)


def test_examples_of_the_prompt_are_never_drawn(path: Path) -> None:
    """Those of `silr annotate --few-shot`, of any LLM of the table."""
    shown = {"examples": [["TEXT  number 3", "positive"], ["another text", "negative"]], "classes": ["a", "b"]}
    path.with_name("t.annotator.json").write_text(json.dumps({"classes": ["a", "b"], "annotators": {"gpt": shown}}))
    assert GoldTable(path).barred == {3}
