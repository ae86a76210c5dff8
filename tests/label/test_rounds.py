"""A session that draws in rounds: what is journalled, what survives, and what earlier gold labels are worth."""

import json
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
from labelling import Fixed, Labelling, draws_of, make_table

from silr.errors import InputError
from silr.io.corpus import read_table, write_table
from silr.label.adaptive_draw import draw_probabilities
from silr.label.gold_table import GoldTable
from silr.label.journal import journal_path
from silr.label.posterior import BackgroundPosterior
from silr.label.session import Session

N = 200


POSTERIOR = np.random.default_rng(1).dirichlet([0.5, 0.5], N)


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv", N)


def session(path, target=40, latest=POSTERIOR, output=None, **options):
    return Session(GoldTable(path, output, rounds=True), target, posterior=Fixed(latest), **options)


def abandon(session):
    """As a killed process leaves it."""
    session._journal._held.close()


def label(session, n, which=None):
    rows = []
    for _ in range(n):
        rows.append(session.current)
        session.label(rows[-1], int(session.table.codes[rows[-1]]) if which is None else which)
    return rows


def lines(path):
    return [json.loads(line) for line in journal_path(path).read_text().splitlines()][1:]


def test_half_by_strata_then_with_the_probability_that_the_journal_tells(path):
    one = session(path)
    rows = label(one, 20)
    by_strata = Session(GoldTable(make_table(path.with_name("s.csv"), N)), 40)
    assert rows == label(by_strata, 20)
    assert [line.get("draw") for line in lines(path)] == [None] * 20 + [1]  # drawn, and on the disk before it is seen
    free = np.setdiff1d(np.arange(N), rows)
    event = lines(path)[-1]
    assert event == {"do": "draw", "row": one.current, "draw": 1, "probability": event["probability"]}
    assert event["probability"] == pytest.approx(draw_probabilities(POSTERIOR[free])[free == one.current][0])
    adaptive = label(one, 20)
    one.close()
    found = draws_of(path)
    assert set(found) == {*rows, *adaptive} and not journal_path(path).exists()
    assert [found[row][1] for row in rows] == [0] * 20 and [found[row][1] for row in adaptive] == list(range(1, 21))
    assert all(np.isnan(found[row][2]) for row in rows) and all(0 < found[row][2] < 1 for row in adaptive)
    assert one.result()["drawn_by_posterior"] == 20 and one.result()["draw"] == "rounds"


def test_the_seed_decides(path):
    draws = [label(session(make_table(path.with_name(f"{k}.csv"), N), seed=s), 40) for k, s in enumerate((0, 0, 1))]
    assert draws[0] == draws[1] != draws[2]


def test_texts_are_drawn_by_strata_until_there_is_a_posterior(path):
    one = session(path, latest=None)
    rows = label(one, 30)
    assert not one._history.adaptive
    one._posterior.latest = POSTERIOR
    more = label(one, 3)
    assert [one._history.adaptive[row].number for row in more[1:]] == [1, 2]  # the first was shown before
    assert rows == label(Session(GoldTable(make_table(path.with_name("s.csv"), N)), 40), 30)


def test_half_and_half_is_what_one_whole_session_is(path):
    """Same texts, same weights, and a killed process loses nothing: nor the text that was on the page."""
    whole = session(make_table(path.with_name("w.csv"), N))
    rows = label(whole, 40)
    whole.close()
    one = session(path)
    label(one, 25)
    shown = one.current
    abandon(one)
    two = session(path, latest=None)  # no posterior yet: the text is still the one that was shown
    assert two.current == shown and two.recovered == 25
    two._posterior.latest = POSTERIOR
    label(two, 5)
    shown = two.current
    two.close()  # into the table, with column and journal
    assert lines(path) == [two._event("draw", shown)]
    three = session(path)
    assert three.current == shown and three.recovered == 0
    label(three, 10)
    three.close()
    assert list(draws_of(path)) == sorted(rows)
    for row, (weight, draw, probability) in draws_of(path.with_name("w.csv")).items():
        assert draws_of(path)[row] == pytest.approx((weight, draw, probability), nan_ok=True)


