"""A refinement problem: a corpus, what the LLMs say of it, and gold labels; classes are codes from here on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.stats.annotator_evidence import Annotator, majority
from silr.stats.gold_labels import GoldLabels
from silr.stats.gold_weights import post_stratified
from silr.stats.priors import Priors, priors_from_gold

if TYPE_CHECKING:
    from silr.hf.tokens import Tokens

Labels = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is refined."""

    classes: NDArray[np.generic]  # shape (K,), their values; a code is a position here
    annotators: Sequence[Annotator]  # labels and scores of each LLM
    gold_codes: Labels  # shape (n,), -1 where there is no gold label
    # shape (n,), 1 / probability of being drawn, up to a factor; None: drawn at random, or at random inside each LLM
    # label
    gold_weight: NDArray[np.float64] | None = None
    truth: Labels | None = None  # shape (n,), true labels, -1 where unknown, which only score
    seed: int = 0
    texts: Sequence[str] | None = None  # None of a corpus that was given as features
    # shape (n, d), what the classifier reads; empty until features of texts are computed
    X: NDArray[np.number] | Tokens | None = None
    groups: Sequence[Sequence[slice]] = ()  # the columns of X that belong to each kind of features

    def __len__(self) -> int:
        return len(self.gold_codes)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.classes)

    @cached_property
    def class_names(self) -> list[str]:
        """For messages and records."""
        return [str(name) for name in self.classes]

    @cached_property
    def llm(self) -> Labels:
        """The LLM's labels, of several LLMs the majority's; -1 where none gave one."""
        return majority(self.annotators, self.n_classes)

    @property
    def has_gold(self) -> bool:
        """Whether there is any gold label."""
        return bool((self.gold_codes >= 0).any())

    @cached_property
    def gold(self) -> GoldLabels | None:
        """The gold labels with their weights, if there are any."""
        if not self.has_gold:
            return None
        weights = post_stratified(self.llm, self.gold_codes >= 0) if self.gold_weight is None else self.gold_weight
        return GoldLabels.of(self.gold_codes, weights, self.n_classes)

    @property
    def matrix(self) -> NDArray[np.number]:
        """X of a classifier on features."""
        assert isinstance(self.X, np.ndarray)
        return self.X

    def estimate(self, labels: Labels) -> Priors | None:
        """What the gold labels say of labels, shape (n,); None if none of them has a gold label."""
        labelled = labels >= 0
        if not (self.gold_codes[labelled] >= 0).any():
            return None
        weights = None if self.gold_weight is None else self.gold_weight[labelled]
        strata = np.where(self.llm < 0, self.n_classes, self.llm)[labelled]
        return priors_from_gold(labels[labelled], self.gold_codes[labelled], self.n_classes, weights, strata)


def warn_of_scores(annotators: Sequence[Annotator]) -> None:
    """Warn where an LLM's scores are for another class than its label in more than half of its texts."""
    for annotator in annotators:
        if annotator.scores is None:
            continue
        rows = np.flatnonzero((annotator.labels >= 0) & np.isfinite(annotator.scores).all(axis=1))
        own = annotator.scores[rows, annotator.labels[rows]]
        other = int((own < annotator.scores[rows].max(axis=1)).sum()) if len(rows) else 0
        if other > len(rows) / 2:
            whose = f" of {annotator.name}" if annotator.name else ""
            warnings.warn(
                f"the scores{whose} are highest for another class than the label in {other:,} of {len(rows):,} texts: "
                "are the score columns exchanged, or the lower score the better?",
                stacklevel=3,
            )
