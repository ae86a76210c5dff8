"""How likely each text is to be drawn next, and that it is drawn that often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silr.label.adaptive_draw import draw_adaptively, draw_probabilities, first_part


def test_the_probabilities_by_hand():
    """Unsure by .5, .1 and 0: squares .25, .01 and 0."""
    p = draw_probabilities(np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]]))
    assert p == pytest.approx([0.8 * 0.25 / 0.26 + 0.2 / 3, 0.8 * 0.01 / 0.26 + 0.2 / 3, 0.2 / 3])
    p = draw_probabilities(np.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]]), uniform=0.5, power=1)
    assert p == pytest.approx([0.5 * 5 / 7 + 0.25, 0.5 * 2 / 7 + 0.25])


@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 1000))
def test_every_text_has_a_fifth_of_an_even_share_at_least(m, n_classes, seed):
    rng = np.random.default_rng(seed)
    posterior = rng.dirichlet(np.full(n_classes, 0.1), m).astype(np.float32)
    p = draw_probabilities(posterior)
    assert p.sum() == pytest.approx(1) and p.min() >= 0.2 / m - 1e-12
    less_sure = np.argsort(-posterior.max(axis=1).astype(float), kind="stable")
    assert (np.diff(p[less_sure]) >= -1e-12).all()


def test_where_all_is_sure_or_nothing_is_known_all_are_as_likely():
    assert draw_probabilities(np.eye(2)[[0, 1, 1, 0]]).tolist() == [0.25] * 4
    row, draw = draw_adaptively(None, np.array([3, 5, 8]), 7, seed=0)
    assert row in (3, 5, 8) and draw == (7, 1 / 3)


def test_texts_are_drawn_as_often_as_their_probability_says():
    posterior = np.array([[0.5, 0.5], [0.7, 0.3], [0.99, 0.01], [0.6, 0.4], [1.0, 0.0]])
    free = np.array([0, 1, 2, 4])
    p = dict(zip(free.tolist(), draw_probabilities(posterior[free]).tolist(), strict=True))
    drawn = [draw_adaptively(posterior, free, number, seed=1) for number in range(1, 4001)]
    assert all(draw.probability == pytest.approx(p[row]) for row, draw in drawn)
    for row, share in p.items():
        often = np.mean([each == row for each, _ in drawn])
        assert abs(often - share) < 4 * np.sqrt(share * (1 - share) / 4000)


def test_the_seed_and_the_number_decide():
    posterior = np.random.default_rng(0).dirichlet([1, 1], 100)
    free = np.arange(100)
    rows = [draw_adaptively(posterior, free, number, seed)[0] for seed in (0, 1) for number in range(1, 20)]
    again = [draw_adaptively(posterior, free, number, seed)[0] for seed in (0, 1) for number in range(1, 20)]
    assert rows == again and rows[:19] != rows[19:] and len(set(rows)) > 15


@pytest.mark.parametrize(("target", "by_strata"), [(0, 0), (5, 5), (20, 20), (30, 20), (50, 25), (100, 50), (101, 51)])
def test_half_of_the_target_is_drawn_by_strata(target, by_strata):
    assert first_part(target) == by_strata
