"""The first soft labels: what the LLM's scores and the gold labels, seen from several views, say together.

An argmax of the LLM's scores throws away how sure it is, and takes its bias along. A few gold labels know less, but
are right. A logistic regression of their own for each view (hidden states, TF-IDF) learns from the gold labels alone;
what these say about gold texts that they have not seen is pooled with the LLM's scores. The pool finds out how far each
is to be trusted: on some corpora the LLM knows nearly everything, on others next to nothing. Before the gold labels say
anything, what the LLM's scores say by themselves (`silr.self_training`) is trusted, and nothing else.

References
----------
Wolpert, "Stacked Generalization", Neural Networks 5, 1992.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from silr.ridge import StandardisedMatrix

Scores = NDArray[np.float64]
PENALTIES = np.logspace(-4.5, 0, 7)  # C of the views' regressions, on standardised features
STACK_PENALTY = 2.0  # C of the pool
STACK_HOLD = 2.0  # penalty of its shifts
FIRST_TRUST = 1.0  # in what the LLM's scores say by themselves
SMALL = 1e-3  # penalty of shifts where nothing else is said
FOLDS = 5
LEAST = 3  # gold labels of each class: one to learn from inside a fold inside a fold


@dataclass(frozen=True)
class GoldLabels:
    """Gold labels of m texts.

    Attributes
    ----------
    rows : int64 array of shape (m,)
        Where the texts stand in the corpus.
    codes : int array of shape (m,)
        Classes, 0..K-1.
    weights : float64 array of shape (m,)
        1 / probability of being drawn, with a mean of 1.
    n_classes : int
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    weights: NDArray[np.float64]
    n_classes: int

    @classmethod
    def of(cls, codes: NDArray[Any], weights: NDArray[Any] | None, n_classes: int) -> GoldLabels:
        """Take the rows of a column that have a label (not -1); without weights all weigh the same."""
        rows = np.flatnonzero(codes >= 0)
        weight = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)[rows]
        return cls(rows, codes[rows].astype(np.int64), weight / weight.mean(), n_classes)

    def part(self, positions: NDArray[np.int64]) -> GoldLabels:
        """Some of them."""
        return GoldLabels(self.rows[positions], self.codes[positions], self.weights[positions], self.n_classes)

    def folds(self, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions to learn from and positions left out: five times, or as often as the rarest class has labels."""
        count = min(FOLDS, int(np.bincount(self.codes).min()))
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        return list(splitter.split(self.codes, self.codes))


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
        penalty: float,
        towards: Pool | None = None,
        hold: float = SMALL,
    ) -> Pool:
        """Fit to opinions on the gold texts by weighted log-loss.

        Parameters
        ----------
        opinions : sequence of arrays of shape (m, K)
        gold : GoldLabels
        penalty : float
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
        holds = np.concatenate([np.full(n_opinions, 1 / penalty), np.full(gold.n_classes, hold)])

        def loss(parameters: Scores) -> tuple[float, Scores]:
            logits = np.tensordot(stacked, parameters[:n_opinions], axes=(1, 0)) + parameters[n_opinions:]
            away = parameters - first
            value = holds @ away**2 / 2 - gold.weights @ (log_softmax(logits, axis=1) * truth).sum(axis=1)
            gap = (softmax(logits, axis=1) - truth) * gold.weights[:, None]
            slopes = np.concatenate([np.einsum("mvk,mk->v", stacked, gap), gap.sum(axis=0)])
            return float(value), slopes + holds * away

        found = minimize(loss, first, jac=True, method="L-BFGS-B").x
        return cls(found[:n_opinions], found[n_opinions:])

    def __call__(self, opinions: Sequence[Scores]) -> Scores:
        """Logits of any texts, shape (n, K)."""
        logits = np.tile(self.shift, (len(opinions[0]), 1))
        for trust, opinion in zip(self.trust, opinions, strict=True):
            logits += trust * opinion
        return logits


def stack(X: StandardisedMatrix, views: Sequence[slice], llm: Scores | None, gold: GoldLabels, seed: int) -> Scores:
    """Class logits of all texts.

    Parameters
    ----------
    X : StandardisedMatrix
        Features of the corpus.
    views : sequence of slice
        The columns of each kind of features.
    llm : array of shape (n, K) or None
        What the LLM's scores say by themselves, of deviation 1 as `scale_of` has it.
    gold : GoldLabels
        At least two of each class.
    seed : int
        Of the folds.

    Returns
    -------
    float64 array of shape (n, K)
    """
    everywhere: list[Scores] = []
    at_gold: list[Scores] = []
    trust: list[float] = []
    if llm is not None:
        everywhere.append(llm)
        at_gold.append(llm[gold.rows])
        trust.append(FIRST_TRUST)
    known = X.rows(gold.rows)
    for view in views:
        left_out, weight, intercept = _one_view(known[:, view], gold, seed)
        size = scale_of(left_out)
        everywhere.append(X.scores(weight, intercept, view) / size)
        at_gold.append(left_out / size)
        trust.append(0.0)
    towards = Pool(np.array(trust), np.zeros(gold.n_classes))
    return Pool.fit(at_gold, gold, STACK_PENALTY, towards, STACK_HOLD)(everywhere)


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


def _one_view(X: NDArray[Any], gold: GoldLabels, seed: int) -> tuple[Scores, Scores, Scores]:
    """Logits of left-out gold texts with the best penalty, and weights and intercepts with all of them.

    Gold labels weigh alike here: what a text says of its class does not depend on how it was drawn, and weights that
    differ would only make fewer labels of them. The pool, which sets thresholds, weighs them.

    The regression is done in the coordinates of the at most m directions that the m texts span: the others get no
    weight from an L2 penalty.
    """
    _, _, axes = np.linalg.svd(X, full_matrices=False)
    low = X @ axes.T
    folds = gold.folds(seed)
    best: tuple[float, float, Scores] | None = None
    for penalty in PENALTIES:
        logits = np.empty((len(X), gold.n_classes))
        for learn, leave in folds:
            weight, intercept = _regression(low[learn], gold.part(learn), penalty)
            logits[leave] = low[leave] @ weight.T + intercept
        loss = log_loss(gold.codes, softmax(logits, axis=1), labels=range(gold.n_classes))
        if best is None or loss < best[0]:
            best = loss, penalty, logits
    assert best is not None
    weight, intercept = _regression(low, gold, best[1])
    return best[2], weight @ axes, intercept


def _regression(X: NDArray[Any], gold: GoldLabels, penalty: float) -> tuple[Scores, Scores]:
    """Logistic regression on X, shape (m, d): centred weights (K, d) and intercepts (K,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that did not suffice: the last ones change nothing here
        model = LogisticRegression(C=penalty, max_iter=300).fit(X, gold.codes)
    weight, intercept = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, intercept = np.vstack([-weight, weight]) / 2, np.append(-intercept, intercept) / 2
    return weight - weight.mean(axis=0), intercept - intercept.mean()
