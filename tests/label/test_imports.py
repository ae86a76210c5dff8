"""Exports of Label Studio and Argilla as gold labels."""

import json

import pytest

from silr.errors import InputError
from silr.label.imports import import_gold

TEXTS = ["good", "bad", "fine\nindeed", "good", "poor", "last"]
IDS = ["a", "b", "c", "d", "e", "f"]
CLASSES = ["negative", "positive"]


def read(tmp_path, content, taken=(), ids=IDS, text="text", columns=()):
    path = tmp_path / "export.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return import_gold(path, TEXTS, ids, CLASSES, set(taken), text, columns)


def task(text, *choices, cancelled=False, **data):
    """A task of Label Studio's JSON export."""
    annotations = [
        {
            "id": 7,
            "completed_by": 1,
            "was_cancelled": cancelled,
            "result": [
                {"type": "choices", "from_name": "mood", "to_name": "text", "value": {"choices": [choice]}},
            ],
        }
        for choice in choices
    ]
    return {"id": 1, "data": {"text": text, **data}, "annotations": annotations, "predictions": [], "project": 3}


def test_label_studio(tmp_path):
    found = read(
        tmp_path,
        [
            task("good", "positive"),
            task(" bad ", "Negative"),
            task("fine\r\nindeed", "positive", "negative", "positive"),
            task("good", "negative"),
            task("poor", "negative", "positive"),
            task("nowhere", "negative"),
            task("last", "neutral"),
            task("last"),
            task("last", "negative", cancelled=True),
        ],
    )
    assert found.gold == {0: 1, 1: 0, 2: 1, 3: 0}
    assert (found.records, found.unlabelled, found.unmatched, found.disputed) == (9, 2, 1, 1)
    assert dict(found.outside) == {"neutral": 1}
    assert str(found) == (
        "9 records: 4 labels read, 2 without a label, 1 match no text of the table, 1 where the labels of several "
        "persons tie, 1 outside the classes ('neutral' 1)"
    )


def test_label_studio_by_id_and_with_another_name_of_the_text(tmp_path):
    tasks = [task("cut off ...", "positive", id="f"), {**task("", "negative"), "data": {"body": "poor"}}]
    assert read(tmp_path, tasks, text="body").gold == {5: 1, 4: 0}
    assert read(tmp_path, tasks, text="body", ids=[None] * 6).gold == {4: 0}


def flat(task, text, **label):
    """A row of Label Studio's JSON-MIN export, of a table that had more columns than the text."""
    about = {"annotator": 1, "annotation_id": 7, "created_at": "now", "updated_at": "now", "lead_time": 2.5}
    return {"llm_label": "negative", "text": text, "id": task, **label, **about}


def test_label_studio_json_min(tmp_path):
    rows = [
        flat(1, "good", mood="Positive"),
        flat(2, "bad", mood="negative"),
        flat(3, "poor", mood="positive"),
        flat(3, "poor", mood="negative"),
        flat(3, "poor", mood="negative"),
        flat(4, "last", mood={"choices": ["negative", "positive"]}),
        flat(5, "fine\r\nindeed"),
    ]
    found = read(tmp_path, rows, columns={"id", "text", "llm_label"})
    assert found.gold == {0: 1, 1: 0, 4: 0}
    assert (found.records, found.unlabelled) == (5, 2)
    named = [{**row, "body": row.pop("text")} for row in rows[:2]]
    assert read(tmp_path, named, text="body", columns={"llm_label"}).gold == {0: 1, 1: 0}


def argilla(text, *answers, status="submitted", **more):
    answers = [{"value": answer, "user_id": "u", "status": status} for answer in answers]
    return {"id": "x", "fields": {"text": text}, "suggestions": {}, "responses": {"mood": answers}, **more}


def test_argilla(tmp_path):
    records = [
        argilla("good", "positive"),
        argilla("bad", "negative", status="draft"),
        argilla("unknown", "negative", id="c"),
        {"fields": {"text": "poor"}, "responses": [{"status": "submitted", "values": {"mood": {"value": "negative"}}}]},
        {"fields": {"text": "bad"}, "responses": [{"status": "discarded", "values": {"mood": {"value": "negative"}}}]},
        {"text": "last", "mood.responses": ["positive", "negative"], "mood.responses.status": ["submitted", "draft"]},
        {"text": "bad", "responses": None},
    ]
    for content in (records, "\n".join(map(json.dumps, records)) + "\n"):
        found = read(tmp_path, content)
        assert found.gold == {0: 1, 2: 0, 4: 0, 5: 1}
        assert (found.records, found.unlabelled) == (7, 3)


