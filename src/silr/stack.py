"""The first soft labels: what the LLM's scores and the gold labels, seen from several views, say together.

An argmax of the LLM's scores throws away how sure it is, and takes its bias along. A few gold labels know less, but
are right. A logistic regression of their own for each view (hidden states, TF-IDF) learns from the gold labels alone;
what these say about gold texts that they have not seen goes, with the LLM's log-odds, into one more. It finds out how
far each is to be trusted: on some corpora the LLM knows nearly everything, on others next to nothing.

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
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from silr.errors import InputError

Scores = NDArray[np.float64]
PENALTIES = np.logspace(-4.5, 0, 7)  # C of the views' regressions, on standardised features
STACK_PENALTY = 0.3  # C of the regression over them
FOLDS = 5


@dataclass(frozen=True)
class Gold:
    """Gold labels of m texts.

    Attributes
    ----------
    rows : int64 array of shape (m,)
        Where the texts stand in the corpus.
    codes : int array of shape (m,)
        Classes, 0..K-1; each occurs at least twice.
    weights : float64 array of shape (m,)
        1 / probability of being drawn, with a mean of 1.
    n_classes : int
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    weights: NDArray[np.float64]
    n_classes: int

    @classmethod
    def of(cls, codes: NDArray[Any], weights: NDArray[Any] | None, class_names: Sequence[str]) -> Gold:
        """Take the rows of a column that have a label (not -1); without weights all weigh the same.

        Raises
        ------
        InputError
            A class has fewer than two gold labels.
        """
        rows = np.flatnonzero(codes >= 0)
        counts = np.bincount(codes[rows], minlength=len(class_names))
        if counts.min() < 2:
            raise InputError(
                f"class {class_names[int(counts.argmin())]!r} has {counts.min()} gold labels; give at least two of each"
            )
        weight = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)[rows]
        return cls(rows, codes[rows].astype(np.int64), weight / weight.mean(), len(class_names))

    def part(self, positions: NDArray[np.int64]) -> Gold:
        """Some of them."""
        return Gold(self.rows[positions], self.codes[positions], self.weights[positions], self.n_classes)

    def folds(self, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions to learn from and positions left out, five times (fewer if a class has fewer labels)."""
        count = min(FOLDS, int(np.bincount(self.codes).min()))
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        return list(splitter.split(self.codes, self.codes))


def stack(views: Sequence[NDArray[Any]], llm_scores: Scores | None, gold: Gold, seed: int) -> Scores:
    """Class logits of all texts.

    Parameters
    ----------
    views : sequence of arrays of shape (n, d)
        Features of the corpus, standardised.
    llm_scores : array of shape (n, K) or None
        The LLM's log-probabilities.
    gold : Gold
    seed : int
        Of the folds.

    Returns
    -------
    float64 array of shape (n, K)
        The first column is 0 for two classes.
    """
    everywhere: list[Scores] = []
    at_gold: list[Scores] = []
    if llm_scores is not None:
        columns = contrasts(llm_scores)
        columns = (columns - columns.mean(axis=0)) / max(float(columns.std()), 1e-12)
        everywhere.append(columns)
        at_gold.append(columns[gold.rows])
    for view in views:
        left_out, weight, intercept = _one_view(view[gold.rows], gold, seed)
        size = max(float(left_out.std()), 1e-12)
        everywhere.append((view @ weight.T + intercept) / size)
        at_gold.append(left_out / size)
    model = regression(np.hstack(at_gold), gold, STACK_PENALTY)
    return class_logits(model, np.hstack(everywhere))


def regression(X: NDArray[Any], gold: Gold, penalty: float) -> Any:
    """A logistic regression of the gold labels on X, shape (m, d)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of steps that did not suffice: the last ones change nothing here
        return LogisticRegression(C=penalty, max_iter=300).fit(X, gold.codes, sample_weight=gold.weights)


def class_logits(model: Any, X: NDArray[Any]) -> Scores:
    """Its logits, shape (n, K), with a column of 0 in front for two classes."""
    found = np.asarray(model.decision_function(X), dtype=np.float64)
    return found if found.ndim == 2 else np.column_stack([np.zeros_like(found), found])


def contrasts(scores: NDArray[Any]) -> Scores:
    """Scores of K classes without what they have in common: the difference for two, deviations from the mean else."""
    scores = np.asarray(scores, dtype=np.float64)
    found: Scores = scores[:, 1:] - scores[:, :1] if scores.shape[1] == 2 else scores - scores.mean(1, keepdims=True)
    return found


def _one_view(X: NDArray[Any], gold: Gold, seed: int) -> tuple[Scores, Scores, Scores]:
    """Contrasts of left-out gold texts with the best penalty, and weights and intercept with all of them.

    The regression is done in the coordinates of the at most m directions that the m texts span: the others get no
    weight from an L2 penalty.
    """
    _, _, axes = np.linalg.svd(X.astype(np.float64), full_matrices=False)
    low = X @ axes.T
    folds = gold.folds(seed)
    best: tuple[float, float, Scores] | None = None
    for penalty in PENALTIES:
        logits = np.empty((len(X), gold.n_classes))
        for learn, leave in folds:
            model = regression(low[learn], gold.part(learn), penalty)
            logits[leave] = class_logits(model, low[leave])
        loss = log_loss(gold.codes, softmax(logits), sample_weight=gold.weights, labels=range(gold.n_classes))
        if best is None or loss < best[0]:
            best = loss, penalty, contrasts(logits)
    assert best is not None
    model = regression(low, gold, best[1])
    weight, intercept = model.coef_ @ axes, model.intercept_
    if gold.n_classes > 2:
        weight, intercept = weight - weight.mean(axis=0), intercept - intercept.mean()
    return best[2], weight, intercept


def softmax(logits: Scores) -> Scores:
    """Probabilities, shape (n, K)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Scores = shifted / shifted.sum(axis=1, keepdims=True)
    return total
