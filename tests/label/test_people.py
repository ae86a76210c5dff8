"""Several people label one table: their votes, the order of their texts, the gold labels and the weights."""

import json

import numpy as np
import pytest
from labelling import Fixed, draws_of, gold_of, make_table, weights_of

from silr.errors import InputError
from silr.io.corpus import read_table, write_table
from silr.label.gold_table import GoldTable
from silr.label.journal import journal_path
from silr.label.people import People
from silr.label.session import Session
from silr.stats.dawid_skene import dawid_skene


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv")


def session(path, person, target=20, rounds=False, output=None, **options):
    table = GoldTable(path, output, rounds=rounds)
    posterior = Fixed(np.random.default_rng(1).dirichlet([0.5, 0.5], len(table.texts))) if rounds else None
    return Session(table, target, posterior=posterior, person=person, **options)


def label_up_to(path, person, n, which=0, **options):
    """Label until a person has n labels: all with one class, or as the LLM does (None); return the rows in order."""
    work, rows = session(path, person, n, **options), []
    while work.done < n:
        rows.append(work.current)
        work.label(rows[-1], int(work.table.codes[rows[-1]]) if which is None else which)
    work.close()
    return rows


def abandon(work):
    """As a killed process leaves it."""
    work._journal._held.close()


def votes_of(path, person):
    return {row: vote for row, vote in enumerate(read_table(path)[f"vote_{person}"]) if vote}


@pytest.mark.parametrize("rounds", [False, True])
def test_one_person_draws_and_weighs_as_nobody_does(path, tmp_path, rounds):
    other = make_table(tmp_path / "other.csv")
    rows = label_up_to(path, "ann", 24, None, rounds=rounds)
    assert label_up_to(other, None, 24, None, rounds=rounds) == rows
    frame, before = read_table(path), read_table(other)
    assert frame[list(before)].equals(before) and set(frame) - set(before) == {"vote_ann"}
    assert votes_of(path, "ann") == gold_of(path)


@pytest.mark.parametrize("rounds", [False, True])
def test_a_second_person_gets_the_texts_of_the_first_as_they_were_drawn(path, rounds):
    first = label_up_to(path, "ann", 24, None, rounds=rounds)
    weights = weights_of(path)
    assert label_up_to(path, "bob", 22, None, rounds=rounds) == first[:22]
    assert weights_of(path) == weights and (rounds or sum(weights) == pytest.approx(200))
    rows = label_up_to(path, "bob", 28, None, rounds=rounds)
    assert rows[:2] == first[22:] and not set(rows[2:]) & set(first)
    assert set(gold_of(path)) == {*first, *rows} == set(votes_of(path, "bob"))
    if rounds:  # twenty by strata, and one sequence of adaptive draws
        assert sorted(number for _, number, _ in draws_of(path).values()) == [0] * 20 + list(range(1, 9))
    alone = make_table(path.with_name("alone.csv"))
    assert label_up_to(alone, None, 24, None, rounds=rounds) + label_up_to(alone, None, 28, None, rounds=rounds) == [
        *first,
        *rows[2:],
    ]
    assert weights_of(path) == weights_of(alone)


def test_nothing_shows_the_votes_of_others(path):
    rows = label_up_to(path, "ann", 14, 0)
    pages = []
    for vote in ("negative", "positive"):
        frame = read_table(path)
        frame.loc[rows, ["vote_ann", "gold"]] = vote
        write_table(frame, path)
        work = session(path, "bob")
        states = [work.state()]
        for _ in range(12):
            work.label(work.current, 0)
            states.append(work.state() | {"seconds_left": None})
        abandon(work)
        journal_path(path).unlink()
        assert (states[0]["done"], states[0]["person"], states[0]["can_undo"]) == (0, "bob", False)
        assert states[-1]["half_width"] is not None
        pages.append(states)
    assert pages[0] == pages[1]


def test_a_tie_has_no_gold_and_is_no_other_draw(path):
    rows = label_up_to(path, "ann", 24, 0, rounds=True)
    label_up_to(path, "bob", 22, 1, rounds=True)
    assert set(gold_of(path)) == set(rows[22:])
    frame = read_table(path)
    assert [frame["gold_draw"].iloc[row] for row in rows] == ["0"] * 20 + ["1", "2", "3", "4"]
    assert all(frame["gold_weight"].iloc[row] == "" for row in rows[:22])
    label_up_to(path, "cy", 21, 1, rounds=True)
    assert gold_of(path) == dict.fromkeys(rows[:21], "positive") | dict.fromkeys(rows[22:], "negative")
    history = GoldTable(path, rounds=True).history
    assert sorted(draw.number for draw in history.adaptive.values()) == [1, 2, 3, 4]
    assert not history.undrawn | history.unjudging
    weights = weights_of(path)
    label_up_to(path, "dan", 22, None, rounds=True)
    work = session(path, "eve", rounds=True)
    for row in rows[:22]:  # decided at last: each text has the weight of its draw
        work.people.adjudicated[row] = 1
    work.label(rows[0], 0)
    work.close()
    assert len(weights) == 23 and len(weights_of(path)) == 24
    alone = make_table(path.with_name("alone.csv"))
    label_up_to(alone, None, 24, 0, rounds=True)
    assert weights_of(path) == weights_of(alone)


