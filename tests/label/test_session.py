"""Label, undo, skip, save, and go on after anything."""

import json

import pytest
from labelling import gold_of, make_table, weights_of

from silr.errors import InputError
from silr.io.corpus import read_table, write_table
from silr.label.gold_table import GoldTable
from silr.label.journal import journal_path
from silr.label.session import Session


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv")


def session(path, target=20, **options):
    return Session(GoldTable(path, options.pop("output", None), options.pop("classes", None)), target, **options)


def abandon(session):
    """As a killed process leaves it: nothing written, no lock held."""
    session._journal._held.close()


def label(session, n, which=0):
    rows = []
    for _ in range(n):
        rows.append(session.current)
        session.label(session.current, which)
    return rows


def test_label_save_and_go_on(path):
    before = read_table(path)
    one = session(path)
    rows = label(one, 12)
    assert "gold" not in read_table(path)  # a big table is not written at every label
    one.close()
    assert gold_of(path) == dict.fromkeys(rows, "negative")
    assert sum(weights_of(path)) == pytest.approx(200)
    assert read_table(path)[list(before)].equals(before)
    assert not journal_path(path).exists()
    two = session(path)
    assert len(two.gold) == 12 and two.current not in rows
    more = label(two, 8, 1)
    assert two.state()["done"] == 20
    two.close()
    assert gold_of(path) == dict.fromkeys(rows, "negative") | dict.fromkeys(more, "positive")
    whole = session(path.with_name("t.csv"))
    assert whole.state()["done"] == 20


def test_two_halves_ask_what_one_whole_asks(path, tmp_path):
    whole = session(make_table(tmp_path / "w.csv"), seed=3)
    rows = label(whole, 20)
    whole.close()
    first = session(path, seed=3)
    half = label(first, 9)
    first.close()
    assert half + label(session(path, seed=3), 11) == rows


def test_what_a_killed_process_labelled_is_there(path):
    one = session(path)
    rows = label(one, 3, 1)
    one.skip(one.current)
    one.undo()
    one.undo()
    one.label(rows[2], 0)
    skipped = one.current
    one.skip(skipped)
    expected, current = dict(one.gold), one.current
    abandon(one)
    with journal_path(path).open("ab") as file:
        file.write(b'{"do": "label", "row": 1')  # the power went
    two = session(path)
    assert (two.gold, two.skipped, two.current, two.recovered) == (expected, {skipped}, current, 8)
    two.undo()
    assert two.current == skipped
    two.undo()
    assert two.current == rows[2]
    two.close()
    assert gold_of(path) == {rows[0]: "positive", rows[1]: "positive"}


def test_skips_outlive_the_session(path):
    one = session(path)
    label(one, 2)
    skipped = one.current
    one.skip(skipped)
    one.close()
    two = session(path)
    assert two.skipped == {skipped} and two.current != skipped
    assert two.recovered == 0  # nothing was cut off
    two.undo()
    assert two.current == skipped
    two.close()
    assert not journal_path(path).exists()


@pytest.mark.parametrize("saved", [True, False])
def test_undo_of_what_is_saved(path, saved):
    """Also when a skip is older than the label: the journal has only the skip by then."""
    one = session(path)
    skipped = one.current
    one.skip(skipped)
    row = one.current
    label(one, 1)
    if saved:
        one.save()
    one.undo()
    assert one.current == row
    abandon(one)
    two = session(path)
    assert two.gold == {} and two.skipped == {skipped} and two.current == row
    two.close()
    assert gold_of(path) == {}


def test_gold_that_is_there_is_kept_counted_and_not_asked_again(tmp_path):
    gold = [None] * 200
    gold[3], gold[50] = "positive", "negative"
    path = make_table(tmp_path / "t.csv", gold=gold)
    one = session(path)
    assert one.state()["done"] == 2 and not one.state()["can_undo"]
    rows = label(one, 18)
    assert not {3, 50} & set(rows)
    one.close()
    assert gold_of(path)[3] == "positive" and len(gold_of(path)) == 20 and sum(weights_of(path)) == pytest.approx(200)


def test_another_output(path, tmp_path):
    content = path.read_bytes()
    out = tmp_path / "gold.jsonl"
    one = session(path, output=out)
    rows = label(one, 4)
    one.close()
    assert path.read_bytes() == content and len(read_table(out)) == 200
    two = session(path, output=out)
    assert set(two.gold) == set(rows)
    two.close()
    other = make_table(tmp_path / "other.csv", 100)
    with pytest.raises(InputError, match="holds other texts"):
        session(other, output=out)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl", "t.parquet", "t.tsv"])