def test_undo_asks_about_the_same_text_again_whatever_the_posterior_says_by_then(path):
    one = session(path)
    label(one, 20)
    rows = label(one, 3)
    pending = one.current
    draws = dict(one._history.adaptive)
    one._posterior.latest = POSTERIOR[::-1]
    for row in reversed(rows):
        one.undo()
        assert one.current == row
    one.undo()  # the last one by strata
    assert len(one.gold) == 19
    abandon(one)
    two = session(path, latest=POSTERIOR[::-1])
    assert label(two, 1) and label(two, 3) == rows and two.current == pending
    assert two._history.adaptive == draws
    two.undo()
    two.close()
    assert [line["row"] for line in lines(path)] == [pending, rows[2]]
    three = session(path)
    assert label(three, 2) == [rows[2], pending]


def test_a_skipped_text_is_a_draw_that_counts_nothing(path):
    one = session(path)
    label(one, 20)
    label(one, 2)
    skipped = one.current
    one.skip(skipped)
    row = one.current
    label(one, 1)
    assert [one._history.adaptive[each].number for each in (skipped, row)] == [3, 4]
    one.close()
    weight, draw, probability = draws_of(path)[row]
    assert draw == 4 and weight == pytest.approx((20 / 24) * 0 + (4 / 24) * 180 / 4 * 176 / (176 * 177) / probability)
    two = session(path)
    assert two.skipped == {skipped}
    assert two._history.adaptive[skipped].number == 3
    two.undo()
    assert two.current == skipped and two._event("draw", skipped)["draw"] == 3
    label(two, 1)
    two.close()
    assert draws_of(path)[skipped][1] == 3


def test_more_and_a_higher_target_go_on_adaptively(path):
    one = session(path)
    label(one, 40)
    with pytest.raises(InputError, match="ask for more"):
        one.label(one.current, 0)
    assert len(one._history.adaptive) == 20  # what nobody sees is not drawn
    one.more()
    assert one._history.adaptive[one.current].number == 21
    label(one, 20)
    one.close()
    two = session(path, target=80)
    label(two, 20)
    two.close()
    assert sorted(draw for _, draw, _ in draws_of(path).values()) == [0] * 20 + list(range(1, 61))


def test_all_can_be_labelled_and_then_each_speaks_for_itself(tmp_path):
    path = make_table(tmp_path / "t.csv", 40)
    one = session(path, target=100, latest=POSTERIOR[:40])
    label(one, 40)
    assert one.current is None
    one.close()
    assert [weight for weight, *_ in draws_of(path).values()] == pytest.approx([1] * 40)


def test_texts_without_a_label_are_drawn_too(path):
    frame = read_table(path)
    frame.loc[:99, "llm_label"] = ""
    write_table(frame, path)
    one = session(path, target=60)
    rows = label(one, 60, 1)
    assert min(rows[:30]) >= 100 and (np.array(rows[30:]) < 100).sum() > 5
    one.close()
    assert sum(weight for row, (weight, *_) in draws_of(path).items() if row < 100) > 0


def test_what_older_versions_drew_by_strata_judges_on(path):
    old = Session(GoldTable(path), 20)
    rows = label(old, 20)
    old.close()
    assert "gold_draw" not in read_table(path)
    one = session(path)
    adaptive = label(one, 20)
    one.close()
    found = draws_of(path)
    assert [found[row][1] for row in [*rows, *adaptive]] == [0] * 20 + list(range(1, 21))
    assert one.result()["only_train"] == 0 and min(weight for weight, *_ in found.values()) > 0


@pytest.mark.parametrize("weights", [None, "other", "missing"])
def test_gold_from_elsewhere_trains_and_does_not_judge(path, weights):
    frame = read_table(path)
    frame["gold"] = [*["positive"] * 15, *[None] * (N - 15)]
    if weights == "other":
        frame["gold_weight"] = [*range(1, 16), *[None] * (N - 15)]
    if weights == "missing":
        frame["gold_weight"] = None
    write_table(frame, path)
    one = session(path, target=55)
    rows = label(one, 40)
    assert min(rows) >= 15 and one.result()["only_train"] == 15
    one.close()
    found = draws_of(path)
    assert len(found) == 55 and [found[row][0] for row in range(15)] == [0] * 15
    assert all(found[row][0] > 0 for row in rows)
    assert [found[row][1] for row in rows] == [0] * 20 + list(range(1, 21))
    two = session(path, target=60)  # and it stays so
    label(two, 5)
    assert two.result()["only_train"] == 15


