"""The alternative annotator test: may an LLM stand in for a person?

Each person in turn is left out, and the others are the measure: on each text, who agrees with more of them, the LLM or
the person who was left out? The LLM may stand in for people if it does so against at least half of them.

Calderon, Reichart, Dror, "The alternative annotator test for LLM-as-a-judge: how to statistically justify replacing
human annotators with LLMs", ACL 2025 (arXiv 2501.10970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import false_discovery_control

from silr.errors import InputError
from silr.stats.contrasts import Numbers
from silr.stats.votes import vote_counts

EPSILON = 0.15  # the advantage that a person gives to the LLM for its price; of trained people, in the paper
FEWEST_PERSONS = 3
FEWEST_OTHERS = 2
FEWEST_TEXTS = 30
FALSE_DISCOVERIES = 0.05
PASSES = 0.5


@dataclass(frozen=True)
class Contest:
    """The LLM against one person, by the votes of the others."""

    person: str
    texts: int
    llm: float  # share of the texts where the LLM agrees with as many of the others, or more
    human: float  # share of the texts where the person does; ties count in both
    p_value: float  # of the hypothesis that the person is better than the LLM by epsilon or more
    won: bool  # whether it is rejected, with all persons' tests taken into account


@dataclass(frozen=True)
class AlternativeAnnotator:
    """Result of the test."""

    winning_rate: float  # omega: share of the persons against whom the LLM wins
    advantage: float  # rho: mean of `Contest.llm`
    epsilon: float
    contests: list[Contest]

    @property
    def passed(self) -> bool:
        """Whether the LLM wins against at least half of the persons."""
        return self.winning_rate >= PASSES


def alternative_annotator_test(
    llm: NDArray[np.integer],
    codes: NDArray[np.integer],
    n_classes: int,
    persons: Sequence[str] = (),
    epsilon: float = EPSILON,
) -> AlternativeAnnotator:
    """Test whether an LLM's labels may stand in for those of a person.

    For person j and text i the alignment is the share of the other persons who gave the same label. W_f is 1 where the
    LLM's is at least that of the person, and W_h the other way round. The hypothesis ``mean W_f <= mean W_h - epsilon``
    is tested by a paired, one-sided t-test over the texts. The persons' p-values are taken together by the procedure of
    Benjamini and Yekutieli (Annals of Statistics 29, 2001) at a false discovery rate of 5 %.

    Parameters
    ----------
    llm : int array of shape (n,)
        Class codes, -1 where the LLM gave no label.
    codes : int array of shape (n, R)
        Class codes of R persons, -1 where a person gave no label.
    n_classes : int
        K.
    persons : sequence of str, default ()
        Names of the R persons; by default their numbers.
    epsilon : float, default 0.15
        From 0 to below 1. The paper takes 0.2 for experts, 0.15 for trained people, and 0.1 for crowd workers.

    Returns
    -------
    AlternativeAnnotator
        It leaves out persons with fewer than 30 texts that two others and the LLM labelled, too.

    Raises
    ------
    InputError
        `epsilon` is out of range, or fewer than three persons have so many texts.
    """
    if not 0 <= epsilon < 1:
        raise InputError(f"epsilon is {epsilon:g}, which is not from 0 to below 1; 0.15 suits trained people")
    names = list(persons) or [str(number) for number in range(1, codes.shape[1] + 1)]
    counts = vote_counts(codes, n_classes)
    shared = (codes >= 0) & (counts.sum(axis=1, keepdims=True) > FEWEST_OTHERS) & (llm[:, None] >= 0)
    enough = np.flatnonzero(shared.sum(axis=0) >= FEWEST_TEXTS)
    if len(enough) < FEWEST_PERSONS:
        most = ", ".join(f"{name} {number:,}" for name, number in zip(names, shared.sum(axis=0).tolist(), strict=True))
        raise InputError(
            f"the alternative annotator test needs {FEWEST_PERSONS} persons with {FEWEST_TEXTS} texts each that two "
            f"others labelled, too; so far {most}"
        )
    contests = [_contest(llm, codes, counts, j, shared[:, j], epsilon, names[j]) for j in enough.tolist()]
    won = false_discovery_control([contest[-1] for contest in contests], method="by") <= FALSE_DISCOVERIES
    finished = [Contest(*contest, bool(rejected)) for contest, rejected in zip(contests, won, strict=True)]
    rho = float(np.mean([contest.llm for contest in finished]))
    return AlternativeAnnotator(float(won.mean()), rho, epsilon, finished)


def _contest(
    llm: NDArray[np.integer],
    codes: NDArray[np.integer],
    counts: NDArray[np.int64],
    j: int,
    shared: NDArray[np.bool_],
    epsilon: float,
    name: str,
) -> tuple[str, int, float, float, float]:
    """Fields of a `Contest` but the last."""
    mine, machine, others = codes[shared, j], llm[shared], counts[shared].copy()
    places = np.arange(len(mine))
    others[places, mine] -= 1
    by_llm, by_person = others[places, machine], others[places, mine]
    wins, losses = by_llm >= by_person, by_person >= by_llm
    p = _p_value(losses.astype(np.float64) - wins, epsilon)
    return name, len(mine), float(wins.mean()), float(losses.mean()), p


def _p_value(differences: Numbers, epsilon: float) -> float:
    """Of the hypothesis that the mean is epsilon or more, by Student's t; without variance it is certain."""
    n, mean, deviation = len(differences), differences.mean(), differences.std(ddof=1)
    if deviation < 1e-12:
        return float(mean >= epsilon)
    return float(stdtr(n - 1, (mean - epsilon) / (deviation / n**0.5)))
