"""Opinions about the classes of texts, and what they say together.

References
----------
Alexandari, Kundaje and Shrikumar, "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift
Adaptation", ICML 2020. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from silr.gold_labels import GoldLabels

Scores = NDArray[np.float64]
SMALL = 1e-3  # penalty of shifts where nothing else is said


@dataclass(frozen=True)
class Pool:
    """Class logits of several opinions: ``sum_v trust_v s_vk + shift_k``.

    One number says how far each opinion is trusted, one how common each class is: few enough for few gold labels. With
    one opinion it is temperature scaling with a bias (Alexandari et al., ICML 2020), for two classes Platt's.
    """

    trust: Scores
    shift: Scores

    @classmethod
    def fit(
        cls,
        opinions: Sequence[Scores],
        gold: GoldLabels,
        penalty: float | Sequence[float],
        towards: Pool | None = None,
        hold: float = SMALL,
    ) -> Pool:
        """Fit to opinions on the gold texts by weighted log-loss; no trust is below 0.

        Parameters
        ----------
        opinions : sequence of arrays of shape (m, K)
        gold : GoldLabels
        penalty : float, or sequence of one for each opinion
            C: trust is held to that of `towards` by an L2 penalty of 1 / C.
        towards : Pool or None, default None
            What is believed before any gold label; None: trust and shifts of 0.
        hold : float, default 0.001
            L2 penalty that holds the shifts.
        """
        stacked, truth = np.stack(opinions, axis=1), np.eye(gold.n_classes)[gold.codes]
        n_opinions = stacked.shape[1]
        if towards is None:
            towards = cls(np.zeros(n_opinions), np.zeros(gold.n_classes))
        first = np.concatenate([towards.trust, towards.shift])
        holds = np.concatenate([np.full(n_opinions, 1 / np.asarray(penalty)), np.full(gold.n_classes, hold)])

        def loss(parameters: Scores) -> tuple[float, Scores]:
            logits = np.tensordot(stacked, parameters[:n_opinions], axes=(1, 0)) + parameters[n_opinions:]
            away = parameters - first
            value = holds @ away**2 / 2 - gold.weights @ (log_softmax(logits, axis=1) * truth).sum(axis=1)
            gap = (softmax(logits, axis=1) - truth) * gold.weights[:, None]
            slopes = np.concatenate([np.einsum("mvk,mk->v", stacked, gap), gap.sum(axis=0)])
            return float(value), slopes + holds * away

        bounds = [(0.0, None)] * n_opinions + [(None, None)] * gold.n_classes
        found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(found[:n_opinions], found[n_opinions:])

    def __call__(self, opinions: Sequence[Scores]) -> Scores:
        """Logits of any texts, shape (n, K)."""
        logits = np.tile(self.shift, (len(opinions[0]), 1))
        for trust, opinion in zip(self.trust, opinions, strict=True):
            logits += trust * opinion
        return logits


def standard(llm_scores: NDArray[Any]) -> Scores:
    """The LLM's log-probabilities, shape (n, K), alike for all classes where it gave none, on the pool's scale."""
    scores = centred(llm_scores)
    found: Scores = (scores - scores.mean(axis=0)) / scale_of(scores)
    return found


def centred(scores: NDArray[Any]) -> Scores:
    """Scores of K classes, shape (n, K), without what they have in common."""
    scores = np.asarray(scores, dtype=np.float64)
    found: Scores = scores - scores.mean(axis=1, keepdims=True)
    return found


def scale_of(scores: Scores) -> float:
    """What to divide centred scores by, so that those of two classes differ by a standard deviation of 1."""
    return max(2 * float(scores.std()), 1e-12)