def test_gold_that_is_there_stays(tmp_path):
    found = read(tmp_path, [task("bad", "positive"), task("last", "positive")], taken=[1])
    assert found.gold == {5: 1} and found.known == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no records"),
        ("[]", "no records"),
        ("[1]", "no records"),
        ("{", "line 1: not JSON"),
        ('{"responses": 1}\n{\n', "line 2: not JSON"),
        ('[{"text": "good", "mood": "positive"}]', "no record has annotations .* its first has 'text', 'mood'"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, content)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        import_gold(tmp_path / "no.json", TEXTS, IDS, CLASSES, set())
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    with pytest.raises(InputError, match="not UTF-8"):
        import_gold(tmp_path / "latin.json", TEXTS, IDS, CLASSES, set())


@pytest.mark.parametrize(
    "strange", [{"annotations": 3}, {"annotations": [1, {"result": "x"}]}, {"responses": {"m": [5]}}]
)
def test_strange_records_are_no_labels(tmp_path, strange):
    assert read(tmp_path, [strange, task("last", "positive")]).gold == {5: 1}


def block(name, *choices):
    return {"type": "choices", "from_name": name, "to_name": "text", "value": {"choices": list(choices)}}


def test_the_question_whose_answers_are_the_classes(tmp_path):
    """Of two choices, whichever comes first, in each format."""
    tasks = [
        {"data": {"text": text}, "annotations": [{"result": [block("sure", "high"), block("mood", answer)]}]}
        for text, answer in (("good", "positive"), ("bad", "negative"))
    ]
    assert read(tmp_path, tasks).gold == {0: 1, 1: 0}
    rows = [flat(1, "good", sure="high", mood="positive"), flat(2, "bad", sure="low", mood="negative")]
    assert read(tmp_path, rows, columns={"id", "text", "llm_label"}).gold == {0: 1, 1: 0}
    about = [{"value": "high", "status": "submitted"}]
    records = [
        {**record, "responses": {"sure": about, **record["responses"]}}
        for record in (argilla("good", "positive"), argilla("bad", "negative"))
    ]
    assert read(tmp_path, records).gold == {0: 1, 1: 0}
    flat_records = [{"text": "good", "sure.responses": ["high"], "mood.responses": ["positive"]}]
    assert read(tmp_path, flat_records).gold == {0: 1}
    both = [{"data": {"text": "good"}, "annotations": [{"result": [block("a", "positive"), block("b", "negative")]}]}]
    with pytest.raises(InputError, match="several questions whose answers are the classes: 'a', 'b'"):
        read(tmp_path, both)


def test_answers_in_lists_and_of_other_types(tmp_path):
    """One answer in a list is one; two are none."""
    lists = [argilla("good", ["positive"]), argilla("bad", ["negative", "positive"]), argilla("last", ["Negative"])]
    found = read(tmp_path, lists)
    assert found.gold == {0: 1, 5: 0} and found.unlabelled == 1
    path = tmp_path / "export.json"
    path.write_text(json.dumps([argilla("good", 1), argilla("bad", 0.0), argilla("last", [True])]))
    assert import_gold(path, TEXTS, IDS, ["0", "1"], set()).gold == {0: 1, 1: 0, 5: 1}


def test_texts_are_found_whatever_white_space_a_program_made_of_theirs(tmp_path):
    texts = ["a\u00a0b\tc", "two  words", "two\nwords", " last\u2028line "]
    records = [task("a b c", "positive"), task("two words", "negative"), task("last line\r\n", "negative")]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([*records, task("two\nwords", "positive")]))
    found = import_gold(path, texts, [None] * 4, ["negative", "positive"], set())
    assert found.gold == {0: 1, 2: 1, 3: 0} and found.unmatched == 1  # which "two words" is meant nobody knows
    assert "most records" not in str(found)
    path.write_text(json.dumps([*records[:1], *[task(f"text {row}", "positive") for row in range(3)]]))
    found = import_gold(path, texts, [None] * 4, ["negative", "positive"], set())
    assert str(found).endswith(
        "3 match no text of the table; most records match no text: is this an export of the same table?"
    )


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([task("last"), task("good")], "2 without a label: nothing can be used; a label is one submitted choice"),
        ([task("nowhere", "positive")], "1 match no text of the table: nothing .*'text', see --text-column"),
        ([task("good", "fine")], "outside the classes .*: nothing can be used; --classes names the classes"),
        ([argilla("good", "positive", status="draft")], "1 without a label: nothing can be used"),
    ],
)
def test_an_import_of_nothing_is_refused(tmp_path, records, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, records)
