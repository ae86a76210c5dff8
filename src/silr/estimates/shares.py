"""Shares of the classes, in all texts and by group, and differences between groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from silr.estimates.evidence import FEWEST_OF_GROUP, Evidence, groups_of
from silr.estimates.groups import group_names
from silr.estimates.result import Row
from silr.estimates.share_rows import share_rows
from silr.stats.prediction_powered import Parts, best_power, parts_of

MOST_GROUPS_COMPARED = 6  # with more groups each is compared with the first alone


class Shares:
    """Estimates of shares; the power is tuned once, on all gold labels."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        rows = evidence.rows
        self.parts = parts_of(
            np.eye(len(evidence.class_names)), evidence.gold[rows], evidence.expected[rows], evidence.weights[rows]
        )
        self.power = best_power(self.parts)

    def overall(self) -> list[Row]:
        """Share of each class in all texts."""
        sums = self.evidence.expected.sum(axis=0)
        judged = np.ones(len(self.evidence.rows), dtype=bool)
        return self._rows(None, sums, len(self.evidence), self.evidence.known, judged)

    def by_group(self, by: Sequence[str]) -> tuple[list[Row], list[Row]]:
        """Share of each class by group, and differences between groups."""
        codes, values = groups_of(self.evidence, by)
        return self.of_groups(codes, group_names(by, values))

    def of_groups(self, codes: NDArray[np.int64], names: Sequence[str]) -> tuple[list[Row], list[Row]]:
        """The same of groups that are numbered, shape (n,), -1 for texts outside of all."""
        evidence, count = self.evidence, len(names)
        sizes = np.bincount(codes[codes >= 0], minlength=count)
        inside = codes >= 0
        columns = evidence.expected[inside].T
        sums = np.stack([np.bincount(codes[inside], weights=column, minlength=count) for column in columns], axis=1)
        of_gold = codes[evidence.rows]
        shares = []
        for place, name in enumerate(names):
            known = evidence.known & (codes == place) if evidence.known.any() else evidence.known
            shares.append(self._rows(name, sums[place], int(sizes[place]), known, of_gold == place))
        every = count <= MOST_GROUPS_COMPARED
        pairs = list(combinations(range(count), 2)) if every else [(0, place) for place in range(1, count)]
        differences = [
            difference(second, first) for i, j in pairs for first, second in zip(shares[i], shares[j], strict=True)
        ]
        return [row for rows in shares for row in rows], differences

    def _rows(
        self,
        group: str | None,
        sums: NDArray[np.float64],
        size: int,
        known: NDArray[np.bool_],
        judged: NDArray[np.bool_],
    ) -> list[Row]:
        """One row a class of a group of `size` texts, whose expected numbers by class are `sums`."""
        evidence, K = self.evidence, len(self.evidence.class_names)
        by_hand = np.bincount(evidence.gold[known], minlength=K) if known.any() else np.zeros(K)
        n_own = int(judged.sum())
        if n_own < FEWEST_OF_GROUP and group is not None:
            rows = share_rows(evidence.class_names, self.parts, 1.0, sums, size, by_hand, borrowed=True)
            return [replace(row, group=group, gold=n_own, note=borrowing(n_own)) for row in rows]
        parts = Parts(*(each[judged] for each in self.parts))
        rows = share_rows(evidence.class_names, parts, self.power, sums, size, by_hand, in_all=group is None)
        return [replace(row, group=group) for row in rows]


def borrowing(n_gold: int) -> str:
    """What a group with too few gold labels of its own does."""
    few = "no gold label here" if n_gold == 0 else f"only {n_gold} gold label{'s' * (n_gold > 1)} here"
    return f"{few}, so the correction of all texts is borrowed; {FEWEST_OF_GROUP - n_gold} more would give its own"


def difference(first: Row, second: Row) -> Row:
    """One share less another of texts that are not the same; by Newcombe's hybrid of their intervals.

    Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17, 1998.
    """
    value = first.value - second.value
    low = value - np.hypot(first.value - first.low, second.high - second.value)
    high = value + np.hypot(first.high - first.value, second.value - second.low)
    notes = [f"{row.group}: {row.note}" for row in (first, second) if row.note]
    gold = first.gold + second.gold
    return Row(
        "difference",
        value,
        float(max(low, -1.0)),
        float(min(high, 1.0)),
        gold,
        None,
        first.class_name,
        first.group,
        second.group,
        None,
        "; ".join(notes) or None,
    )