def test_what_is_adjudicated_wins_and_votes_stay(path):
    rows = label_up_to(path, "ann", 10, 0)
    label_up_to(path, "bob", 10, 1)
    work = session(path, "cy")
    frame = read_table(path)  # as somebody decides meanwhile, on another page
    frame["adjudicated"] = None
    frame.loc[rows[:3], "adjudicated"] = "positive"
    frame.loc[rows[:3], "gold"] = "positive"
    write_table(frame, path)
    for _ in range(5):
        work.label(work.current, 0)
    work.close()
    expected = dict.fromkeys(rows[:3], "positive") | dict.fromkeys(rows[3:5], "negative")
    assert gold_of(path) == expected
    session(path, None).close()
    assert gold_of(path) == expected
    assert votes_of(path, "ann") == dict.fromkeys(rows, "negative")
    assert votes_of(path, "cy") == dict.fromkeys(rows[:5], "negative")


def test_gold_of_nobody_becomes_votes(path):
    rows = label_up_to(path, None, 12)
    work = session(path, "ann")
    assert work.renamed == 12 and work.current == rows[0]
    work.label(rows[0], 1)
    work.close()
    assert votes_of(path, "unnamed") == dict.fromkeys(rows, "negative") and votes_of(path, "ann") == {
        rows[0]: "positive"
    }
    assert set(gold_of(path)) == set(rows[1:])


def test_the_journal_keeps_who_and_when(path):
    rows = label_up_to(path, "ann", 3)
    label_up_to(path, "bob", 2)
    lines = [json.loads(line) for line in journal_path(path).read_text().splitlines()[1:]]
    assert [(line["do"], line["row"], line["by"]) for line in lines] == [
        *(("labelled", row, "ann") for row in rows),
        *(("labelled", row, "bob") for row in rows[:2]),
    ]
    assert all(line["at"].endswith("+00:00") for line in lines)
    work = session(path, "ann", 4)
    assert not work.recovered and not work.turn
    work.close()


def test_undo_skip_and_a_kill(path):
    rows = label_up_to(path, "ann", 10)
    work = session(path, "bob")
    work.label(rows[0], 1)
    work.skip(rows[1])
    work.label(rows[2], 1)
    work.undo()
    assert work.current == rows[2] and set(work.gold) == set(rows[1:])
    abandon(work)
    again = session(path, "cy")  # somebody else: what was not saved is bob's
    assert again.recovered == 4 and not again.done and not again.state()["can_undo"] and again.current == rows[0]
    again.close()
    assert votes_of(path, "bob") == {rows[0]: "positive"} and "vote_cy" not in read_table(path)
    back = session(path, "bob")
    assert back.current == rows[2] and back.skipped == {rows[1]}
    back.close()
    assert set(gold_of(path)) == set(rows[1:])  # a skip takes nobody's vote away
    last = session(path, "cy")
    assert last.current == rows[0] and not last.skipped
    last.close()


def test_what_one_person_skips_is_drawn_for_nobody(path):
    work = session(path, "ann")
    row = work.current
    work.skip(row)
    work.close()
    other = session(path, "bob")
    assert other.current != row
    other.close()


def test_into_another_file(path, tmp_path):
    output = tmp_path / "labels.csv"
    rows = label_up_to(path, "ann", 8, output=output)
    assert label_up_to(path, "bob", 8, 1, output=output) == rows and gold_of(output) == {}
    assert votes_of(output, "ann") == dict.fromkeys(rows, "negative") and "vote_ann" not in read_table(path)


def test_two_at_once(path):
    one = session(path, "ann")
    with pytest.raises(InputError, match="another silr label is at work"):
        session(path, "bob")
    stale = GoldTable(path)
    one.label(one.current, 0)
    one.close()
    with pytest.raises(InputError, match="has changed while it was read: run the command again"):
        Session(stale, 20, person="bob")
    assert len(votes_of(path, "ann")) == 1


def test_names(path):
    label_up_to(path, "ann", 1)
    with pytest.raises(InputError, match="'Ann' differs from 'ann' in case only"):
        session(path, "Ann")
    with pytest.raises(InputError, match="is no name of a person"):
        session(path, "ann smith")


@pytest.mark.slow
def test_dawid_skene(path):
    """Two persons who guess do not outvote two who are nearly always right."""
    pytest.importorskip("crowdkit")
    rng, truth = np.random.default_rng(0), np.random.default_rng(1).integers(0, 2, 200)
    frame = read_table(path)
    for name, right in {"ann": 0.97, "bob": 0.95, "cy": 0.55, "dan": 0.55}.items():
        codes = np.where(rng.random(200) < right, truth, 1 - truth)
        frame[f"vote_{name}"] = np.array(["negative", "positive"])[codes]
    write_table(frame, path)
    by_rule = {}
    for rule in ("majority", "dawid-skene"):
        session(path, None, rule=rule).close()
        gold = gold_of(path)
        by_rule[rule] = np.mean([gold.get(row) == ("negative", "positive")[k] for row, k in enumerate(truth)])
    assert by_rule["dawid-skene"] > 0.92 > by_rule["majority"] + 0.1
    assert dawid_skene(np.array([[0, 1], [1, 0], [-1, -1]]), 3).tolist() == [-1, -1, -1]


def test_dawid_skene_without_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "crowdkit.aggregation", None)
    with pytest.raises(InputError, match=r"Dawid-Skene needs crowdkit.*'silr\[votes\]', or take --gold-from majority"):
        People({"ann": {0: 1}, "bob": {0: 0}}).gold(2, "dawid-skene")
