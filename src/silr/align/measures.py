"""Measures of a set of completions: reward, judge, length, diversity, repetition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from silr.align.generate import Completion
from silr.io.files import Json

if TYPE_CHECKING:
    from silr.align.scorer import Scorer

ARRAYS = ("reward", "judge", "tokens")
N = 2  # of the n-grams of words


def distinct_n(texts: Sequence[str]) -> float:
    """The share of different n-grams among all n-grams of words of all texts, 0 if there are none.

    It falls as the number of texts grows: compare sets of one size. Li and others, "A Diversity-Promoting Objective
    Function for Neural Conversation Models", NAACL 2016.
    """
    grams = [gram for text in texts for gram in _grams(text)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str) -> float:
    """The share of n-grams of words that have occurred earlier in the same text, 0 if it has none.

    Welleck and others, "Neural Text Generation with Unlikelihood Training", ICLR 2020 (seq-rep-n).
    """
    grams = _grams(text)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


class Divergence(TypedDict):
    """KL divergence from the starting policy in nats: of a completion, its standard error, and of a token."""

    completion: float
    error: NotRequired[float]
    token: NotRequired[float]


class AlignResult(TypedDict):
    """All figures of an alignment, as in ``result.json``."""

    method: str
    prompts: dict[str, int]
    reward: str
    judge: str | None
    before: dict[str, float]
    after: dict[str, float]
    kl: Divergence
    warnings: list[dict[str, str]]
    policy: str | None
    samples: str
    report: str


@dataclass(frozen=True)
class Measured:
    """Measures of one completion for each of n prompts; arrays are of shape (n,)."""

    completions: list[str]
    reward: NDArray[np.float64]
    judge: NDArray[np.float64] | None
    tokens: NDArray[np.int64]
    ended: float  # share that ended before the longest length

    @classmethod
    def of(
        cls, completions: Sequence[Completion], texts: Sequence[str], reward: Scorer, judge: Scorer | None
    ) -> Measured:
        """Score completions; `texts` are what reward and judge read of them."""
        return cls(
            [completion.text for completion in completions],
            reward(texts),
            None if judge is None else judge(texts),
            np.array([len(completion.ids) for completion in completions]),
            float(np.mean([completion.ended for completion in completions])),
        )

    def means(self) -> dict[str, float]:
        """Return the mean of everything, with the judge only if there is one."""
        values = {"reward": float(self.reward.mean())}
        if self.judge is not None:
            values["judge"] = float(self.judge.mean())
        values |= {"tokens": float(self.tokens.mean()), "ended": self.ended}
        values["distinct_2"] = distinct_n(self.completions)
        values["repetition_2"] = float(np.mean([repetition(text) for text in self.completions]))
        return values

    def to_dict(self) -> dict[str, object]:
        """Return JSON-friendly values."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Json) -> Measured:
        """Read the values of `to_dict`."""
        return cls(**values | {name: np.array(values[name]) for name in ARRAYS if values[name] is not None})


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean change and its standard error, prompts paired."""
    change = after - before
    error = float(change.std(ddof=1) / np.sqrt(len(change))) if len(change) > 1 else float("inf")
    return float(change.mean()), error


def _grams(text: str) -> list[tuple[str, ...]]:
    words = text.lower().split()
    return list(zip(*(words[start:] for start in range(N)), strict=False))
