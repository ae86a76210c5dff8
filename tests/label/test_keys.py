"""Keys of classes, and what the LLM was asked."""

import json

import pytest

from silr.label.keys import class_keys, class_of, question_of, tool_keys


def test_every_class_has_a_key_of_its_own():
    given = [key for key in class_keys([f"class {n}" for n in range(50)]) if key]
    assert len(given) == len(set(given)) == 31 and not set("usvzm") & set(given)


@pytest.mark.parametrize(
    ("classes", "keys"),
    [
        (["negative", "positive"], "12"),
        (["0", "1"], "01"),
        (["3", "2", "1"], "321"),
        (["0", "1", "unsure"], "01q"),  # 3 would look like a class
        (["8", "9", "10"], "89q"),
        (["10", "20"], "12"),
        (["a", "b", "other"], "ab3"),
        (["q", "w", *(f"class {n}" for n in range(9))], "qw34567890e"),
        (["a", "A"], "aA"),
        (["+", "-", "neither"], "+-3"),
        (["\u00e9", "e\u0301x"], "\u00e92"),
        (["\u662f", "\u5426"], "12"),  # no single key types them
        ([" ", "\U0001f44d"], "12"),
    ],
)
def test_the_key_is_the_class_itself_where_it_is_one_character(classes, keys):
    assert class_keys(classes) == list(keys)


@pytest.mark.parametrize(
    ("classes", "pressed", "number"),
    [
        ("01", "1", 1),
        ("01", "0", 0),
        ("AB", "b", 1),
        ("aA", "A", 1),
        ("aA", "a", 0),
        ("\u00c9F", "\u00e9", 0),
        ("01", "2", None),
    ],
)
def test_a_key_gives_its_class(classes, pressed, number):
    assert class_of(pressed, class_keys(list(classes))) == number


def test_no_key_is_no_class():
    assert class_of("", class_keys([f"class {n}" for n in range(50)])) is None


def test_tools_give_way_to_classes():
    assert tool_keys(["ham", "spam"]) == {"undo": "u", "skip": "s", "stop": "z", "view": "v", "more": "m"}
    assert tool_keys(["H", "S", "U", "."]) == {"undo": ",", "skip": ">", "stop": "z", "view": "v", "more": "m"}


RECORD = {"classes": ["no", "yes"], "question": "Is it rude?", "prompt": "{question} {examples}{text}"}


@pytest.mark.parametrize(
    ("record", "asked"),
    [
        (RECORD, "Is it rude?"),
        (RECORD | {"question": None}, "Is this text no or yes?"),
        (RECORD | {"class_words": {"no": "polite", "yes": "yes"}}, "Is it rude? (\u201cpolite\u201d is no)"),
        ({"classes": ["no", "yes"], "prompt": "Say {classes}.\n\n{text}\nAnswer:"}, "Say no or yes. \u2026 Answer:"),
        ({"classes": ["no"], "question": "?"}, ""),
        (["no record"], ""),
    ],
)
def test_what_the_llm_was_asked(tmp_path, record, asked):
    (tmp_path / "labelled.annotator.json").write_text(json.dumps(record))
    assert question_of(tmp_path / "labelled.csv.gz") == asked
    assert question_of(tmp_path / "other.csv") == ""


def test_a_damaged_record_asks_nothing(tmp_path):
    (tmp_path / "labelled.annotator.json").write_bytes(b"\xff{")
    assert question_of(tmp_path / "labelled.csv") == ""
