"""Rivals that read no features: the LLM's labels as they are, or put right by the gold labels; several LLMs' votes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from answers import Answer, answer
from tables import Gold, Split, majority

ROW = 1.0  # how many gold labels the class shares are worth in each row of the confusion matrix


def llm(part: Split, gold: Gold) -> list[Answer]:
    """The LLM's labels as they are; of several LLMs the one that most gold labels agree with."""
    if part.several:
        right = part.llm[0][gold.rows] == gold.labels[gold.rows, None]
        best = int((right * gold.weights[gold.rows, None]).sum(axis=0).argmax())
        return [Answer((part.llm[0][:, best], part.llm[1][:, best]))]
    if part.scores is None:
        return [Answer(part.llm)]
    return [Answer(part.llm, tuple(np.exp(each - each.max(axis=1, keepdims=True)) for each in part.scores))]


def threshold(part: Split, gold: Gold) -> list[Answer]:
    """The LLM's scores, with the threshold that is right on most gold labels; weights of classes if there are several.

    Between two gold labels the threshold lies in the middle; of equally good ones the median is taken.
    """
    rows = gold.rows
    if len(part.classes) > 2:
        model = LogisticRegression(max_iter=1000).fit(part.scores[0][rows], gold.labels[rows], gold.weights[rows])
        return [Answer(tuple(model.predict(scores) for scores in part.scores))]
    margins = [scores[:, 1] - scores[:, 0] for scores in part.scores]
    order = rows[np.argsort(margins[0][rows], kind="stable")]
    values, signs = margins[0][order], np.where(gold.labels[order] == 1, -1.0, 1.0) * gold.weights[order]
    cuts = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    right = np.concatenate([[0], np.cumsum(signs)])  # up to a constant: those above a cut are called 1
    right[1:-1][values[1:] == values[:-1]] = -np.inf
    best = np.flatnonzero(right == right.max())
    cut = cuts[best[len(best) // 2]]
    return [Answer(tuple((margin > cut).astype(int) for margin in margins))]


def confusion(part: Split, gold: Gold) -> list[Answer]:
    """P(truth | LLM label) by the weighted gold labels, each row smoothed towards the class shares.

    A Dirichlet prior of the weight of one gold label (our choice). A text without a label has the class shares.
    """
    n_classes = len(part.classes)
    labels, said = gold.labels[gold.rows], part.llm[0][gold.rows]
    counts = np.zeros((n_classes + 1, n_classes))
    np.add.at(counts, (said, labels), gold.weights[gold.rows])
    share = counts.sum(axis=0) / counts.sum()
    number = np.bincount(said, minlength=n_classes + 1)[:, None]  # of gold labels
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12) * number
    rows = (rows + ROW * share) / (number + ROW)
    return [answer(tuple(rows[each] for each in part.llm))]  # -1 is the last row


def majority_vote(part: Split, gold: Gold) -> list[Answer]:
    """What most LLMs say; of equally frequent labels the first LLM's."""
    labels, shares = zip(*(majority(each, len(part.classes)) for each in part.llm), strict=True)
    return [Answer(labels, shares)]


def dawid_skene(with_gold: bool) -> Callable[[Split, Gold], list[Answer]]:
    """Dawid and Skene (Applied Statistics, 1979) by crowd-kit: one confusion matrix an LLM, by EM.

    With gold labels, those texts' classes are held. The test part is not wanted of it: no case with several LLMs has
    one.
    """

    def method(part: Split, gold: Gold) -> list[Answer]:
        from crowdkit.aggregation import DawidSkene

        llm, n_classes = part.llm[0], len(part.classes)
        text, worker = np.nonzero(llm >= 0)
        votes = pd.DataFrame({"task": text, "worker": worker, "label": llm[text, worker]})
        known = None
        if with_gold:
            named = gold.rows[np.isin(gold.labels[gold.rows], votes["label"])]  # it knows no other classes
            known = pd.Series(gold.labels[named].astype(votes["label"].dtype), index=named)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, about pandas of the future
            found = DawidSkene(n_iter=100).fit_predict_proba(votes, known)
        probabilities = np.tile(found.mean().reindex(range(n_classes), fill_value=0).to_numpy(), (len(llm), 1))
        probabilities[np.ix_(found.index, found.columns)] = found.to_numpy()
        return [answer((probabilities, np.empty((0, n_classes))))]

    return method
