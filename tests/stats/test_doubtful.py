"""Doubt about gold labels, against Bayes' rule written out, and the order and length of the list."""

import numpy as np
import pytest

from silr.errors import InputError
from silr.stats.doubtful import disagreement, doubtful_gold

ALL = {"threshold": 0.0, "largest_share": 1.0}


def test_the_doubt_is_bayes_rule():
    """One person who errs with 10 % and then gives the two other classes alike."""
    p, e = np.array([0.2, 0.7, 0.1]), 0.1
    seen = np.array([1 - e, e / 2, e / 2])  # of the label 0, by true class
    posterior = p * seen / (p * seen).sum()
    found = doubtful_gold([0], [p], error_rate=e, **ALL)
    assert found.doubt[0] == pytest.approx(1 - posterior[0])
    assert (found.gold_probability[0], found.other[0], found.other_probability[0]) == (0.2, 1, 0.7)


@pytest.mark.parametrize(
    ("gold", "votes", "counts"),
    [
        (0, [0, 0, 1], (2, 1)),  # the votes alone: the gold label is their majority
        (0, [0, 1, -1], (2, 1)),  # a tie that was decided: one more observation
        (0, [1, 1, -1], (1, 2)),  # decided against the majority
        (0, [-1, -1, -1], (1, 0)),
    ],
)
def test_votes_are_observations(gold, votes, counts):
    p, e = np.array([0.3, 0.7]), 0.05
    right, wrong = counts
    odds = p[1] / p[0] * (e / (1 - e)) ** (right - wrong)
    found = doubtful_gold([gold], [p], [votes], **ALL)
    assert found.doubt[0] == pytest.approx(odds / (1 + odds))


def test_the_most_doubtful_first_and_a_tenth_at_most():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1], 200)
    gold = np.where(rng.random(200) < 0.3, -1, rng.integers(0, 2, 200))
    found = doubtful_gold(gold, p, threshold=0.1)
    assert len(found.rows) == np.ceil((gold >= 0).sum() / 10)
    assert (np.diff(found.doubt) <= 0).all() and (gold[found.rows] >= 0).all()
    assert (found.doubt >= 0.1).all() and (found.other != gold[found.rows]).all()
    own = p[np.arange(200), np.maximum(gold, 0)]
    assert own[found.rows].max() <= np.sort(own[gold >= 0])[len(found.rows) - 1]
    assert len(doubtful_gold(gold, p, threshold=1.1).rows) == 0


def test_what_is_not_listed():
    p = [[0.02, 0.98], [0.02, 0.98], [0.02, 0.98], [np.nan, np.nan]]
    settled = [False, True, False, False]
    found = doubtful_gold([0, 0, 0, 0], p, llm=[1, 1, 0, -1], settled=settled, largest_share=1)
    assert found.rows.tolist() == [0]
    assert doubtful_gold([-1, -1, -1, -1], p).rows.tolist() == []
    assert doubtful_gold([0], [[0.0, 1.0]], largest_share=1).doubt[0] == pytest.approx(1)


def test_wrong_shapes():
    for gold, p, votes in (([0], [[0.5, 0.5]] * 2, None), ([2], [[0.5, 0.5]], None), ([0], [[0.5, 0.5]], [[0], [1]])):
        with pytest.raises(InputError):
            doubtful_gold(gold, p, votes)


def test_disagreement_counts_pairs():
    """Every pair of persons, one by one."""
    rng = np.random.default_rng(1)
    votes = rng.integers(-1, 3, (50, 4))
    for row, share in zip(votes, disagreement(votes, 3), strict=True):
        given = [code for code in row if code >= 0]
        pairs = [a != b for place, a in enumerate(given) for b in given[place + 1 :]]
        assert share == pytest.approx(np.mean(pairs) if pairs else 0)
