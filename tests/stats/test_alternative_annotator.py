"""The alternative annotator test against its definition, by scipy's tests, text by text."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_rel

from people import people
from silr.errors import InputError
from silr.stats.alternative_annotator import alternative_annotator_test


def by_definition(llm, codes, epsilon):
    """Winning rate and average advantage, one text after the other."""
    p, rho = [], []
    for j in range(codes.shape[1]):
        machine, human = [], []
        for row, answer in zip(codes.tolist(), llm.tolist(), strict=True):
            others = [vote for k, vote in enumerate(row) if k != j and vote >= 0]
            if row[j] < 0 or len(others) < 2 or answer < 0:
                continue
            of_llm, of_person = others.count(answer) / len(others), others.count(row[j]) / len(others)
            machine.append(of_llm >= of_person)
            human.append(of_person >= of_llm)
        rho.append(np.mean(machine))
        p.append(ttest_rel(np.array(human) - epsilon, np.array(machine, dtype=float), alternative="less").pvalue)
    return np.mean(false_discovery_control(p, method="by") <= 0.05), np.mean(rho)


@pytest.mark.parametrize("accuracy", [0.95, 0.8, 0.65])
@pytest.mark.parametrize("epsilon", [0.0, 0.15])
def test_the_definition(accuracy, epsilon):
    codes = people(200, [0.85, 0.8, 0.7, 0.75, accuracy], [0.5, 0.3, 0.2], missing=0.2)
    llm, codes = codes[:, 4], codes[:, :4]
    result = alternative_annotator_test(llm, codes, 3, epsilon=epsilon)
    assert (result.winning_rate, result.advantage) == pytest.approx(by_definition(llm, codes, epsilon))
    assert result.passed == (result.winning_rate >= 0.5)


def test_a_good_llm_passes_and_one_by_chance_does_not():
    codes = people(150, [0.85, 0.8, 0.8, 0.95], [0.6, 0.4])
    good = alternative_annotator_test(codes[:, 3], codes[:, :3], 2, ["ann", "bob", "cy"])
    assert (
        good.passed
        and good.winning_rate == 1
        and [contest.person for contest in good.contests]
        == [
            "ann",
            "bob",
            "cy",
        ]
    )
    chance = alternative_annotator_test(np.random.default_rng(1).integers(0, 2, 150), codes[:, :3], 2)
    assert not chance.passed and chance.winning_rate == 0 and chance.advantage < good.advantage


def test_where_nothing_varies():
    codes = np.repeat([[0, 0, 0], [1, 1, 1]], 20, axis=0)
    same = alternative_annotator_test(codes[:, 0], codes, 2)
    assert same.winning_rate == 1 and same.advantage == 1
    assert alternative_annotator_test(1 - codes[:, 0], codes, 2).winning_rate == 0


def test_who_has_too_few_texts_is_left_out():
    codes = people(100, [0.9] * 5, [0.6, 0.4])
    codes[20:, 3] = -1
    result = alternative_annotator_test(codes[:, 4], codes[:, :4], 2)
    assert [contest.person for contest in result.contests] == ["1", "2", "3"]


def test_too_few_are_refused():
    codes = people(100, [0.9] * 3, [0.6, 0.4])
    with pytest.raises(InputError, match=r"needs 3 persons with 30 texts each .*; so far ann 0, bob 0"):
        alternative_annotator_test(codes[:, 2], codes[:, :2], 2, ["ann", "bob"])
    with pytest.raises(InputError, match="so far 1 29, 2 29, 3 29"):
        alternative_annotator_test(codes[:29, 2], codes[:29], 2)
    with pytest.raises(InputError, match="epsilon is 1"):
        alternative_annotator_test(codes[:, 2], codes, 2, epsilon=1)
