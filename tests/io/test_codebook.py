"""A codebook as a file, what is refused, and its gold texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from silr import Codebook
from silr.errors import InputError
from silr.io.codebook import CodebookClass, OtherClassesError, check_gold, recorded_codebook, text_key

FILE = """\
question: "Is it rude: yes or no?"
classes:
  - name: no
    definition: Polite, or neutral.
  - name: yes
    definition: |
      Words that hurt.
      Irony too.
    in: [an insult, mockery]
    out:
      - "criticism: of a thing"
    examples:
      - You fool.
      - {text: "  Well done,\\n genius ", reason: irony}
  - name: none of these
    none: true
    in: only one
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "codebook.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_what_a_file_says(write: Any) -> None:
    book = Codebook.read(write(FILE))
    assert book.question == "Is it rude: yes or no?"
    assert book.class_names == ["no", "yes", "none of these"]  # not False and True
    no, yes, none = book.classes
    assert no.entries == [("Definition", ["Polite, or neutral."])]
    assert yes.definition == "Words that hurt.\nIrony too." and list(yes.includes) == ["an insult", "mockery"]
    assert [example.words for example in yes.examples] == ['"You fool."', '"Well done,\n genius" (irony)']
    assert none.is_none and list(none.includes) == ["only one"]
    assert Codebook.from_dict(json.loads(json.dumps(book.to_dict()))) == book
    assert Codebook.read(write(json.dumps(book.to_dict(), indent="\t"))) == book
    assert Codebook.read(write(("\ufeff" + FILE).encode())) == book


def test_the_text_that_all_read(write: Any) -> None:
    text = Codebook.read(write(FILE)).text({"yes": "B"})
    assert text.startswith(
        "This codebook says what each class means.\n\nClass: no\nDefinition: Polite, or neutral.\n\n"
    )
    assert (
        "\n\nClass: B (yes)\nDefinition: Words that hurt.\nIrony too.\nBelongs here:\n- an insult\n- mockery\n" in text
    )
    assert "Does not belong here:\n- criticism: of a thing\nExamples:\n" in text
    assert '- "Well done,\n   genius" (irony)\n\nClass: none of these\nWhen to use it: Only where none' in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("classes: [", "not YAML in line 1: .*quotes$"),
        ("question: a: b", "not YAML in line 1"),
        (b"\xff\xfe", "not UTF-8"),
        ("", "the codebook is empty; it must have `classes:`"),
        ("- a", "the codebook is .*; it must have `classes:`"),
        ("question: x", "has no classes"),
        ("classes: []", "has no classes"),
        ("classes: {a: b}", "must be a list"),
        ("classes: [a]", "at least two classes, it has only 'a'"),
        ("clases: [a, b]", "unknown key `clases`; did you mean `classes`"),
        ("classes: [{name: a, defnition: x}, b]", "class 1 has an unknown key `defnition`; did you mean `definition`"),
        ("classes: [{name: a, zzz: x}, b]", "unknown key `zzz`; it takes `name`, `definition`"),
        ("classes: [{name: a, in: [x], in: [y]}, b]", "the key `in` is there twice"),
        ('{"classes": ["a", "b"], "classes": []}', "the key `classes` is there twice"),
        ("classes: [a, b, a]", "the class 'a' is there twice"),
        ("classes: [1, b, 1.0]", "the class '1.0' is there twice"),
        ("classes: [{definition: x}, b]", "class 1 has no name"),
        ("classes: [{name: a, none: true}, {name: b, none: yes}]", "only one class can have none: true, not 'a', 'b'"),
        ("classes: [{name: a, none: perhaps}, b]", "`none` of the class 'a' must be true or false"),
        ("classes: [{name: a, examples: [[x]]}, b]", "an example of the class 'a' is no text"),
        ("classes: [{name: a, examples: [{reason: x}]}, b]", "an example of the class 'a' is no text"),
        ("classes: [{name: a, examples: ['']}, b]", "an example of the class 'a' is no text"),
        ("classes: [{name: a, examples: [{txt: x}]}, b]", "unknown key `txt`; did you mean `text`"),
        ("classes: [{name: a, in: [x: y]}, b]", "`in` of the class 'a' must be one text.*quotes"),
        ("classes: [nan, b]", "would be read as a missing label"),
        ("a: &a [*a]", "not YAML"),
        ("classes: [!!python/object/apply:os.getcwd [], b]", "class 1 is"),
    ],
)
def test_what_is_no_codebook(write: Any, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"codebook.yaml: .*{message}") as raised:
        Codebook.read(write(content))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the codebook"):
        Codebook.read(tmp_path / "codebook.yaml")


def test_classes_are_compared() -> None:
    book = Codebook([CodebookClass("good"), CodebookClass("bad")])
    book.check_classes(["bad", "good"], "--classes")
    book.check_table(["Good"], ["bad"], "t.csv")
    for wrong, message in [
        (["good", "bad", "other"], "--classes has the class 'other', which the codebook lacks"),
        (["good", "worse"], "the codebook has the class 'bad', which --classes lacks"),
        (["goood", "bad"], "the codebook has the class 'good', which --classes lacks; did you mean 'goood'"),
    ]:
        with pytest.raises(OtherClassesError, match=message):
            book.check_classes(wrong, "--classes")
    with pytest.raises(OtherClassesError, match=r"'bad', which t.csv lacks; .*--classes good,bad"):
        book.check_table(["good"], [], "t.csv")
    with pytest.raises(OtherClassesError, match="label 'goods', which the codebook lacks; did you mean 'good'"):
        book.check_table(["goods", "bad"], [], "t.csv")


def test_gold_texts_are_no_examples(write: Any) -> None:
    book = Codebook.read(write(FILE))
    texts = ["You  fool.\r\n", "fine", "well done, genius", "\uff39ou fool."]  # a full-width letter
    assert book.example_rows(texts) == [0, 2, 3]
    check_gold(book, texts, [1], "t.csv")
    check_gold(None, texts, [0], "t.csv")
    with pytest.raises(InputError, match=r"t.csv, row 3 \(and so 1 more\): this text has a gold label and is an ex"):
        check_gold(book, texts, [1, 2, 3], "t.csv")
    assert text_key("cafe\u0301 ") == text_key("\tCaf\u00e9")


def test_a_damaged_record_has_no_codebook(tmp_path: Path) -> None:
    table, record = tmp_path / "t.csv", tmp_path / "t.annotator.json"
    assert recorded_codebook(table) is None
    for content in ("{", "[]", "{}", '{"codebook": {"classes": ["a"]}}'):
        record.write_text(content)
        assert recorded_codebook(table) is None
    record.write_text('{"codebook": {"classes": ["a", "b"]}}')
    assert recorded_codebook(table).class_names == ["a", "b"]


def test_the_example_in_the_documentation_is_one() -> None:
    book = Codebook.read(Path(__file__).parents[2] / "docs" / "codebook-example.yaml")
    assert book.class_names == ["complaint", "question", "praise", "none of these"] and book.has_examples
