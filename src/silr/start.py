"""The first soft labels: what the LLM's scores and the gold labels say together.

An argmax of the LLM's scores throws away how sure it is, and takes its bias along. A few gold labels know less, but are
right. So the logit of a class is a Gaussian process whose mean is what the LLM's scores say by themselves
(`silr.self_training`), and which the gold labels correct: in the trust in the LLM, in a shift, and in a linear function
of each kind of features. How large these corrections are to be expected, and along which directions of the features,
nobody says: every combination of a grid is weighed by its evidence, the probability that it gives to the gold labels.
So on some corpora the LLM is trusted nearly alone, on others next to nothing, without a label spent on finding out.

The kernel of features is the usual one, ``x x'``, or ``x C^2 x'`` with C their covariance in the corpus, by which two
texts are alike if they are alike to the same texts of the corpus. The second one expects the classes along the
directions in which the corpus differs most, as those of words often are. It is left out for features that differ in a
few directions only, as hidden states do, whatever the texts are about.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.7, 3.4 and 5.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import log_expit, logsumexp, softmax
from torch import Tensor

from silr import laplace
from silr.gold_labels import GoldLabels
from silr.pool import Scores
from silr.ridge import StandardisedMatrix

SHIFT_VARIANCES = (0.3, 3.0)
AMPLITUDES = tuple(np.logspace(-1, 2.6, 5))  # variance of the correction by one kind of features
SPREAD = 0.2  # effective number of directions, as a share of all, from which on the second kernel makes sense
MOST_FITS = 200  # as many combinations are weighed at most, times classes
STAGES = (100, 20), (500, 4)  # of more than so many gold labels, these choose so many combinations, divided by classes,
FEWEST = 4  # and at least so many
NUMBERS_AT_ONCE = 20_000_000  # of kernels
JITTER, SMALL = 1e-8, 1e-12


class Combination(NamedTuple):
    """What is expected of the corrections: the variance of the shift, and kernel and amplitude of each view."""

    shift: float
    views: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Opinion:
    """What somebody says of all texts, and how far it is trusted before any gold label.

    Attributes
    ----------
    margins : float64 array of shape (t, n)
        Log-odds of class 1, t = 1, or of each of more classes against the others, t = K.
    trust, variance : float
        Mean and variance of the factor that makes logits of the result of them.
    """

    margins: Scores
    trust: float
    variance: float

    @classmethod
    def of(cls, scores: Scores, trust: float, variance: float) -> Opinion:
        """From class logits, shape (n, K), of deviation 1 as `silr.pool.scale_of` has it."""
        if scores.shape[1] == 2:
            return cls((scores[:, 1] - scores[:, 0])[None], trust, variance)
        others = [logsumexp(np.delete(scores, each, axis=1), axis=1) for each in range(scores.shape[1])]
        return cls(scores.T - np.array(others), trust, variance)


@dataclass(frozen=True)
class View:
    """One kind of features, with its kernels.

    Attributes
    ----------
    columns : slice
    plain : float
        The features times this are of mean square 1 in the corpus; the first kernel is their product.
    through : float64 array of shape (d, d) or None
        The features times this are, too; the second kernel is their product, if there is one.
    """

    columns: slice
    plain: float
    through: Scores | None

    @classmethod
    def of(cls, columns: slice, covariance: Scores) -> View:
        """With the covariance of its features in the corpus."""
        variance, squares = np.trace(covariance), (covariance**2).sum()
        through = None
        if variance**2 > SPREAD * len(covariance) * squares:
            through = covariance / np.sqrt((covariance @ covariance * covariance).sum())
        return cls(columns, 1 / np.sqrt(max(variance, SMALL)), through)

    def mapped(self, features: Scores) -> list[Scores]:
        """For each kernel the features, shape (m, d), whose product it is.

        Both maps are symmetric, so that they also make weights of the features of weights of what they make of them.
        """
        found = [features * self.plain]
        if self.through is not None:
            found.append(features @ self.through)
        return found


def first_logits(
    X: StandardisedMatrix, views: Sequence[View], opinions: Sequence[Opinion], parts: Sequence[GoldLabels]
) -> list[Scores]:
    """Class logits of all texts, by each of several sets of gold labels.

    Parameters
    ----------
    X : StandardisedMatrix
        Features of the corpus; they are read once for all sets.
    views : sequence of View
        They cover its columns.
    opinions : sequence of Opinion
    parts : sequence of GoldLabels
        Weights are not read: what a text says of its class does not depend on how it was drawn.

    Returns
    -------
    list of float64 arrays of shape (n, K)
        Of two classes it is one process, of more one for each class against the others.
    """
    fits = [_fit(X, views, opinions, part) for part in parts]
    weights, shifts = np.vstack([each.weight for each in fits]), np.concatenate([each.shift for each in fits])
    found = []
    for each, logits in zip(fits, np.split(X.scores(weights, shifts), len(fits), axis=1), strict=True):
        for opinion, trust in zip(opinions, each.trusts, strict=True):
            logits += (trust[:, None] * opinion.margins).T
        found.append(np.hstack([-logits, logits]) / 2 if logits.shape[1] == 1 else np.asarray(log_expit(logits)))
    return found


class _Fit(NamedTuple):
    """Weights of the features (t, d), shifts (t,), and for each opinion the factors (t,) of its margins."""

    weight: Scores
    shift: Scores
    trusts: list[Scores]


def _fit(X: StandardisedMatrix, views: Sequence[View], opinions: Sequence[Opinion], gold: GoldLabels) -> _Fit:
    known = X.rows(gold.rows)
    mapped = [view.mapped(known[:, view.columns]) for view in views]
    at_gold = [np.ascontiguousarray(each.margins[:, gold.rows]) for each in opinions]
    problem = _Problem.of(mapped, opinions, at_gold, _targets(gold))
    combinations, shares, duals = _weighed(problem)
    weighted = shares[:, None, None] * duals
    total = weighted.sum(axis=0)
    weight = np.zeros((len(total), X.shape[1]))
    for place, (view, kernels) in enumerate(zip(views, mapped, strict=True)):
        for kernel, features in enumerate(kernels):
            size = [each.views[place][1] * (each.views[place][0] == kernel) for each in combinations]
            weight[:, view.columns] += view.mapped(np.tensordot(size, weighted, axes=1) @ features)[kernel]
    shift = np.array([each.shift for each in combinations]) @ weighted.sum(axis=2)
    trusts = [
        each.trust + each.variance * (total * there).sum(axis=1) for each, there in zip(opinions, at_gold, strict=True)
    ]
    return _Fit(weight, shift, trusts)


@dataclass(frozen=True)
class _Problem:
    """Kernels of the views (m, m); the sum of the opinions' kernels (t, m, m), prior means and targets (t, m)."""

    kernels: list[list[Tensor]]
    opinions: Tensor
    means: Tensor
    targets: Tensor

    @classmethod
    def of(
        cls, mapped: list[list[Scores]], opinions: Sequence[Opinion], at_gold: list[Scores], targets: Scores
    ) -> _Problem:
        t, m = targets.shape
        kernel, means = np.tile(JITTER * np.eye(m), (t, 1, 1)), np.zeros((t, m))
        for opinion, margins in zip(opinions, at_gold, strict=True):
            kernel += opinion.variance * margins[:, :, None] * margins[:, None, :]
            means += opinion.trust * margins
        views = [[torch.from_numpy(each @ each.T) for each in kernels] for kernels in mapped]
        return cls(views, *map(torch.from_numpy, (kernel, means, targets)))

    def part(self, rows: Tensor) -> _Problem:
        kernels = [[each[rows][:, rows] for each in pair] for pair in self.kernels]
        return _Problem(kernels, self.opinions[:, rows][:, :, rows], self.means[:, rows], self.targets[:, rows])

    def fit(self, combinations: Sequence[Combination]) -> tuple[Scores, Scores]:
        """Duals (c, t, m) and evidence (c,) of combinations."""
        t, m = self.targets.shape
        duals, evidence = [], []
        at_once = max(1, NUMBERS_AT_ONCE // (t * m * m))
        for start in range(0, len(combinations), at_once):
            some = combinations[start : start + at_once]
            kernels = torch.stack([self._kernel(each) for each in some]).unsqueeze(1) + self.opinions
            found, said = laplace.fit(
                kernels.reshape(len(some) * t, m, m), self.means.repeat(len(some), 1), self.targets.repeat(len(some), 1)
            )
            duals.append(found.reshape(len(some), t, m).numpy())
            evidence.append(said.reshape(len(some), t).sum(dim=1).numpy())
        return np.concatenate(duals), np.concatenate(evidence)

    def _kernel(self, combination: Combination) -> Tensor:
        total = torch.full(self.opinions.shape[1:], combination.shift, dtype=torch.float64)
        for pair, (kernel, amplitude) in zip(self.kernels, combination.views, strict=True):
            total = total + amplitude * pair[kernel]
        return total


def _weighed(problem: _Problem) -> tuple[list[Combination], Scores, Scores]:
    """Combinations, their shares of the evidence (c,), and the duals of their fits (c, t, m)."""
    t, m = problem.targets.shape
    combinations = _combinations([len(each) for each in problem.kernels], MOST_FITS // t)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(m))
    for few, chosen in STAGES:
        if m > few:
            evidence = problem.part(shuffled[:few].sort().values).fit(combinations)[1]
            combinations = [combinations[each] for each in np.argsort(evidence)[-max(chosen // t, FEWEST) :]]
    duals, evidence = problem.fit(combinations)
    return combinations, softmax(evidence), duals


def _combinations(kernels: Sequence[int], most: int) -> list[Combination]:
    """All of the grid for views with so many kernels, or as many of them, drawn at random."""
    each = [list(product(range(count), AMPLITUDES)) for count in kernels]
    size = len(SHIFT_VARIANCES) * math.prod(map(len, each))
    rng = np.random.default_rng(0)
    numbers = np.arange(size) if size <= most else np.sort(rng.choice(size, most, replace=False))
    places = np.unravel_index(numbers, (len(SHIFT_VARIANCES), *map(len, each)))
    return [
        Combination(SHIFT_VARIANCES[shift], tuple(choices[at] for choices, at in zip(each, views, strict=True)))
        for shift, *views in zip(*places, strict=True)
    ]


def _targets(gold: GoldLabels) -> Scores:
    """1 where a gold text is of class 1, shape (1, m), or of each class, shape (K, m)."""
    found = np.eye(gold.n_classes)[gold.codes].T
    return np.ascontiguousarray(found[1:] if gold.n_classes == 2 else found)
