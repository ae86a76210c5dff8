"""Regression with labels that a model predicts, corrected by the gold labels of a few texts.

A regression solves an equation: the scores of all texts, ``psi = x (y - mean(x beta))``, add up to 0. If the label is
the outcome or a regressor, its score is known of gold texts alone. Of the others the model's class probabilities say
what to expect of it, ``psi_hat = sum_k p_k psi(class k)``. The equation that is solved here is

    sum over all texts of power * psi_hat_i + sum over gold texts of w_i (psi_i - power * psi_hat_i) = 0

w_i is for how many texts a gold label speaks. Its solution is right on average however wrong the model is. Power 1 is
design-based supervised learning, power 0 is the weighted regression on gold labels alone. The power between them makes
the design variance smallest.

The variance of the sum is that of all true labels, ``sum psi psi'``, and what the draw of the gold labels adds,
``sum over gold texts of w_i (w_i - 1) e_i e_i'`` with ``e_i = psi_i - power * psi_hat_i`` less its weighted mean.

References
----------
Egami, Hinck, Stewart, Wei, "Using imperfect surrogates for downstream inference: design-based supervised learning",
NeurIPS 2023 (arXiv 2306.04746).
Angelopoulos, Duchi, Zrnic, "PPI++: efficient prediction-powered inference", 2023 (arXiv 2311.01453): the power.
White, "A heteroskedasticity-consistent covariance matrix estimator", Econometrica 48, 1980: the sandwich.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import expit, stdtr, stdtrit

from silr.stats.contrasts import Numbers
from silr.stats.intervals import LEVEL
from silr.stats.prediction_powered import MODEL_LABELS

BLOCK = 2**16  # texts at once
MOST_STEPS = 100  # of Newton's method
LARGEST_LOGIT = 30.0  # beyond it a logistic regression has no finite estimate
LARGEST_LEVERAGE = 0.7  # of a gold text; the only one that tells a coefficient would have 1
LINEAR, LOGISTIC = "linear", "logistic"


@dataclass(frozen=True)
class ClassDesign:
    """Regressors and outcome of n texts, under each of K classes that a text may have."""

    fixed: Numbers  # shape (n, p), the regressors; in the columns `varying` anything
    varying: NDArray[np.intp]  # shape (v,), columns that depend on the class
    of_class: Numbers  # shape (K, n, v), those columns
    outcome: Numbers  # shape (K, n)

    def regressors(self, k: int, rows: NDArray[np.intp] | slice = slice(None)) -> Numbers:
        """Shape (n, p), if the texts are of class k."""
        X = self.fixed[rows]
        if len(self.varying):
            X = X.copy()
            X[:, self.varying] = self.of_class[k][rows]
        return X

    def gram(self, probabilities: Numbers) -> Numbers:
        """Expected mean of x x', shape (p, p)."""
        total = np.zeros((self.fixed.shape[1],) * 2)
        for start in range(0, len(self.fixed), BLOCK):
            rows = slice(start, start + BLOCK)
            if not len(self.varying):
                total += self.fixed[rows].T @ self.fixed[rows]
                continue
            for k, p in enumerate(probabilities[rows].T):
                X = self.regressors(k, rows)
                total += X.T @ (X * p[:, None])
        return np.asarray(total / len(self.fixed))


