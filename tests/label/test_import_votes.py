"""Votes of several people from tables, and from exports that tell who gave which label."""

import json

import pandas as pd
import pytest
from labelling import Fixed, gold_of, make_table
from test_imports import argilla, block, flat
from test_people import label_up_to, votes_of

from silr.cli.label_people import take_imports
from silr.errors import InputError
from silr.io.corpus import read_table, write_table
from silr.label.gold_table import GoldTable
from silr.label.import_votes import is_table, named_file
from silr.label.session import Session


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv", n=60)


def take(path, *values, person=None, rounds=False):
    """What `silr label TABLE --import VALUE ... -n 0` does; return the lines."""
    work = Session(GoldTable(path, rounds=rounds), 0, posterior=Fixed(None) if rounds else None, person=person)
    try:
        return take_imports(work, [str(value) for value in values], lambda line: None)
    finally:
        work.close()


def table(path, **columns):
    """A table of texts 0, 1, ... with these columns."""
    length = len(next(iter(columns.values())))
    write_table(pd.DataFrame({"text": [f"text number {row}" for row in range(length)], **columns}), path)
    return path


def test_tables_of_several_people(path, tmp_path):
    ann = table(tmp_path / "ann.csv", label=["negative", "positive", None, "positive"], topic=[1, 2, 3, 4])
    bob = table(tmp_path / "second.jsonl", gold=["Negative", "negative", "positive"])
    lines = take(path, ann, f"bob={bob}")
    assert lines == ["votes of ann 3, 3 of them new", "votes of bob 3, 3 of them new"]
    assert votes_of(path, "ann") == {0: "negative", 1: "positive", 3: "positive"}
    assert votes_of(path, "bob") == {0: "negative", 1: "negative", 2: "positive"}
    assert gold_of(path) == {0: "negative", 2: "positive", 3: "positive"}  # of text 1 they disagree
    before = path.read_bytes()
    assert take(path, ann, f"bob={bob}") == ["votes of ann 3, 0 of them new", "votes of bob 3, 0 of them new"]
    assert path.read_bytes() == before


def test_copies_of_one_table_merge(path, tmp_path):
    """Each labels a copy; the draws of the first copy are the plan, and all votes are kept."""
    copies = [tmp_path / f"copy{number}.csv" for number in range(2)]
    for copy, person in zip(copies, ("ann", "bob"), strict=True):
        write_table(read_table(path), copy)
        label_up_to(copy, person, 8, None)
    label_up_to(copies[1], "bob", 10, 0)
    frame = read_table(copies[1])
    frame["adjudicated"] = None
    row = min(votes_of(copies[0], "ann"))
    frame.loc[row, "adjudicated"] = "negative"
    write_table(frame.iloc[::-1], copies[1])  # in another order
    take(path, *copies)
    assert votes_of(path, "ann") == gold_of(copies[0])
    assert len(votes_of(path, "bob")) == 10 and gold_of(path)[row] == "negative"
    assert {place: vote for place, vote in enumerate(read_table(path)["adjudicated"]) if vote} == {row: "negative"}
    weights = pd.to_numeric(read_table(path)["gold_weight"]).sum()
    assert weights == pytest.approx(60)


def test_draws_in_rounds_of_a_copy(path, tmp_path):
    copy, other = tmp_path / "copy.csv", tmp_path / "other.csv"
    write_table(read_table(path), copy)
    label_up_to(copy, "ann", 24, None, rounds=True)
    write_table(read_table(copy), other)
    label_up_to(other, "bob", 26, None, rounds=True)  # goes on from the first
    with pytest.raises(InputError, match="were drawn in rounds: go on without --draw strata"):
        take(path, copy)
    take(path, copy, other, rounds=True)
    frame, expected = read_table(path), read_table(other)
    for name in ("gold", "gold_weight", "gold_draw", "gold_probability", "vote_ann", "vote_bob"):
        assert frame[name].tolist() == expected[name].tolist()
    third = make_table(tmp_path / "third.csv", n=60)
    label_up_to(third, "cy", 30, None, rounds=True, seed=9)  # another sequence: its further texts only train
    take(path, third, rounds=True)
    frame = read_table(path)
    further = (frame["vote_cy"] != "") & (frame["vote_bob"] == "")
    assert further.any() and set(frame["gold_weight"][further]) == {"0.0"}
    assert frame["gold_draw"][~further].tolist() == expected["gold_draw"][~further].tolist()


def test_a_person_who_contradicts_himself(path, tmp_path):
    take(path, table(tmp_path / "ann.csv", gold=["negative", "positive", "positive"]))
    before = path.read_bytes()
    other = table(tmp_path / "again.csv", vote_bob=["negative"] * 3, vote_ann=["negative", "negative", "negative"])
    with pytest.raises(
        InputError, match=r"ann says 'negative' of the text in row 2 .* 'positive' there \(so 2 texts\)"
    ):
        take(path, other)
    assert path.read_bytes() == before


