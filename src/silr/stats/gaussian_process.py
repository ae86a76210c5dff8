"""A softmax Gaussian process on few gold labels, averaged over its hyperparameters by the marginal likelihood.

The logits of a text are

    sum_o w_o v_o + b + t[LLM label] + sum_v h_v(x),

with prior-mean terms v_o (such as an LLM's label) and their weights w_o ~ N(mean, variance), a shift b of each
class, a table t with one row for each LLM label, and for each block of features a linear function h_v whose weights
have the covariance ``a C^p / tr(C^(p+1))``, C being the covariance of the block in the corpus: with p = 0 all
directions of the features are alike, with p = 1 and 2 the classes are expected along those in which the corpus differs
most. Nothing is chosen by cross-validation: each combination of amplitudes a and powers p is weighed by the probability
that it gives to the gold labels.

Logits are handled as contrasts (`silr.stats.contrasts`) with T columns.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.7, 3.5 and 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from threadpoolctl import ThreadpoolController

from silr.stats import laplace
from silr.stats.annotator_evidence import Integers, one_hot
from silr.stats.contrasts import Floats, Numbers

FEW_DIRECTIONS = 0.2  # effective number of directions of a block, as a share of all, below which all are alike
NUMBERS_AT_ONCE = 1_000_000  # of kernels: larger arrays leave the cache
JITTER, SMALL = 1e-8, 1e-12


@cache
def _libraries() -> ThreadpoolController:
    """Of linear algebra; to look for them takes milliseconds."""
    return ThreadpoolController()


@dataclass(frozen=True)
class Block:
    """One kind of features."""

    columns: slice
    # prior covariance of the weights, shape (d, d), for each power; the features have a mean square of 1 by each
    kernels: list[Numbers]

    @classmethod
    def of(cls, columns: slice, covariance: Numbers) -> Block:
        """With the covariance of its features in the corpus."""
        variance, squares = np.trace(covariance), (covariance**2).sum()
        if variance**2 <= FEW_DIRECTIONS * len(covariance) * squares:
            return cls(columns, [np.eye(len(covariance)) / max(variance, SMALL)])
        square = covariance @ covariance
        return cls(columns, [covariance / squares, square / (square * covariance).sum()])


@dataclass(frozen=True)
class Prior:
    """What is expected before any gold label."""

    # which prior-mean terms there are, and mean and variance of their weights
    terms: tuple[tuple[str, float, float], ...]
    shift: float  # variance of the shift of a class
    table: float  # variance of an entry of the table
    # hyperparameters: for each block the number of its kernel and the amplitude
    grid: tuple[tuple[tuple[int, float], ...], ...]
    log_prior: tuple[float, ...]  # of each combination in the grid

    def best(self, evidence: Numbers, count: int) -> Prior:
        """With the combinations of the highest posterior probability only."""
        kept = np.argsort(evidence + np.array(self.log_prior))[::-1][:count].tolist()
        return replace(
            self, grid=tuple(self.grid[each] for each in kept), log_prior=tuple(self.log_prior[each] for each in kept)
        )


@dataclass(frozen=True)
class Posterior:
    """Posterior means, from which the logits of any text follow."""

    term_weights: dict[str, float]  # weight of each prior-mean term, by its name
    weight: Numbers  # shape (T, d), of the standardised features
    shift: Numbers  # shape (T,)
    tables: list[Numbers]  # for each LLM, what its label adds, shape (K, T)
    evidence: Numbers  # log marginal likelihood of each combination
    log_evidence: float  # of all of them, averaged by their prior


class GoldProcess:
    """The process on the gold labels: kernels are computed once for all priors and subsets.

    `features`, shape (m, d): standardised, of the texts with gold label. `llm_labels`, shape (m,): one for each LLM; -1
    for none. `codes`, shape (m,): gold labels.
    """

    def __init__(
        self,
        features: Numbers,
        blocks: Sequence[Block],
        llm_labels: Sequence[Integers],
        codes: Integers,
        n_classes: int,
    ) -> None:
        self.features, self.blocks, self.n_classes = features, blocks, n_classes
        self.one_hot = np.eye(n_classes)[codes]
        self.llm_one_hot = [one_hot(labels, n_classes) for labels in llm_labels]
        agreements = (labels @ labels.T for labels in self.llm_one_hot)
        self._agree = sum(agreements, np.zeros((len(codes), len(codes))))
        parts = [features[:, block.columns] for block in blocks]
        self._kernels = [
            [part @ kernel @ part.T for kernel in block.kernels] for part, block in zip(parts, blocks, strict=True)
        ]

    def fit(
        self, rows: NDArray[np.int64], terms: Mapping[str, Floats], prior: Prior, with_evidence: bool = True
    ) -> Posterior:
        """Learn from some of the gold labels.

        `rows`, shape (l,): their positions. `terms`, shape (m, T): the prior-mean terms at all m texts, by name.
        `with_evidence`: False, of more than two classes and a grid of one: the evidence is NaN, and much time is saved.
        """
        with _libraries().limit(limits=1):  # threads that share so small matrices wait for each other
            duals, evidence = self._fit(rows, terms, prior, with_evidence)
        log_posterior = evidence + np.array(prior.log_prior)
        shares = softmax(log_posterior) if len(log_posterior) > 1 else np.ones(1)
        total = np.tensordot(shares, duals, axes=1)
        known = self.features[rows]
        weight = np.zeros((total.shape[1], self.features.shape[1]))
        for place, block in enumerate(self.blocks):
            for number, kernel in enumerate(block.kernels):
                size = np.array([each[place][1] * (each[place][0] == number) for each in prior.grid])
                if size.any():
                    mixed = np.tensordot(shares * size, duals, axes=1)
                    weight[:, block.columns] += mixed.T @ known[:, block.columns] @ kernel
        return Posterior(
            {name: mean + variance * float((terms[name][rows] * total).sum()) for name, mean, variance in prior.terms},
            self._factor * weight,
            self._factor * prior.shift * total.sum(axis=0),
            [self._factor * prior.table * each[rows].T @ total for each in self.llm_one_hot],
            evidence,
            float(logsumexp(log_posterior)),
        )

    @property
    def _factor(self) -> float:
        """The difference of two classes has twice the variance of each."""
        return 2.0 if self.n_classes == 2 else 1.0

    def _fit(
        self, rows: NDArray[np.int64], terms: Mapping[str, Floats], prior: Prior, with_evidence: bool
    ) -> tuple[Numbers, Numbers]:
        """Duals (c, l, T) and evidence (c,) of each combination."""
        base = prior.shift + prior.table * self._agree[rows][:, rows] + JITTER * np.eye(len(rows))
        kernels = [[each[rows][:, rows] for each in pair] for pair in self._kernels]
        values = [np.asarray(terms[name][rows], np.float64) for name, _, _ in prior.terms]
        one_hot = self.one_hot[rows]
        mean = sum(
            (each * value for (_, each, _), value in zip(prior.terms, values, strict=True)), 0.0 * one_hot[:, -1:]
        )
        classes = 1 if self.n_classes == 2 else self.n_classes
        mean = np.broadcast_to(mean, (len(rows), classes))
        duals, evidence = [], []
        at_once = max(1, NUMBERS_AT_ONCE // (classes * len(rows) ** 2))
        for start in range(0, len(prior.grid), at_once):
            some = prior.grid[start : start + at_once]
            covariance = np.tile(base, (len(some), 1, 1))
            for total, combination in zip(covariance, some, strict=True):
                for pair, (kernel, amplitude) in zip(kernels, combination, strict=True):
                    if amplitude:
                        total += amplitude * pair[kernel]
            means = np.tile(mean, (len(some), 1, 1))
            if classes == 1:
                covariance *= self._factor
                for (_, _, variance), value in zip(prior.terms, values, strict=True):
                    covariance += variance * value @ value.T
                modes, log_evidence = laplace.fit_binary(covariance, means[:, :, 0], one_hot[:, 1])
                modes = modes[:, :, None]
            else:
                features = np.stack(values) if values else np.zeros((0, *mean.shape))
                variances = np.tile(np.array([each for _, _, each in prior.terms], np.float64), (len(some), 1))
                modes, log_evidence = laplace.fit_softmax(
                    covariance, features, variances, means, one_hot, with_evidence
                )
            duals.append(modes)
            evidence.append(log_evidence)
        return np.concatenate(duals), np.concatenate(evidence)