class Coefficients(NamedTuple):
    """p estimates."""

    value: Numbers  # shape (p,)
    covariance: Numbers  # shape (p, p)
    degrees: Numbers  # of freedom, shape (p,)
    power: float

    @property
    def error(self) -> Numbers:
        """Standard errors, shape (p,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0)))

    def limits(self) -> tuple[Numbers, Numbers]:
        """95 % interval, by Student's distribution."""
        half = stdtrit(self.degrees, (1 + LEVEL) / 2) * self.error
        return np.asarray(self.value - half), np.asarray(self.value + half)

    def p_values(self) -> Numbers:
        """Two-sided, of the hypothesis that a coefficient is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * stdtr(self.degrees, -np.abs(self.value / self.error)))


class DesignBased:
    """A linear or logistic regression of texts whose class is known of few.

    Parameters
    ----------
    design : ClassDesign
        Its columns should have mean 0 and deviation 1, but for the intercept, or Newton's method is inexact.
    probabilities : ndarray of shape (n, K)
        What the model expects; of a gold text from a fit that did not know its label. Of `known` texts the truth.
    gold : ndarray of int, shape (n,)
        -1 where there is no gold label.
    weights : ndarray of shape (n,)
        For how many texts a gold label speaks; 0 of all texts but those whose gold label judges. They are scaled to sum
        to the number of texts that are not `known`.
    known : ndarray of bool, shape (n,)
        Texts whose probabilities count as they are.
    family : {"linear", "logistic"}
    back : ndarray of shape (p, p), default None
        Takes the coefficients of the columns of `design` to those that are reported. None: they are the same.
    """

    def __init__(
        self,
        design: ClassDesign,
        probabilities: Numbers,
        gold: NDArray[np.integer],
        weights: Numbers,
        known: NDArray[np.bool_],
        family: str = LINEAR,
        back: Numbers | None = None,
    ) -> None:
        self.design, self.p, self.known, self.logistic = design, probabilities, known, family == LOGISTIC
        self.back = np.eye(design.fixed.shape[1]) if back is None else back
        self.rows = np.flatnonzero(weights > 0)
        self.size = int((~known).sum())
        self.gold = gold[self.rows]
        w = weights[self.rows]
        self.w = np.asarray(w * (self.size / w.sum())) if len(w) else w
        self.X = np.stack([design.regressors(k, self.rows) for k in range(probabilities.shape[1])])  # (K, m, p)
        self.y = design.outcome[:, self.rows]  # (K, m)

    @property
    def n_coefficients(self) -> int:
        """The number p."""
        return int(self.design.fixed.shape[1])

    def fit(self, power: float | None = None, *, population: bool = True) -> Coefficients | None:
        """Estimate the coefficients; None if there is no finite estimate.

        No `power`: the one that makes the design variance smallest. `population`: the texts are a sample of more texts;
        else the corpus is all there is, and only the draw of gold labels varies.
        """
        if power is not None:
            value = self._solve(power)
            return None if value is None else self._coefficients(value, power, population)
        value = self._solve(1.0)
        if value is None:
            value = self._solve(0.0)
        if value is None:
            return None
        best = self._best_power(value)
        for power in (best, best / 2, 0.0):  # a logistic regression need not have a solution at the best
            value = self._solve(power, value)
            if value is not None:
                return self._coefficients(value, power, population)
        return None

    def _parts(self) -> Iterator[tuple[slice, Numbers, Numbers, Numbers | None]]:
        """Predicted texts in blocks, with regressors, outcomes and probabilities.

        Where no regressor is a label, the expected outcome stands for all classes.
        """
        d = self.design
        for start in range(0, len(self.p), BLOCK):
            rows = slice(start, start + BLOCK)
            if not len(d.varying):
                yield rows, d.fixed[rows], np.einsum("nk,kn->n", self.p[rows], d.outcome[:, rows]), None
                continue
            for k in range(self.p.shape[1]):
                yield rows, d.regressors(k, rows), d.outcome[k, rows], self.p[rows, k]

    def _counted(self, power: float) -> Iterator[tuple[Numbers, Numbers, Numbers]]:
        """Regressors, outcomes and how often these count, of predicted texts and of gold texts."""
        share, at = self._shares(power), np.arange(len(self.rows))
        for rows, X, y, q in self._parts() if share.any() else ():
            yield X, y, share[rows] if q is None else share[rows] * q
        yield self.X[self.gold, at], self.y[self.gold, at], self.w

    def _mean(self, linear: Numbers) -> tuple[Numbers, Numbers]:
        """Mean of the outcome and its slope, of a linear predictor."""
        if not self.logistic:
            return linear, np.ones_like(linear)
        mean = expit(linear)
        return mean, mean * (1 - mean)

    def _shares(self, power: float) -> Numbers:
        """How often the expected score of each text counts, shape (n,)."""
        share = np.where(self.known, 1.0, power)
        share[self.rows] -= power * self.w
        return share

    def _equation(self, value: Numbers, power: float) -> tuple[Numbers, Numbers, float]:
        """The sum of the scores, less its derivative, and the largest linear predictor."""
        p = self.n_coefficients
        score, slope, largest = np.zeros(p), np.zeros((p, p)), 0.0
        for X, y, count in self._counted(power):
            linear = X @ value
            mean, derivative = self._mean(linear)
            score += X.T @ (count * (y - mean))
            slope += X.T @ (X * (count * derivative)[:, None])
            largest = max(largest, float(np.abs(linear[count != 0]).max(initial=0)))
        return score, slope, largest

    def _solve(self, power: float, start: Numbers | None = None) -> Numbers | None:
        """Newton's method with halved steps."""
        value = np.zeros(self.n_coefficients) if start is None else start
        score, slope, _ = self._equation(value, power)
        for _ in range(MOST_STEPS):
            try:
                step = cho_solve(cho_factor(slope), score)
            except (LinAlgError, ValueError):  # no maximum here: the weights of predicted rows may be negative
                return None
            if not self.logistic:
                return np.asarray(value + step)
            for _ in range(30):
                new = value + step
                new_score, new_slope, largest = self._equation(new, power)
                if np.linalg.norm(new_score) < np.linalg.norm(score):
                    break
                step = step / 2
            if largest > LARGEST_LOGIT:
                return None
            moved, value, score, slope = np.abs(new - value).max(), new, new_score, new_slope
            if moved < 1e-10 * (1 + np.abs(value).max()):
                return np.asarray(value)
        return None

    def _scores(self, value: Numbers) -> tuple[Numbers, Numbers]:
        """Expected score of each text, shape (n, p), and the score of the gold texts under each class (K, m, p)."""
        expected = np.zeros_like(self.design.fixed)
        for rows, X, y, q in self._parts():
            residual = y - self._mean(X @ value)[0]
            expected[rows] += X * (residual if q is None else residual * q)[:, None]
        return expected, self.X * (self.y - self._mean(self.X @ value)[0])[:, :, None]

    def _best_power(self, value: Numbers) -> float:
        """The power of the smallest variance of the linear predictor in the mean of the texts, between 0 and 1.

        The trace of the covariance would depend on the units of the regressors.
        """
        factor = self.w * np.maximum(self.w - 1, 0)
        expected, by_class = self._scores(value)
        slope = self._equation(value, 1.0)[1]
        try:
            root = np.linalg.cholesky(np.linalg.inv(slope))
        except np.linalg.LinAlgError:
            return 0.0
        truth = self._centred(by_class[self.gold, np.arange(len(self.rows))]) @ root
        predicted = self._centred(expected[self.rows]) @ root
        variance = float(factor @ (predicted**2).sum(axis=1))
        if variance <= 0:
            return 1.0
        return float(np.clip(factor @ (truth * predicted).sum(axis=1) / variance, 0.0, 1.0))

    def _centred(self, values: Numbers) -> Numbers:
        return np.asarray(values - self.w @ values / self.w.sum()) if len(self.w) else values

    def _coefficients(self, value: Numbers, power: float, population: bool) -> Coefficients:
        """The sandwich, with the degrees of freedom of each coefficient.

        The degrees of freedom match mean and variance of a chi-square distribution (Satterthwaite). The squared errors
        of the gold texts are counted like events, each of its own size. Our choice.
        """
        n, p, m = len(self.known), self.n_coefficients, len(self.rows)
        bread = self.back @ np.linalg.inv(self._equation(value, power)[1])
        expected, by_class = self._scores(value)
        draws = self._draws(expected, by_class, power) @ bread.T
        covariance = np.einsum("mrp,mrq->pq", draws, draws)
        of_text = (draws**2).sum(axis=1)  # what each gold text adds to the design variance of each coefficient
        degrees = np.minimum(2 * _ratio(of_text.sum(axis=0) ** 2, (of_text**2).sum(axis=0)), max(m - 1, 1))
        spent = _ratio(np.diag(covariance) ** 2, degrees)
        if population:
            texts = bread @ self._population_variance(expected, by_class, power) @ bread.T * (n / max(n - p, 1))
            covariance = covariance + texts
            spent = spent + np.diag(texts) ** 2 / max(n - p, 1)
        degrees = np.maximum(_ratio(np.diag(covariance) ** 2, spent), 1.0)
        return Coefficients(self.back @ value, covariance, degrees, power)

    def _errors(self, expected: Numbers, by_class: Numbers, power: float) -> Numbers:
        """Score less what was expected of it, of each gold text, less the mean; shape (m, p)."""
        truth = by_class[self.gold, np.arange(len(self.rows))]
        return self._centred(truth - power * expected[self.rows])

    def _draws(self, expected: Numbers, by_class: Numbers, power: float) -> Numbers:
        """Rows, shape (m, K + 2, p), whose squares add up to what the draw of each gold text adds to the variance.

        What the model expects of the e_i^2 counts as `MODEL_LABELS` further gold labels, as in
        `silr.stats.prediction_powered`: few gold labels may happen to have no error at all. The errors that were seen
        are divided by 1 less the leverage of their text (MacKinnon, White, Journal of Econometrics 29, 1985: HC3).
        """
        m, at_gold = len(self.rows), expected[self.rows]
        factor = self.w * np.maximum(self.w - 1, 0) / (m + MODEL_LABELS)
        seen = (np.sqrt(factor * m) / (1 - self._leverage()))[:, None] * self._errors(expected, by_class, power)
        roots = np.sqrt(factor[:, None] * MODEL_LABELS * self.p[self.rows])
        model = roots[:, :, None] * (by_class - at_gold).transpose(1, 0, 2)
        rest = (1 - power) * np.sqrt(factor * MODEL_LABELS)[:, None] * self._centred(at_gold)
        return np.concatenate([seen[:, None], model, rest[:, None]], axis=1)

    def _leverage(self) -> Numbers:
        """Of each gold text in the weighted regression on the gold texts alone, shape (m,)."""
        X = self.X[self.gold, np.arange(len(self.rows))]
        gram = np.linalg.pinv(X.T @ (self.w[:, None] * X))
        leverage = self.w * np.einsum("mp,pq,mq->m", X, gram, X, optimize=True)
        return np.asarray(np.minimum(leverage, LARGEST_LEVERAGE))

    def _population_variance(self, expected: Numbers, by_class: Numbers, power: float) -> Numbers:
        """``sum psi psi'`` of all texts, where gold texts stand for those without gold; shape (p, p)."""
        errors = self._errors(expected, by_class, power)
        about, open_texts = expected.copy(), ~self.known
        about[open_texts] *= power
        about[open_texts] -= about.sum(axis=0) / max(self.size, 1)  # the mean error: the scores add up to 0
        cross = about[self.rows].T @ (self.w[:, None] * errors)
        total = about.T @ about + cross + cross.T + errors.T @ (self.w[:, None] * errors)
        values, vectors = np.linalg.eigh(total)
        return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """0 of nothing."""
    return np.asarray(np.divide(above, below, out=np.zeros_like(below), where=below > 0))


def collinear(gram: Numbers, tolerance: float = 1e-9) -> int | None:
    """The first column that is a linear combination of those before it, of a matrix with this Gram matrix."""
    scale = np.sqrt(np.maximum(np.diag(gram), 0))
    for j in range(len(gram)):
        if scale[j] <= 0:
            return j
    G = gram / np.outer(scale, scale)
    for j in range(1, len(G)):
        before = np.linalg.lstsq(G[:j, :j], G[:j, j], rcond=None)[0]
        if G[j, j] - G[:j, j] @ before < tolerance:
            return j
    return None
