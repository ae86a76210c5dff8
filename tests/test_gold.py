"""Which texts are drawn for labelling by hand, and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from silr.errors import InputError
from silr.gold import draw_texts


def test_a_rare_label_gets_its_share_and_weights_undo_it() -> None:
    labels = np.repeat([0, 1, 2, -1], [900, 60, 4, 36])
    rows, weights = draw_texts(labels, 30, random_state=5)
    assert len(set(rows)) == 30 and (np.diff(rows) > 0).all()
    assert np.bincount(labels[rows]).tolist() == [13, 13, 4]  # all that are rare; never one without a label
    for label, size in ((0, 900), (1, 60), (2, 4)):
        assert weights[labels[rows] == label].sum() == pytest.approx(size)  # they speak for their whole set


def test_seed() -> None:
    labels = np.arange(1000) % 3
    first, again, other = (draw_texts(labels, 50, seed)[0] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_all_texts() -> None:
    labels = np.array([1, 0, -1, 1])
    rows, weights = draw_texts(labels, 3)
    assert rows.tolist() == [0, 1, 3] and weights.tolist() == [1, 1, 1]


def test_weighted_share_is_unbiased() -> None:
    """Of a property that 90 % of the rare set and 20 % of the common one have."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [1900, 100])
    has = rng.random(2000) < np.where(labels == 1, 0.9, 0.2)
    draws = [draw_texts(labels, 40, seed) for seed in range(400)]
    shares = [(weights * has[rows]).sum() / weights.sum() for rows, weights in draws]
    assert np.mean(shares) == pytest.approx(has.mean(), abs=0.01)


@pytest.mark.parametrize("n", [1, 5])
def test_more_than_there_are_or_fewer_than_labels(n: int) -> None:
    with pytest.raises(InputError, match=f"cannot draw {n} texts out of 4 with 2 LLM labels"):
        draw_texts([0, 1, 1, 0, -1], n)
