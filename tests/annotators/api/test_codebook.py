"""A codebook in the prompt, in the record, and against the gold labels, with a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chat_server import chat_server, text_of

from command_line import Commands
from silr import annotate
from silr.annotators import Prompt
from silr.annotators.api.annotator import TEMPLATE
from silr.annotators.prompts import with_codebook
from silr.errors import InputError
from silr.io.codebook import Codebook
from silr.label.keys import question_of

BOOK = {
    "question": "Is this review good?",
    "classes": [
        {"name": "good", "definition": "Praise {text}.", "examples": ["I love it."]},
        {"name": "bad", "in": ["returned goods"]},
        {"name": "neither", "none": True},
    ],
}
TEXTS = ["good one", "bad one", "a {codebook}"] * 10


def by_book(body: dict[str, Any]) -> str:
    text = text_of(body)
    return "good" if "good" in text else "bad" if "bad" in text else "neither"


@pytest.fixture
def codebook(tmp_path: Path) -> Path:
    path = tmp_path / "codebook.yaml"
    path.write_text(json.dumps(BOOK))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    pd.DataFrame({"text": TEXTS}).to_csv(path, index=False)
    return path


def test_the_prompt_has_what_the_codebook_says() -> None:
    book = Codebook.from_dict(BOOK)
    prompt = Prompt(None, template=with_codebook(TEMPLATE, book, TEMPLATE), opening="", codebook=book)
    assert prompt.names == ("good", "bad", "neither")
    before, _ = prompt.around_text()
    assert before.startswith(book.text() + "\n\nIs this review good? Answer with good, bad or neither, and nothing")
    assert "Praise {text}." in before and "Only where none of the other classes fits." in before
    own = Prompt(["bad", "neither", "good"], template="{text} {classes}\n{codebook}", codebook=book)
    assert own.names == ("good", "bad", "neither") and own.around_text()[1].endswith(book.text())
    letters = Prompt(None, template="{codebook}{text}", class_words={"good": "A"}, codebook=book)
    assert "Class: A (good)\n" in letters.around_text()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": "Is it?"}, "--question"),
        ({"examples": [("x", "good")], "template": "{codebook}{examples}{text}"}, "--few-shot"),
        ({"classes": ["good", "bad"]}, "'neither', which the list of classes"),
        ({"classes": ["good", "bad", "neither", "so-so"]}, "'so-so', which the codebook lacks"),
        ({"template": "{text}"}, "no {codebook}, so"),
        ({"template": "{codebook}{text}", "codebook": None, "classes": ["a", "b"]}, "there is no codebook"),
        ({"codebook": None}, "at least two classes"),
    ],
)
def test_a_prompt_that_contradicts_the_codebook(options: dict[str, Any], message: str) -> None:
    given = {"classes": None, "template": "{codebook}{question}{text}", "codebook": Codebook.from_dict(BOOK)}
    with pytest.raises(InputError, match=message):
        Prompt(**given | options)


@pytest.mark.slow
def test_annotate_with_a_codebook(table: Path, codebook: Path, commands: Commands) -> None:
    commands.load("silr.annotators.api.annotator", "openai")
    folder, output = table.parent, table.with_name("out.csv")
    common = ["annotate", table, "-o", output, "--model", "m", "--cache", folder / "a.sqlite", "--json"]
    with chat_server(by_book) as (url, record):
        done = commands(*common, "--base-url", url, "--codebook", codebook)
        assert done.code == 0, done
        assert json.loads(done.out)["labels"] == {"good": 10, "bad": 10, "neither": 10}
        content = record.bodies[0]["messages"][0]["content"]
        assert content.startswith(Codebook.from_dict(BOOK).text()) and record.requests == 3
        again = commands(*common, "--base-url", url, "--codebook", codebook, "--classes", "neither", "good", "bad")
        assert again.code == 0 and record.requests == 3  # the same prompt: from the cache
        other = json.loads(codebook.read_text())
        other["classes"][0]["definition"] = "Something else."
        codebook.write_text(json.dumps(other))
        commands(*common, "--base-url", url, "--codebook", codebook)
        assert record.requests == 6
        said = json.loads(output.with_name("out.annotator.json").read_text())
        assert said["codebook"] == other and said["classes"] == ["good", "bad", "neither"]
        assert question_of(output) == "Is this review good?"
        neither = commands(*common, "--base-url", url)
        assert neither.code == 2 and "--classes negative positive, or --codebook FILE" in neither.err
        mixed = commands(*common, "--base-url", url, "--codebook", codebook, "--thinking")
        assert mixed.code == 2 and "--thinking" in mixed.err and mixed.err.count("\n") == 1


@pytest.mark.slow
def test_gold_texts_that_are_examples_cost_nothing(
    table: Path, codebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    frame = pd.DataFrame({"text": ["good one", " I  love it.\r\n", "bad one"], "gold": ["good", "good", None]})
    with chat_server(by_book) as (url, record):
        with pytest.raises(InputError, match=r"row 2: this text has a gold label and is an example"):
            annotate(frame, model="m", base_url=url, codebook=codebook)
        assert record.requests == 0
        frame["gold"] = ["good", None, None]
        done = annotate(frame, model="m", base_url=url, codebook=Codebook.read(codebook))
        assert done["llm_label"].tolist() == ["good", "neither", "bad"]
