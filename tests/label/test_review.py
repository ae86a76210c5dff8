"""Texts in doubt: what is listed, decisions that no kill loses, and the columns that they become."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelling import Fixed, gold_of, make_table, weights_of

from silr.errors import InputError
from silr.io.corpus import read_table, write_table
from silr.io.reviews import read_decisions, reviews_path
from silr.label.doubts import disputed_texts, votes_of
from silr.label.gold_table import GoldTable
from silr.label.review import Doubt, Review
from silr.label.review_columns import ReviewColumns
from silr.label.session import Session

N = 40
VOTES = {  # rows 0 to 5: agreement, 2 to 1, a tie, three classes apart would need three; one vote; none
    "ann": ["positive", "positive", "positive", "negative", None],
    "ben": ["positive", "negative", "negative", None, None],
    "cleo": ["positive", "positive", None, None, None],
}


@pytest.fixture
def path(tmp_path):
    """A tie in row 2 and 2 to 1 in row 1; the majority of the others is gold."""
    votes = {f"vote_{name}": [*labels, *[None] * (N - len(labels))] for name, labels in VOTES.items()}
    gold = ["positive", "positive", None, "negative", *[None] * (N - 4)]
    return make_table(
        tmp_path / "t.csv", N, gold=gold, gold_weight=[10.0, 10.0, None, 20.0, *[None] * (N - 4)], **votes
    )


def start(path, person=None, output=None):
    table = GoldTable(path, output, rounds=True)
    columns = ReviewColumns(table, "text", adjudicated=True)
    return Review(table, columns, disputed_texts(table, columns), "adjudicate", person)


def abandon(review):
    """As a killed process leaves it: nothing written, no lock held."""
    review._held.close()


def events(path):
    return [json.loads(line) for line in reviews_path(path).read_text().splitlines()[1:]]


def adjudicated(path):
    column = read_table(path).get("adjudicated", [])
    return {row: label for row, label in enumerate(column) if label}


def test_the_most_disputed_text_is_first_with_all_votes(path):
    review = start(path)
    state = review.state()
    assert (state["row"], state["text"], state["target"], state["present"]) == (2, "text number 2", 2, None)
    assert state["said"] == [{"name": "negative", "who": ["ben"]}, {"name": "positive", "who": ["ann"]}]
    review.skip(2)
    state = review.state()
    assert state["row"] == 1 and state["present"] == 1
    assert state["said"] == [{"name": "negative", "who": ["ben"]}, {"name": "positive", "who": ["ann", "cleo"]}]
    review.close()
    assert not reviews_path(path).exists()  # nothing was decided


def test_a_decision_becomes_two_columns_and_the_votes_stay(path):
    before = read_table(path)
    review = start(path, person="dora")
    review.label(2, 0)
    assert adjudicated(path) == {}  # a big table is not written at every decision
    review.label(1, 1)
    assert adjudicated(path) == {1: "positive", 2: "negative"}  # it is when all are decided
    assert review.result() | {"output": ""} == {
        "output": "",
        "mode": "adjudicate",
        "decided": 2,
        "kept": 1,
        "changed": 0,
        "new": 1,
        "target": 2,
        "left": 0,
        "recovered": 0,
        "classes": {"negative": 1, "positive": 1},
    }
    review.close()
    assert gold_of(path) == {0: "positive", 1: "positive", 2: "negative", 3: "negative"}
    assert sum(weights_of(path)) == pytest.approx(N) and len(weights_of(path)) == 4
    kept = [name for name in before if name not in ("gold", "gold_weight")]
    assert read_table(path)[kept].equals(before[kept])
    assert [(each["do"], each.get("as"), each.get("was")) for each in events(path)] == [
        ("label", "dora", [None, None]),
        ("label", "dora", ["positive", None]),
        ("saved", None, None),
    ]
    again = start(path)
    assert again.current is None and again.target == 0
    again.close()


def test_a_kill_loses_nothing_and_undo_gives_back_what_was_there(path):
    review = start(path)
    review.label(2, 1)
    review.undo()
    assert review.current == 2
    review.label(2, 0)
    abandon(review)
    assert adjudicated(path) == {}
    review = start(path)
    assert review.recovered == 1 and review.current == 1 and review.target == 1
    review.save()
    assert adjudicated(path) == {2: "negative"} and gold_of(path)[2] == "negative"
    review.label(1, 0)
    assert gold_of(path)[1] == "negative"
    review.undo()
    abandon(review)
    review = start(path)
    review.close()
    assert gold_of(path)[1] == "positive" and adjudicated(path) == {2: "negative"}
    with pytest.raises(InputError, match="nothing to undo"):
        start(path).undo()


def test_the_table_keeps_what_others_wrote_meanwhile(path):
    review = start(path)
    frame = read_table(path)
    frame["note"] = "mine"
    write_table(frame, path)
    review.label(2, 0)
    review.close()
    assert set(read_table(path)["note"]) == {"mine"} and adjudicated(path) == {2: "negative"}


def test_another_output_is_taken_up(path, tmp_path):
    other = tmp_path / "other.csv"
    review = start(path, output=other)
    review.label(2, 0)
    review.close()
    assert adjudicated(path) == {} and adjudicated(other) == {2: "negative"}
    review = start(path, output=other)
    assert review.current == 1
    review.close()


def test_wrong_rows_and_classes_are_refused(path):
    review = start(path)
    for row, label in ((1, 0), (2, 2), (2, -1)):
        with pytest.raises(InputError):
            review.label(row, label)
    with pytest.raises(InputError):
        review.skip(0)
    with pytest.raises(InputError):
        review.more()
    assert review.state()["turn"] == 0
    review.close()


def test_without_votes_or_with_one_person(tmp_path):
    for votes, said in (({}, "no votes of several people"), ({"vote_ann": ["positive"] * N}, "one person, ann, alone")):
        table = GoldTable(make_table(tmp_path / "t.csv", N, **votes), rounds=True)
        with pytest.raises(InputError, match=said):
            disputed_texts(table, ReviewColumns(table, "text", adjudicated=True))


def test_a_change_on_a_table_of_one_person_is_gold_alone(tmp_path):
    path = make_table(tmp_path / "t.csv", N, gold=["positive"] * 12 + [None] * (N - 12))
    table = GoldTable(path, rounds=True)
    columns = ReviewColumns(table, "text", adjudicated=votes_of(table, ReviewColumns(table, "text", True)) is not None)
    review = Review(table, columns, [Doubt(3, {1: ["the gold label"]}, 1), Doubt(5, {}, 1)], "again")
    review.label(3, 0)
    review.label(5, 1)
    review.close()
    assert gold_of(path) == dict.fromkeys(range(12), "positive") | {3: "negative"}
    assert "adjudicated" not in read_table(path) and "gold_weight" not in read_table(path)
    moved = [f"text number {row}" for row in reversed(range(N))]  # the memory goes with the texts
    assert read_decisions([path], moved) == {N - 4: "negative", N - 6: "positive"}
    reviews_path(path).open("a").write("{broken\n")
    assert len(read_decisions([path], table.texts)) == 2


def test_decisions_about_texts_that_are_gone_are_said(path):
    review = start(path)
    review.label(2, 0)
    abandon(review)
    write_table(read_table(path).assign(text=[f"other {row}" for row in range(N)]), path)
    with pytest.raises(InputError, match="does not fit the table"):
        start(path)


def test_llm_label_is_shown_on_demand(path):
    table = GoldTable(path, rounds=True)
    doubts = disputed_texts(table, ReviewColumns(table, "text", True), llm=True)
    assert "the LLM" in np.concatenate([who for doubt in doubts for who in doubt.said.values()])


def test_a_tie_that_is_decided_gets_the_weight_of_its_draw(tmp_path):
    """Two persons label 24 texts, the last ones drawn in rounds, and disagree on two; others are weighted anew."""
    path = make_table(tmp_path / "t.csv", 120)
    for person, turned in (("ann", ()), ("ben", (2, 22))):
        posterior = Fixed(np.random.default_rng(1).dirichlet([0.5, 0.5], 120))
        session = Session(GoldTable(path, rounds=True), 24, posterior=posterior, person=person)
        for number in range(24):
            said = int(session.table.codes[session.current])
            session.label(session.current, 1 - said if number in turned else said)
        session.close()
    before = read_table(path)
    assert sorted(start(path)._by_row) == [row for row in range(120) if before.gold_draw[row] and not before.gold[row]]
    review = start(path)
    for _ in range(2):
        review.label(review.current, 1)
    review.close()
    table = GoldTable(path, rounds=True)
    frame = read_table(path)
    assert len(table.gold) == 24 and len(adjudicated(path)) == 2
    assert list(frame.gold_draw) == list(before.gold_draw)
    expected = table.history.weights(table.strata, table.gold)
    assert {row: float(frame.gold_weight[row]) for row in expected} == pytest.approx(expected)
    assert sum(expected.values()) == pytest.approx(120, rel=0.5)


def test_labels_come_before_reviews(path):
    """Both write the gold labels: one at a time, and none that waits in the other's journal is passed over."""
    session = Session(GoldTable(path, rounds=True), 20, person="eve")
    with pytest.raises(InputError, match="is at work"):
        start(path)
    session.label(session.current, 0)
    session._journal._held.close()  # killed
    with pytest.raises(InputError, match="not in the table yet: `silr label"):
        start(path)
    Session(GoldTable(path, rounds=True), 0, person="eve").close()
    review = start(path)
    assert review.target == 2
    review.close()
