"""Which texts are drawn, and that their weights make them speak for the corpus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silr.errors import InputError
from silr.label.draw import PARTS, Draw, draw_texts, gold_weights, make_strata


def corpus(rng, n, n_classes=2, scores=True):
    labels = rng.choice(n_classes, n, p=np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum())
    table = rng.normal(size=(n, n_classes))
    table[np.arange(n), labels] += 5
    return labels, make_strata(labels, n_classes, table if scores else None), table


def draw(strata, n, seed=0, gold=(), skip=lambda row: False):
    chooser, rows, skipped = Draw(strata, seed), list(gold), set()
    while len(rows) < n and (row := chooser.next(set(rows), skipped)) is not None:
        if skip(row):
            skipped.add(row)
        else:
            rows.append(row)
    return rows


@given(
    n=st.integers(1, 300), n_classes=st.integers(2, 5), m=st.integers(1, 80), seed=st.integers(0, 9), by=st.booleans()
)
def test_weights_sum_to_the_corpus_once_every_label_has_gold(n, n_classes, m, seed, by):
    labels, strata, _ = corpus(np.random.default_rng(seed), n, n_classes, by)
    rows = draw(strata, m, seed, skip=lambda row: row % 7 == 3)
    assert len(set(rows)) == len(rows)
    weight = gold_weights(strata, rows)
    seen = np.isin(labels, labels[rows])
    assert weight.sum() == pytest.approx(seen.sum())
    for label in set(labels[rows].tolist()):
        assert weight[labels[rows] == label].sum() == pytest.approx((labels == label).sum())
    assert not len(rows) or weight.min() >= 1 - 1e-9


def test_parts_are_quartiles_of_the_margin():
    labels, strata, table = corpus(np.random.default_rng(1), 403)
    for label in (0, 1):
        parts = strata.part[labels == label] - label * PARTS
        margin = table[labels == label, label] - table[labels == label, 1 - label]
        sizes = np.bincount(parts, minlength=PARTS)
        assert sizes.max() - sizes.min() <= 1
        for lower in range(PARTS - 1):
            assert margin[parts == lower].max() <= margin[parts == lower + 1].min()


def test_a_weight_is_the_size_of_the_stratum_over_its_gold():
    _, strata, _ = corpus(np.random.default_rng(2), 500)
    rows = draw(strata, 60)
    for row, weight in zip(rows, gold_weights(strata, rows), strict=True):
        mine = strata.part == strata.part[row]
        assert weight == pytest.approx(mine.sum() / mine[rows].sum())


def test_a_part_without_gold_is_spoken_for_by_its_label():
    labels, strata, _ = corpus(np.random.default_rng(2), 500)
    row = int(np.flatnonzero(labels == 1)[0])
    assert gold_weights(strata, [row]).tolist() == [(labels == 1).sum()]


def test_labels_take_turns_by_the_root_of_their_size_and_so_do_parts():
    labels = np.repeat([0, 1, 2], [1600, 9, 100])
    strata = make_strata(labels, 3, np.random.default_rng(0).normal(size=(1709, 3)))
    rows = draw(strata, 140)
    share = np.array([40, 3, 10]) / 53
    for m in range(1, 141):
        count = np.bincount(labels[rows[:m]], minlength=3)
        assert (count <= np.ceil(share * (m + 6))).all()
        assert m < 3 or count.min() >= 1
    assert np.abs(np.bincount(labels[rows[:106]]) - [80, 6, 20]).max() <= 5
    parts = np.bincount(strata.part[rows], minlength=12)[:4]
    assert parts.max() - parts.min() <= 1


def test_what_a_small_label_cannot_give_the_others_do():
    labels = np.repeat([0, 1, 2], [900, 4, 100])
    count = np.bincount(labels[draw(make_strata(labels, 3), 204)])
    assert count[1] == 4 and np.abs(count[[0, 2]] - [150, 50]).max() <= 5


@pytest.mark.parametrize("rare", [0.002, 0.05, 0.3])
def test_two_labels_are_worth_eight_ninths_of_as_many_at_random(rare):
    labels = (np.arange(20_000) < rare * 20_000).astype(int)
    _, weights = draw_texts(labels, 1000, random_state=3)
    assert weights.sum() ** 2 / (weights**2).sum() > 0.98 * 8 / 9 * 1000


def test_draw_texts_are_those_of_a_session_that_skips_nothing():
    labels, strata, table = corpus(np.random.default_rng(7), 500, 3)
    rows, weights = draw_texts(labels, 40, 2, table)
    assert rows.tolist() == sorted(draw(strata, 40, 2))
    assert weights.tolist() == gold_weights(strata, rows).tolist()


@pytest.mark.parametrize("n", [1, 5])
def test_more_than_there_are_or_fewer_than_labels(n):
    with pytest.raises(InputError, match=f"cannot draw {n} texts out of 4 with 2 LLM labels"):
        draw_texts([0, 1, 1, 0, -1], n)
    rows, weights = draw_texts([0, 1, 1, 0, -1], 4)
    assert rows.tolist() == [0, 1, 2, 3] and weights.tolist() == [1, 1, 1, 1]


def test_the_order_does_not_tell_the_label():
    """Alternating labels would; of all pairs of neighbours a good part must be equal."""
    labels, strata, _ = corpus(np.random.default_rng(0), 2000)
    rows = draw(strata, 400)
    same = np.mean(labels[rows[1:]] == labels[rows[:-1]])
    assert 0.3 < same < 0.5


def test_the_seed_decides_and_a_restart_changes_nothing():
    _, strata, _ = corpus(np.random.default_rng(0), 300)
    assert draw(strata, 40) == draw(strata, 40) != draw(strata, 40, seed=1)
    first = draw(strata, 17)
    assert draw(strata, 40, gold=first) == draw(strata, 40)


def test_a_skipped_text_is_replaced_by_one_of_its_stratum():
    _, strata, _ = corpus(np.random.default_rng(0), 300)
    chooser, gold = Draw(strata), set()
    for _ in range(30):
        row = chooser.next(gold, set())
        instead = chooser.next(gold, {row})
        assert instead != row and strata.part[instead] == strata.part[row]
        gold.add(row)


def test_texts_without_a_label_are_not_drawn_but_weighted():
    labels = np.array([0, 0, 1, 1, -1, -1])
    strata = make_strata(labels, 2)
    assert sorted(draw(strata, 10)) == [0, 1, 2, 3]
    assert gold_weights(strata, [0, 2, 4]).tolist() == [2, 2, 2]


@pytest.mark.parametrize("m", [7, 16, 60])
def test_estimates_are_unbiased_wherever_one_stops(m):
    """The share of right labels, by simulation; skipping does not depend on the truth, and the score tells much."""
    rng = np.random.default_rng(5)
    labels, strata, table = corpus(rng, 400)
    margin = table[np.arange(400), labels] - table[np.arange(400), 1 - labels]
    right = rng.random(400) < 1 / (1 + np.exp(-(margin - 4)))
    right[labels == 0] &= rng.random((labels == 0).sum()) < 0.6
    estimates = []
    for seed in range(200):
        rows = draw(strata, m, seed, skip=lambda row: row % 11 == 0)
        weight = gold_weights(strata, rows)
        estimates.append(np.sum(weight * right[rows]) / weight.sum())
    kept = np.arange(400) % 11 != 0
    truth = sum(
        (strata.part == part).mean() * right[(strata.part == part) & kept].mean() for part in np.unique(strata.part)
    )
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 4 * error
