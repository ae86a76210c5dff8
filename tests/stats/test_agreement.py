"""Agreement of several persons against published values, scikit-learn and pairs counted one by one."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from people import people
from silr.stats.agreement import class_agreement, cohen_kappa, krippendorff_alpha
from silr.stats.votes import disputed, majority_vote

# Krippendorff, "Computing Krippendorff's alpha-reliability", 2011: four observers, twelve units; 0: missing
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
EXAMPLE = np.array(OBSERVERS).T - 1


def test_krippendorffs_example():
    alpha = krippendorff_alpha(EXAMPLE, 5)
    assert alpha.value == pytest.approx(0.743, abs=5e-4) and alpha.texts == 11
    assert alpha.interval[0] < 0.743 < alpha.interval[1] < 1
    assert krippendorff_alpha(EXAMPLE[:, ::-1], 7).value == pytest.approx(alpha.value)  # two classes that nobody gave


def test_alpha_by_counting_pairs():
    codes = people(60, [0.9, 0.8, 0.7], [0.6, 0.3, 0.1], missing=0.3)
    pairs = [
        (a, b, 1 / (len(votes) - 1))
        for votes in ([vote for vote in row if vote >= 0] for row in codes.tolist())
        for a, b in permutations(votes, 2)
    ]
    given = np.array([vote for row in codes.tolist() for vote in row if vote >= 0 and sum(v >= 0 for v in row) > 1])
    observed = sum(weight for a, b, weight in pairs if a != b) / len(given)
    expected = np.mean([a != b for a, b in permutations(given.tolist(), 2)])
    assert krippendorff_alpha(codes, 3).value == pytest.approx(1 - observed / expected)
    for k, agreement in enumerate(class_agreement(codes, 3)):
        shared = sum(weight for a, b, weight in pairs if a == b == k)
        assert agreement.value == pytest.approx(shared / sum(given == k))


def test_kappa_as_scikit_learn_has_it():
    for seed in range(5):
        first, second = people(80, [0.9, 0.7], [0.5, 0.3, 0.2], seed=seed).T
        kappa = cohen_kappa(first, second, 3)
        assert kappa.value == pytest.approx(cohen_kappa_score(first, second))
        assert kappa.texts == 80
    first[:5], second[10:15] = -1, -1
    both = (first >= 0) & (second >= 0)
    assert cohen_kappa(first, second, 3).value == pytest.approx(cohen_kappa_score(first[both], second[both]))


def test_the_standard_error_of_kappa():
    """That of Fleiss, Cohen and Everitt (Psychological Bulletin 72, 1969) for two classes, on Fisher's z scale."""
    first, second = people(400, [0.9, 0.8], [0.7, 0.3]).T
    p = np.histogram2d(first, second, bins=2)[0] / 400
    row, column = p.sum(axis=1), p.sum(axis=0)
    po, pe = np.trace(p), row @ column
    kappa = (po - pe) / (1 - pe)
    own = sum(p[i, i] * (1 - (row[i] + column[i]) * (1 - kappa)) ** 2 for i in range(2))
    cross = (1 - kappa) ** 2 * sum(p[i, j] * (column[i] + row[j]) ** 2 for i in range(2) for j in range(2) if i != j)
    error = np.sqrt((own + cross - (kappa - pe * (1 - kappa)) ** 2) / (399 * (1 - pe) ** 2))
    low, high = cohen_kappa(first, second, 2).interval
    assert (np.arctanh(high) - np.arctanh(low)) / 2 == pytest.approx(1.966 * error / (1 - kappa**2), rel=1e-3)


def test_the_intervals_hold():
    truth = krippendorff_alpha(people(200_000, [0.9] * 3, [0.8, 0.2]), 2).value
    samples = [krippendorff_alpha(people(120, [0.9] * 3, [0.8, 0.2], seed=seed), 2) for seed in range(1, 301)]
    assert 0.925 < np.mean([low <= truth <= high for _, (low, high), _ in samples]) < 0.975


def test_where_nothing_varies():
    same = np.repeat([[0, 0], [1, 1]], 20, axis=0)
    alpha = krippendorff_alpha(same, 2)
    assert alpha.value == 1 and alpha.interval == (pytest.approx(0.05 ** (1 / 40)), 1)
    assert str(alpha) == "1.00 (0.93 to 1.00)"
    opposite = np.repeat([[0, 1], [1, 0]], 20, axis=0)
    kappa = cohen_kappa(*opposite.T, 2)
    assert kappa.value == -1 and -1 <= kappa.interval[0] < kappa.interval[1] < -0.8
    assert class_agreement(opposite, 2)[0].value == 0 and 0 < class_agreement(opposite, 2)[0].interval[1] < 0.1


def test_where_it_is_not_defined():
    one = np.zeros((30, 3), dtype=int)
    assert krippendorff_alpha(one, 2) is None and cohen_kappa(one[:, 0], one[:, 1], 2) is None
    assert class_agreement(one, 2)[1] is None and class_agreement(one, 2)[0].value == 1
    assert cohen_kappa(np.arange(30) % 2, one[:, 0], 2) is None  # 0 by definition, and says nothing
    alone = np.array([[0, -1], [-1, 1]])
    assert krippendorff_alpha(alone, 2) is None and cohen_kappa(*alone.T, 2) is None
    assert krippendorff_alpha(np.array([[0, 1]]), 2).texts == 1


def test_majority_and_disputes():
    codes = np.array([[0, 0, 1], [0, 1, -1], [-1, -1, -1], [2, -1, -1], [0, 1, 2], [1, 1, -1]])
    assert majority_vote(codes, 3).tolist() == [0, -1, -1, 2, -1, 1]
    assert disputed(codes).tolist() == [True, True, False, False, True, False]
