"""Gold labels that everything else contradicts, the most doubtful first.

The rest of the evidence gives each class a probability p_k from a fit that never saw the gold label. A person errs with
the rate e, and then gives any other class alike. So by Bayes' rule the label g of one person is wrong with probability

    doubt = e / (K - 1) (1 - p_g) / ( e / (K - 1) (1 - p_g) + (1 - e) p_g )

and, where several persons gave votes, with each vote as one more such observation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError
from silr.stats.votes import vote_counts

ERROR_RATE = 0.05  # e, of one person
THRESHOLD = 0.15  # of the doubt; benchmarks/doubtful_gold.py has precision and recall by threshold
LARGEST_SHARE = 0.1  # of the gold labels that are listed
SMALLEST = 1e-12  # probability, so that none is impossible


@dataclass(frozen=True, eq=False)
class DoubtfulGold:
    """The m gold labels that are listed, the most doubtful first; classes are codes."""

    rows: NDArray[np.int64]  # shape (m,), where they stand among the n texts
    doubt: NDArray[np.float64]  # shape (m,), probability that the label is wrong
    gold_probability: NDArray[np.float64]  # shape (m,), of the gold label by the rest of the evidence
    other: NDArray[np.int64]  # shape (m,), the likeliest other class
    other_probability: NDArray[np.float64]  # shape (m,)


def doubtful_gold(
    gold: ArrayLike,
    probabilities: ArrayLike,
    votes: ArrayLike | None = None,
    *,
    llm: ArrayLike | None = None,
    settled: ArrayLike | None = None,
    threshold: float = THRESHOLD,
    largest_share: float = LARGEST_SHARE,
    error_rate: float = ERROR_RATE,
) -> DoubtfulGold:
    """List the gold labels that the rest of the evidence contradicts.

    Parameters
    ----------
    gold : array-like of shape (n,)
        Class codes, 0 to K - 1; -1 where there is no gold label.
    probabilities : array-like of shape (n, K)
        Class probabilities. Those of a text with gold must come from a fit that never saw its gold label, such as
        `LabelRefiner.out_of_fold_scores_`. A row that is not finite is left out.
    votes : array-like of shape (n, R), default None
        Class codes that R persons gave, -1 where one gave none. Where the gold label is what most of them say, the
        votes are the observations; else the gold label is one more.
    llm : array-like of shape (n,), default None
        The LLM's labels, -1 where it gave none, if the probabilities do not weigh what it says of each text: those of
        method "silr" do, those of a classifier do not. A gold label that the LLM gives, too, is not listed.
    settled : boolean array-like of shape (n,), default None
        Labels that a person has looked at again; they are not listed.
    threshold : float, default 0.15
        The least doubt that is listed.
    largest_share : float, default 0.1
        At most this share of the gold labels is listed, rounded up.
    error_rate : float, default 0.05
        How often one person is wrong.

    Returns
    -------
    DoubtfulGold

    Raises
    ------
    InputError
        Shapes do not match.

    Notes
    -----
    The doubt falls with the probability of the gold label by the rest of the evidence, which is the self-confidence of
    Northcutt, Jiang, Chuang, "Confident learning", JAIR 70, 2021. The errors of persons are those of Dawid, Skene,
    "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics 28, 1979, with
    one rate for all.

    Examples
    --------
    >>> from silr.stats.doubtful import doubtful_gold
    >>> found = doubtful_gold([0, 1, -1], [[0.02, 0.98], [0.1, 0.9], [0.5, 0.5]], largest_share=1)
    >>> found.rows.tolist(), found.other.tolist(), round(float(found.doubt[0]), 2)
    ([0], [1], 0.72)
    """
    codes, p = np.asarray(gold, dtype=np.int64), np.asarray(probabilities)
    n = len(codes)
    given = np.empty((n, 0), dtype=np.int64) if votes is None else np.asarray(votes, dtype=np.int64)
    if codes.ndim != 1 or p.ndim != 2 or len(p) != n or codes.max(initial=-1) >= p.shape[1] or len(given) != n:
        raise InputError(f"gold labels {codes.shape}, probabilities {p.shape} and votes must have one row a text")
    known = np.flatnonzero(codes >= 0)
    known = known[np.isfinite(p[known]).all(axis=1)]
    label, prior, K = codes[known], np.maximum(p[known].astype(np.float64), SMALLEST), p.shape[1]
    place = np.arange(len(known))
    posterior = prior * _likelihood(label, given[known], K, error_rate)
    doubt = 1 - posterior[place, label] / posterior.sum(axis=1)
    rest = prior.copy()
    rest[place, label] = -1
    other = rest.argmax(axis=1)
    listed = doubt >= threshold
    if llm is not None:
        listed &= np.asarray(llm)[known] != label
    if settled is not None:
        listed &= ~np.asarray(settled, dtype=bool)[known]
    order = np.argsort(-doubt, kind="stable")
    order = order[listed[order]][: int(np.ceil(largest_share * len(known)))]
    return DoubtfulGold(
        known[order], doubt[order], prior[order, label[order]], other[order], prior[order, other[order]]
    )


def _likelihood(label: NDArray[np.int64], votes: NDArray[np.int64], K: int, error_rate: float) -> NDArray[np.float64]:
    """Of what persons said of m texts, by true class: shape (m, K)."""
    counts = vote_counts(votes, K)
    place = np.arange(len(label))
    of_label = counts[place, label]
    others = counts.copy()
    others[place, label] = 0
    counts[place, label] += of_label <= others.max(axis=1, initial=0)  # no majority gave it: one more observation
    said = counts.sum(axis=1, keepdims=True)
    right, wrong = np.log1p(-error_rate), np.log(error_rate / max(K - 1, 1))
    logs = counts * right + (said - counts) * wrong
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def disagreement(votes: NDArray[np.integer], n_classes: int) -> NDArray[np.float64]:
    """Share of the pairs of persons that disagree about each text, shape (n,); 0 where fewer than two gave a vote.

    `votes` (n, R) are class codes, -1 where a person gave none. It is the observed disagreement of Krippendorff's alpha
    for labels without order, text by text (Krippendorff, "Content analysis", 4th edition, 2018, chapter 12).
    """
    counts = vote_counts(votes, n_classes)
    given = counts.sum(axis=1)
    pairs = given * (given - 1)
    same = (counts * (counts - 1)).sum(axis=1)
    return np.where(pairs > 0, (pairs - same) / np.maximum(pairs, 1), 0.0)
