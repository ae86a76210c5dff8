"""Texts drawn at random by how unsure their labels are, each with a probability that is known when it is drawn.

A text whose label is sure teaches little. But if only unsure texts were asked about, no estimate would hold for the
corpus. So every text can be drawn, an unsure one more often, and the probability is kept: the weights made of it
(`silr.label.draw_weights`) take the preference out again.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.label.draw import FloatArray, IntArray

UNIFORM = 0.2  # of the probability, spread evenly: no text can come to weigh more than five times an even share
POWER = 2.0  # of 1 - max p: 0 would be uniform, infinity the least sure text for certain
EVERY = 10  # labels after which the posterior is fitted again
BY_STRATA = 0.5  # of the gold labels wanted, drawn by strata before the first adaptive one
FEWEST_BY_STRATA = 20  # of these, whatever is wanted: a posterior of fewer is not worth following


class AdaptiveDraw(NamedTuple):
    """Number of a draw, and the probability of its text."""

    number: int  # 1 for the first adaptive draw of the table; draws that ended in a skip count too
    probability: float  # among the texts that could be drawn then: neither labelled nor skipped


def first_part(target: int) -> int:
    """Return how many of the gold labels wanted are drawn by strata: half, 20 at least, all if fewer are wanted."""
    return min(target, max(FEWEST_BY_STRATA, int(np.ceil(BY_STRATA * target))))


def draw_probabilities(posterior: NDArray[np.floating], uniform: float = UNIFORM, power: float = POWER) -> FloatArray:
    """Return the probability with which each text is the next one, shape (m,), by its class probabilities (m, K).

    It is ``(1 - uniform) u_i / sum u + uniform / m`` with ``u_i = (1 - max_k p_ik) ** power``. The `uniform` share is
    positive: a text with probability 0 could not be spoken for.
    """
    m = len(posterior)
    unsure = np.clip(1.0 - posterior.max(axis=1).astype(np.float64), 0.0, 1.0) ** power
    total = unsure.sum()
    if not total > 0:
        return np.full(m, 1 / m)
    mixed = (1 - uniform) * unsure / total + uniform / m
    return np.asarray(mixed / mixed.sum())


def draw_adaptively(
    posterior: NDArray[np.floating] | None, open_rows: IntArray, number: int, seed: int
) -> tuple[int, AdaptiveDraw]:
    """Draw one of the texts in `open_rows` (m,), by the posterior (n, K); without one all are as likely.

    The `number` of the draw, from 1, and the seed decide: the same posterior and the same open texts give the same
    draw.
    """
    m = len(open_rows)
    p = np.full(m, 1 / m) if posterior is None else draw_probabilities(posterior[open_rows])
    position = int(np.random.default_rng([seed, 2, number]).choice(m, p=p))
    return int(open_rows[position]), AdaptiveDraw(number, float(p[position]))
