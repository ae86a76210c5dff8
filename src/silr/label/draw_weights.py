"""For how many texts each gold label speaks, where some were drawn by strata and later ones by how unsure they were.

Each adaptive draw by itself gives an unbiased estimate of any sum over the corpus: what is labelled already counts
itself, and the new text 1 / probability times itself. The levelled unbiased risk estimator (LURE) is the average of
these with the coefficients that make the weights even where the draws are even. The labels by strata, for their part,
estimate the same sum. Both are averaged in proportion to the number of draws.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from silr.label.adaptive_draw import AdaptiveDraw
from silr.label.draw import FloatArray, Strata, gold_weights

FEWEST_DRAWN = 10  # gold labels drawn here, below which those from elsewhere are still taken as drawn by strata


def sequential_weights(draws: Collection[AdaptiveDraw], n_draws: int, n_open: int) -> FloatArray:
    """How many of the R texts that were open at first each text of a sequence of M draws speaks for, shape (k,).

    Draw m estimates a sum over the open texts by ``S_m = sum over earlier draws of y + y_m / q_m``. Their average with
    coefficients ``c_m = R (R - M) / (M (R - m) (R - m + 1))``, which sum to 1, is R times LURE, and unbiased. The
    weight of draw m is ``c_m / q_m + sum over later draws of c``. `draws` are those k whose text has a label. A skipped
    one counts in M: it is part of the sum 0 times, as a text outside the population.

    Farquhar, Gal, Rainforth, "On statistical bias in active learning: how and when to fix it", ICLR 2021 (arXiv
    2101.11665). Kossen, Farquhar, Gal, Rainforth, "Active testing", ICML 2021 (arXiv 2103.05331).
    """
    if not draws:
        return np.empty(0)
    m, q = np.array(list(draws), dtype=np.float64).T
    M, R = float(n_draws), float(n_open)
    if M >= R:  # all are drawn: each speaks for itself
        return np.ones(len(m))
    own = R * (R - M) / (M * (R - m) * (R - m + 1))
    later = R * (M - m) / (M * (R - m))
    return np.asarray(own / q + later)


def combined_weights(
    strata: Strata,
    by_strata: ArrayLike,
    adaptive: Mapping[int, AdaptiveDraw],
    skipped_by_strata: ArrayLike = (),
    n_draws: int | None = None,
) -> FloatArray:
    """Weights of gold labels that were first drawn by strata and then adaptively, in this order, shape (s + k,).

    `by_strata` (s,) and `adaptive` (k,) have their rows, `skipped_by_strata` rows that were drawn by strata and
    skipped. `n_draws` counts the adaptive draws, skipped ones included; None: as many as the highest number. Without
    adaptive draws the weights are those of `gold_weights`.
    """
    rows, skipped = np.asarray(by_strata, dtype=np.int64), np.asarray(skipped_by_strata, dtype=np.int64)
    n_draws = max([n_draws or 0, *(draw.number for draw in adaptive.values())])
    if not n_draws:
        return gold_weights(strata, rows)
    first = gold_weights(strata, np.concatenate([rows, skipped]))[: len(rows)]
    second = sequential_weights(adaptive.values(), n_draws, len(strata.label) - len(rows) - len(skipped))
    # what the draws by strata do not reach (texts without a label, labels without gold) the others speak for alone
    reached = np.bincount(strata.label[rows], minlength=strata.n_classes + 1) > 0
    share = (len(rows) / (len(rows) + n_draws)) * reached
    share_first = share[strata.label[rows]]
    share_second = share[strata.label[np.array(list(adaptive), dtype=np.int64)]]
    return np.concatenate([share_first * first + (1 - share_first), (1 - share_second) * second])


@dataclass
class DrawHistory:
    """History of the draws of the texts with gold labels.

    Labels from elsewhere, with no word on how they were drawn, judge as if they were drawn by strata until
    `FEWEST_DRAWN` others are, and then train only. Without rounds they judge throughout. Texts that are never drawn
    (`barred`: examples of the codebook) are outside the population.
    """

    adaptive: dict[int, AdaptiveDraw] = field(default_factory=dict)  # by row: labelled, skipped, or next to be asked
    unjudging: set[int] = field(default_factory=set)  # rows with weight 0 or none in the table: they only train
    undrawn: set[int] = field(default_factory=set)  # rows with a label from elsewhere
    rounds: bool = False  # whether texts are drawn in rounds
    barred: frozenset[int] = frozenset()  # rows that are never drawn

    def take(self, other: DrawHistory, rows: Collection[int]) -> None:
        """Take from another table's history how these rows were drawn, none of which is known here.

        If the other history goes on from this one, its draws count here too. Else they are of a sequence of their own,
        which cannot be put together with this one: the rows came from elsewhere.
        """
        goes_on = all(other.adaptive.get(row) == draw for row, draw in self.adaptive.items())
        for row in rows:
            if row in other.unjudging:
                self.unjudging.add(row)
            elif row in other.undrawn or not goes_on:
                self.undrawn.add(row)
            elif row in other.adaptive:
                self.adaptive[row] = other.adaptive[row]

    def by_strata(self, rows: Collection[int]) -> list[int]:
        """Those of the rows that were drawn by strata, in order."""
        others = self.adaptive.keys() | self.unjudging | (self.undrawn if self.rounds else set())
        return [row for row in rows if row not in others]

    def n_draws(self, answered: Collection[int]) -> int:
        """How many adaptive draws were answered by a label or a skip."""
        return max((draw.number for row, draw in self.adaptive.items() if row in answered), default=0)

    def only_trains(self, gold: Collection[int]) -> set[int]:
        """Rows with gold whose weight is 0."""
        weightless = self.unjudging & set(gold)
        if self.rounds and len(set(gold) - weightless - self.undrawn) >= FEWEST_DRAWN:
            weightless |= self.undrawn & set(gold)
        return weightless

    def weights(self, strata: Strata, gold: Collection[int], skipped: Collection[int] = ()) -> dict[int, float]:
        """How many texts each gold label speaks for, by row, sorted.

        It is 0 for labels that only train; these are not part of the population either. `skipped` were drawn, too.
        """
        gold = sorted(gold)
        outside = self.only_trains(gold)
        inside = np.ones(len(strata.label), dtype=bool)
        inside[list(outside | (self.barred - set(gold)))] = False
        place = np.cumsum(inside) - 1
        population = Strata(strata.label[inside], strata.part[inside], strata.n_classes)
        judging = [row for row in gold if row not in outside]
        adaptive = {row: self.adaptive[row] for row in judging if row in self.adaptive}
        first = [row for row in judging if row not in adaptive]
        skips = [row for row in skipped if row not in self.adaptive]
        moved = {int(place[row]): draw for row, draw in adaptive.items()}
        n_draws = self.n_draws({*gold, *skipped})
        weights = combined_weights(population, place[first], moved, place[skips], n_draws)
        return dict.fromkeys(gold, 0.0) | dict(zip([*first, *adaptive], weights.tolist(), strict=True))
