"""`silr label --until-width`: it stops, stays stopped, and stops no label from being saved."""

import json

import numpy as np
import pytest
from labelling import Fixed, label_commands, make_table

from silr.estimates.estimate import estimate
from silr.estimates.ongoing import OngoingShares
from silr.label.gold_table import GoldTable
from silr.label.journal import journal_path
from silr.label.precision import FIRST_LOOK
from silr.label.session import Session

N = 400
POSTERIOR = np.random.default_rng(1).dirichlet([0.1, 0.1], N)


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv", N)


def session(path, until=0.2, most=N, posterior=None, **options):
    table = GoldTable(path, rounds=posterior is not None)
    return Session(table, most, posterior=posterior and Fixed(posterior[0]), until=until, **options)


def label(session, n=N):
    """As the LLM does, until all that were asked for are there."""
    while session.done < min(n, session.target):
        session.label(session.current, int(session.table.codes[session.current]))


def test_it_stops_when_the_width_is_reached(path):
    one = session(path)
    label(one, 9)
    assert one.state()["width"] is None and one.state()["planned"] == FIRST_LOOK
    label(one, 20)
    state = one.state()
    assert 0 < state["width"] < 1 and state["until_width"] == 0.2 and not state["reached"]
    assert state["planned"] == state["done"] + state["more"] >= FIRST_LOOK
    label(one)
    state = one.state()
    assert state["done"] == state["target"] == state["planned"] == FIRST_LOOK and state["reached"]
    assert state["width"] <= 0.2 and state["more"] == 0
    one.close()
    result = one.result()
    assert result["reached"] and result["more_labels"] == 0 and result["width"] == state["width"]
    again = session(path)
    assert not again.wants(N) and again.state()["reached"]
    again.close()


def test_what_is_said_is_what_silr_estimate_says(path):
    one = session(path, until=0.01)
    for number in range(60):
        one.label(one.current, int(one.table.codes[one.current]) if number % 4 else 0)
    one.close()
    result, shares = one.result(), {row.class_name: row for row in estimate(path).shares}
    for name, numbers in result["shares"].items():
        assert numbers == pytest.approx([shares[name].value, shares[name].low, shares[name].high])
    assert result["width"] == pytest.approx(max(row.width for row in shares.values()))
    assert result["more_labels"] == estimate(path).more_labels(0.01)


def test_the_next_look_is_at_as_many_as_the_last_one_said(path):
    one = session(path, until=0.2)
    narrow = []
    while one.state()["target"] > one.done:
        one.label(one.current, int(one.table.codes[one.current]) if one.done % 5 else 0)
        state = one.state()
        narrow.append(state["width"] is not None and state["width"] <= 0.2)
        if state["done"] == FIRST_LOOK:
            assert not narrow[-1]
            look = state["planned"]
    assert look >= FIRST_LOOK + 10 and one.done >= look and narrow[-1]
    one.close()


def test_a_width_that_was_reached_with_a_posterior_is_remembered_without_one(path):
    one = session(path, until=0.3, posterior=[POSTERIOR])
    label(one)
    reached = one.done
    assert one.state()["reached"] and one.target == reached < N
    one.close()
    events = [json.loads(line) for line in journal_path(path).read_text().splitlines()]
    assert [event["gold"] for event in events if event.get("do") == "reached"] == [reached]
    again = session(path, until=0.3, posterior=[None])
    assert again.state()["reached"] and not again.wants(N)
    again.close()
    narrower = session(path, until=0.0001, posterior=[None])
    assert not narrower.state()["reached"] and narrower.wants(N)
    narrower.close()


def test_undo_opens_it_again_and_more_goes_on(path):
    one = session(path)
    label(one)
    one.undo()
    assert not one.state()["reached"] and one.target == N and one.current is not None
    label(one)
    assert one.state()["reached"] and one.done == FIRST_LOOK
    one.more()
    label(one)
    assert one.done == one.target == FIRST_LOOK + 20
    one.close()


def test_n_is_the_most(path):
    one = session(path, until=0.001, most=30)
    label(one)
    assert one.done == 30 and not one.state()["reached"] and one.result()["more_labels"] > 0
    one.close()
    wide = session(path, until=0.9, most=30)
    assert wide.state()["reached"]  # a number that was chosen beforehand is looked at, too
    wide.close()


@pytest.mark.parametrize("until", [None, 0.2])
def test_no_failure_stops_a_label(path, until, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(OngoingShares, "rows", fail)
    one = session(path, until=until, most=60)
    label(one)
    assert one.done == 60 and one.state()["width"] is None and one.state()["half_width"] is not None
    one.close()
    assert estimate(path).gold == 60


@pytest.mark.slow
def test_the_command(path):
    run = label_commands()
    for width in ("0", "1.5", "wide"):
        done = run("label", path, "--until-width", width, "--no-browser")
        assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1 and "--until-width" in done.err
    one = session(path, posterior=[None])
    label(one)
    one.close()
    done = run("label", path, "--until-width", "0.2", "--no-browser")
    assert done.code == 0 and "the wanted width, 20 points, is reached with 50 gold labels" in done.out
    asked = run("label", path, "-n", "0", "--no-browser").out
    # 50 gold labels without an error do not show that the LLM has none
    assert "points wide (negative, " in asked and "--until-width 0.05" in asked
