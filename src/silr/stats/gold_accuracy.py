"""How often labels are right, from gold labels drawn with known weights and a model's class probabilities.

Gold labels that were drawn by how unsure a model was have uneven weights: a rare draw of a sure text weighs much. The
share of right labels among them alone would be known worse than from as many even weights. But the model expects such a
text to be right, and mostly it is; only what it did not expect has to be estimated from the weighted labels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from silr.errors import InputError
from silr.stats.gold_weights import given_weights
from silr.stats.intervals import LEVEL, share_interval


class Accuracy(NamedTuple):
    """An accuracy and its interval."""

    value: float
    interval: tuple[float, float]


def accuracy_from_gold(labels: ArrayLike, gold: ArrayLike, weight: ArrayLike, probabilities: ArrayLike) -> Accuracy:
    """Estimate the accuracy of any labels by the difference estimator.

    With p_i the probability that label i is right, r_i whether it is, and weights scaled to sum to n,

        accuracy = mean of p_i over all texts + (1 / n) sum over gold texts of w_i (r_i - p_i)

    However wrong the probabilities are, the estimate stays unbiased, up to the ratio by which weights are scaled;
    the better they are, the narrower is the interval. With e_i the differences r_i - p_i less their weighted mean,
    its variance is ``m / (m - 1) sum w_i (w_i - 1) e_i^2 / n^2`` for m gold labels, as of independent draws. The
    interval is Jeffreys', at 95 %, for the number of simple random labels that would have the same variance; a
    point if all texts were read.

    Labels, shape (n,), and gold are 0 to K - 1; a text with label -1 is left out, and gold is -1 where there is
    none. A weight says for how many texts a gold label speaks; 0 or missing: it does not judge. The probabilities,
    shape (n, K), of a text with gold must come from a fit that did not know its gold label, such as
    `LabelRefiner.out_of_fold_scores_`. Raises InputError if shapes do not match, or no labelled text has a gold
    label with a weight above 0.

    References
    ----------
    Cassel, Särndal, Wretman, "Some results on generalized difference estimation and generalized regression estimation
    for finite populations", Biometrika 63, 1976. Zrnic, Candès, "Active statistical inference", ICML 2024 (arXiv
    2403.03208). Korn, Graubard, "Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data", Survey Methodology 24, 1998 (effective size from the variance).
    """
    codes, truth, p = np.asarray(labels), np.asarray(gold), np.asarray(probabilities, dtype=np.float64)
    n = len(codes)
    if codes.shape != (n,) or truth.shape != (n,) or p.ndim != 2 or len(p) != n or codes.max(initial=0) >= p.shape[1]:
        raise InputError(
            f"labels {codes.shape}, gold labels {truth.shape} and probabilities {p.shape} must have one row a text"
        )
    known = codes >= 0
    expected = p[np.arange(n), np.maximum(codes, 0)]
    rows = np.flatnonzero(known & (truth >= 0))
    w = given_weights(weight, rows, n) if len(rows) else np.empty(0)
    rows, w = rows[w > 0], w[w > 0]
    if not len(rows):
        raise InputError("no labelled text has a gold label with a weight above 0")
    size = int(known.sum())
    w = w * (size / w.sum())
    difference = (codes[rows] == truth[rows]) - expected[rows]
    correction = float(w @ difference) / size
    accuracy = float(np.clip(expected[known].mean() + correction, 0, 1))
    m = len(rows)
    spread = (difference - correction) ** 2 * m / max(m - 1, 1)
    variance = float((w * np.maximum(w - 1, 0)) @ spread) / size**2
    size_of_sample = np.inf if (w <= 1).all() else _effective(accuracy, variance, m)
    low, high = share_interval(np.array(accuracy), np.array(size_of_sample), LEVEL)
    return Accuracy(accuracy, (float(low), float(high)))


def _effective(share: float, variance: float, m: int) -> float:
    """How many simple random labels would know the share as well; m where the variance cannot tell."""
    if variance <= 0 or not 0 < share < 1:
        return float(m)
    return max(share * (1 - share) / variance, 1.0)