def test_exports_tell_who(path, tmp_path):
    def annotation(person, answer):
        return {"completed_by": person, "result": [block("mood", answer)]}

    studio = [
        {"data": {"text": "text number 0"}, "annotations": [annotation(1, "negative"), annotation(2, "negative")]},
        {"data": {"text": "text number 1"}, "annotations": [annotation(1, "negative"), annotation(2, "positive")]},
        {"data": {"text": "text number 2"}, "annotations": [annotation({"email": "a@b.org"}, "positive")]},
    ]
    file = tmp_path / "studio.json"
    file.write_text(json.dumps(studio))
    assert is_table(tmp_path / "t.csv") and not is_table(file)
    assert take(path, file) == ["votes of 1 2, 2 2, a_b_org 1, 5 of them new"]
    assert gold_of(path) == {0: "negative", 2: "positive"} and votes_of(path, "2") == {0: "negative", 1: "positive"}
    answers = [argilla("text number 3", "negative"), argilla("text number 4", "positive")]
    lines = tmp_path / "argilla.jsonl"
    lines.write_text("\n".join(map(json.dumps, answers)))
    assert not is_table(lines)
    assert take(path, f"cy={lines}") == ["votes of cy 2, 2 of them new"]
    rows = [flat(5, "text number 5", mood="negative"), flat(5, "text number 5", mood="positive")]
    mini = tmp_path / "mini.json"
    mini.write_text(json.dumps([*rows, flat(6, "text number 6", mood="positive")]))
    assert "1 texts with two labels of one person, which are left out" in take(path, mini)[0]
    assert votes_of(path, "1") == {0: "negative", 1: "negative", 6: "positive"}
    with pytest.raises(InputError, match="has the labels of '1', '2', 'a_b_org': give it without cy="):
        take(path, f"cy={file}")


def test_an_export_of_one_person_is_gold_as_ever(path, tmp_path):
    file = tmp_path / "export.json"
    file.write_text(json.dumps([argilla("text number 3", "negative")]))
    assert "1 labels read" in take(path, file)[0]
    assert gold_of(path) == {3: "negative"} and "vote_u" not in read_table(path)
    take(path, file, person="ann")  # but where people have names it is a vote
    assert votes_of(path, "u") == {3: "negative"} and votes_of(path, "unnamed") == {3: "negative"}


@pytest.mark.parametrize(
    ("columns", "name", "said"),
    [
        ({"mood": ["fine", "bad"]}, "a.csv", "a.csv has no column of labels: a person's labels stand in one column"),
        ({"a": ["negative"], "b": ["positive"]}, "a.csv", "several columns of labels, 'a', 'b'"),
        ({"gold": ["negative"]}, "my labels.csv", "whose labels are in .*my labels.csv? --import NAME="),
        ({"vote_bob": ["negative"]}, "ann=a.csv", "has the votes of bob 1 already: give it without ann="),
        ({"gold": ["negative"] * 19 + ["fine"]}, "a.csv", "row 20: 'gold' is 'fine', outside the classes"),
    ],
)
def test_tables_that_cannot_be_used(path, tmp_path, columns, name, said):
    person, sign, file = name.rpartition("=")
    made = table(tmp_path / file, **columns)
    with pytest.raises(InputError, match=said.replace("csv?", r"csv\?")):
        take(path, f"{person}{sign}{made}")


def test_texts_that_are_not_there(path, tmp_path):
    other = tmp_path / "a.csv"
    write_table(pd.DataFrame({"text": ["nowhere", "text number 3"], "gold": ["negative", "positive"]}), other)
    assert take(path, other) == ["votes of a 1, 1 labels match no text of the table, 1 of them new"]
    write_table(pd.DataFrame({"id": ["t7", "x"], "gold": ["negative", "positive"]}), other)
    take(path, f"bob={other}")
    assert votes_of(path, "bob") == {7: "negative"}
    write_table(pd.DataFrame({"text": ["nowhere"], "gold": ["negative"]}), other)
    with pytest.raises(InputError, match=r"none of its 1 labelled rows matches .*'text', see --text-column"):
        take(path, other)


def test_names_of_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.csv").touch()
    assert named_file("ann=x.csv")[0] == "ann" and str(named_file("ann=x/y.csv")[1]) == "x/y.csv"
    assert named_file("a=b.csv")[0] is None and named_file("dir/a=c.csv")[0] is None
    with pytest.raises(InputError, match="'a b' is no name of a person"):
        named_file("a b=x.csv")