def test_a_weight_of_0_stays_0_by_strata_too(path):
    frame = read_table(path)
    frame["gold"] = ["positive", "negative", *[None] * (N - 2)]
    frame["gold_weight"] = [0, 100, *[None] * (N - 2)]
    write_table(frame, path)
    one = Session(GoldTable(path), 20)
    label(one, 18)
    one.close()
    frame = read_table(path)
    weight = pd.to_numeric(frame["gold_weight"])
    assert weight[0] == 0 and weight[1] > 0 and weight.sum() == pytest.approx(N - 1)


def test_by_strata_after_rounds_is_refused(path):
    one = session(path)
    label(one, 22)
    abandon(one)
    with pytest.raises(InputError, match="go on without --draw strata"):
        Session(GoldTable(path), 40)
    session(path).close()
    content = path.read_bytes()
    with pytest.raises(InputError, match="drawn in rounds: go on without --draw strata"):
        GoldTable(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(("probability", "draw"), [("", "3"), ("1.5", "3"), ("0.1", "2.5")])
def test_a_draw_without_its_probability(path, probability, draw):
    frame = read_table(path)
    frame["gold"] = ["positive", *[None] * (N - 1)]
    for name, value in (("gold_weight", "2"), ("gold_draw", draw), ("gold_probability", probability)):
        frame[name] = [value, *[None] * (N - 1)]
    write_table(frame, path)
    with pytest.raises(InputError, match=r"row 1: gold_draw .* needs a gold_probability"):
        session(path)


def test_into_another_file(path, tmp_path):
    out = tmp_path / "gold.jsonl"
    one = session(path, output=out)
    rows = label(one, 30)
    one.close()
    two = session(path, output=out)
    assert len(two._history.adaptive) == 11 and set(two.gold) == set(rows)
    label(two, 10)
    two.close()
    assert sorted(draw for _, draw, _ in draws_of(out).values()) == [0] * 20 + list(range(1, 21))


# --- the posterior itself ---------------------------------------------------------------------------------------------


def rated(tmp_path, n=150):
    """Texts whose words tell the class; the LLM is right on three of four."""
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.5
    words = {True: ["good", "fine", "great", "love"], False: ["bad", "poor", "awful", "hate"]}
    texts = [
        " ".join([*rng.choice(words[bool(t)], 3), *rng.choice(["it", "was", "and", "so", "the"], 4)]) for t in truth
    ]
    llm = np.where(rng.random(n) < 0.75, truth, ~truth)
    frame = pd.DataFrame({"text": texts, "llm_label": np.where(llm, "positive", "negative")})
    path = tmp_path / "rated.csv"
    write_table(frame, path)
    return path, truth.astype(int)


@pytest.mark.slow
def test_the_posterior_of_the_background_is_fitted_after_every_ten_labels(tmp_path):
    path, truth = rated(tmp_path)
    table = GoldTable(path, rounds=True)
    posterior = BackgroundPosterior(table)
    one = Session(table, 40, posterior=posterior)
    fits = []
    while len(one.gold) < 40:
        one.label(one.current, int(truth[one.current]))
        posterior.wait()
        fits.append(posterior.fits)
    assert [fits[k - 1] for k in (9, 10, 19, 20, 30, 40)] == [0, 1, 1, 2, 3, 4] and posterior.failures == 0
    assert posterior.latest.shape == (150, 2) and posterior.latest.sum(axis=1) == pytest.approx(np.ones(150), abs=1e-4)
    assert (posterior.latest.argmax(axis=1) == truth).mean() > 0.9
    assert len(one._history.adaptive) == 20
    accuracy = one.result()["llm_accuracy"]
    low, high = one.result()["llm_accuracy_interval"]
    assert low < (table.codes == truth).mean() < high and low < accuracy < high
    one.close()


@pytest.mark.slow
def test_the_end_of_the_session_ends_the_fit(tmp_path):
    path, truth = rated(tmp_path)
    posterior = BackgroundPosterior(GoldTable(path, rounds=True))
    posterior.update({row: int(truth[row]) for row in range(12)})
    posterior.close()
    posterior.wait()
    assert (posterior.fits, posterior.failures, posterior.latest) == (0, 0, None)
    posterior.update({row: int(truth[row]) for row in range(30)})
    posterior.wait()
    assert posterior.fits == 0


@pytest.mark.slow
def test_a_process_that_is_interrupted_in_the_middle_of_a_fit_ends_cleanly(tmp_path):
    path, truth = rated(tmp_path, 1500)
    with Labelling(path, "-n", 40) as labelling:
        for _ in range(10):
            labelling.act("label", label=int(truth[labelling.state()["row"]]))
        code, out, err = labelling.end()
    assert code == 130 and "10 gold labels" in out
    assert err == "silr: interrupted; the same command goes on where it stopped\n"


@pytest.mark.slow
def test_a_fit_whose_process_dies_is_a_failed_fit(tmp_path):
    path, truth = rated(tmp_path)
    posterior = BackgroundPosterior(GoldTable(path, rounds=True))
    for size in (10, 20, 30):
        if size == 20:
            os.kill(posterior._process.pid, signal.SIGSTOP)  # so that it cannot be faster
        posterior.update({row: int(truth[row]) for row in range(size)})
        if size == 20:
            time.sleep(1)  # it has been asked by now
            posterior._process.kill()
        posterior.wait()
    assert (posterior.fits, posterior.failures) == (2, 1) and "the process that fits has ended" in posterior.problem
    posterior.close()


@pytest.mark.slow
def test_a_fit_that_fails_leaves_the_last_posterior(tmp_path):
    path, truth = rated(tmp_path, 60)
    states = tmp_path / "rated.features.npy"
    np.save(states, np.random.default_rng(0).normal(size=(59, 3)))  # a row too few
    table = GoldTable(path, rounds=True)
    posterior = BackgroundPosterior(table, states)
    gold = {row: int(truth[row]) for row in range(20)}
    posterior.update(dict(list(gold.items())[:10]))
    posterior.wait()
    assert (posterior.fits, posterior.failures, posterior.latest) == (0, 1, None) and "59" in posterior.problem
    np.save(states, np.random.default_rng(0).normal(size=(60, 3)))
    posterior.update(gold)
    posterior.wait()
    assert (posterior.fits, posterior.failures) == (1, 1) and posterior.latest is not None
    kept = posterior.latest
    posterior.update(gold)  # no ten more: nothing happens
    posterior.update(dict.fromkeys(range(30), 1))  # one class only: nothing to learn
    posterior.wait()
    assert posterior.fits == 1 and posterior.latest is kept


@pytest.mark.slow
def test_the_command_killed_in_the_middle_of_the_adaptive_draws(tmp_path):
    path, truth = rated(tmp_path)
    with Labelling(path, "-n", 40) as labelling:
        for _ in range(20):
            state = labelling.state()
            labelling.act("label", label=int(truth[state["row"]]))
        skipped = 0
        while not any("draw" in line for line in lines(path)):  # the first fit takes as long as it takes
            assert skipped < 100
            skipped += 1
            time.sleep(0.5)
            labelling.act("skip")
        for _ in range(3):
            state = labelling.act("label", label=int(truth[labelling.state()["row"]]))
        shown = state["row"]
        labelling.process.send_signal(signal.SIGKILL)
        labelling.process.wait()
    with Labelling(path, "-n", 40) as labelling:
        assert labelling.state()["row"] == shown
        while labelling.state()["done"] < 40:
            labelling.act("label", label=int(truth[labelling.state()["row"]]))
        labelling.act("finish")
        code, out, err = labelling.wait()
    numbers = sorted(draw for _, draw, _ in draws_of(path).values() if draw)
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 4
    assert all(0 < p <= 1 for _, draw, p in draws_of(path).values() if draw)
    assert (code, err) == (0, "") and f"{len(numbers)} of them drawn by how unsure their label was" in out
    assert "failed" not in out