def test_every_kind_of_table(tmp_path, name):
    path = make_table(tmp_path / name)
    one = session(path)
    rows = label(one, 12)
    one.close()
    two = session(path)
    assert two.gold == dict.fromkeys(rows, 0)
    two.close()
    assert read_table(path)["gold_weight"].notna().sum() in (12, 200)


def test_columns_that_another_program_added_meanwhile_stay(path):
    one = session(path)
    label(one, 3)
    frame = read_table(path)
    frame["note"] = "new"
    write_table(frame, path)
    one.close()
    assert set(read_table(path)["note"]) == {"new"} and len(gold_of(path)) == 3


def test_a_table_that_was_exchanged_loses_nothing(path, tmp_path):
    one = session(path)
    rows = label(one, 3)
    content = path.read_bytes()
    make_table(path, 30)
    with pytest.raises(InputError, match="holds other texts"):
        one.close()
    with pytest.raises(
        InputError, match=r"holds \d+ labels? of other texts, or of these in another order: bring that table back"
    ):
        session(path)
    path.write_bytes(content)
    assert set(session(path).gold) == set(rows)


def test_one_process_at_a_time(path):
    one = session(path)
    with pytest.raises(InputError, match="another silr label is at work"):
        session(path)
    one.close()
    session(path).close()


def test_a_journal_that_is_none(path):
    for content in (b"hello\n", b"[]\n"):
        journal_path(path).write_bytes(content)
        with pytest.raises(InputError, match="line 1: not a journal"):
            session(path)
        assert journal_path(path).read_bytes() == content


def test_a_journal_of_other_classes(path):
    one = session(path, classes=["negative", "positive", "neutral"])
    label(one, 1, 2)
    abandon(one)
    with pytest.raises(InputError, match="were its classes changed"):
        session(path)


def test_only_the_current_text_can_be_labelled(path):
    one = session(path)
    for act in (
        lambda: one.label(one.current + 1, 0),
        lambda: one.skip(-1),
        lambda: one.label(one.current, 2),
        one.undo,
    ):
        with pytest.raises(InputError):
            act()
    assert one.gold == {} and not one.skipped


def test_all_are_labelled_or_skipped(tmp_path):
    one = session(make_table(tmp_path / "t.csv", 12), 100)
    while one.current is not None:
        one.skip(one.current) if one.current % 3 == 0 else one.label(one.current, 0)
    assert len(one.gold) + len(one.skipped) == 12 and one.state()["text"] is None
    one.close()


def test_the_state_tells_how_good_an_estimate_there_is_and_never_what_the_llm_said(path):
    one = session(path, 100)
    widths = []
    while len(one.gold) < 100:
        state = one.state()
        assert not {"llm_label", "llm_accuracy"} & set(state)
        if state["half_width"] is not None:
            widths.append(state["half_width"])
        truth = one.table.codes[one.current] if len(one.gold) % 5 else 0
        one.label(one.current, int(truth))
    assert len(widths) == 90 and widths[0] > 0.1 > widths[-1]
    state = one.state()
    assert state["half_width_at_target"] is None and state["seconds_left"] is None
    result = one.result()
    low, high = result["llm_accuracy_interval"]
    assert result["gold"] == 100 and (high - low) / 2 == pytest.approx(state["half_width"], abs=1e-4)
    one.more()
    assert one.target == 120 and one.state()["half_width_at_target"] < state["half_width"]


def test_the_llm_label_if_asked(path):
    one = session(path, show_llm_label=True)
    assert one.state()["llm_label"] == read_table(path)["llm_label"][one.current]


def test_every_action_is_on_the_disk_when_it_returns(path):
    one = session(path)
    rows = label(one, 2)
    lines = [json.loads(line) for line in journal_path(path).read_text().splitlines()]
    assert [line.get("row") for line in lines] == [None, *rows]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_in_the_middle_of_an_action_loses_nothing(path, monkeypatch, moment):
    one = session(path)
    rows = label(one, 1)
    rows.append(one.current)
    append = one._journal.append

    def interrupted(event):
        if moment == "after":
            append(event)
        raise KeyboardInterrupt

    monkeypatch.setattr(one._journal, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.label(one.current, 1)
    one.close()
    assert gold_of(path) == dict(zip(rows, ("negative", "positive"), strict=True))
