"""Agreement of several persons on the same texts: Krippendorff's alpha, Cohen's kappa, agreement on each class.

Each is a function of sums over the texts, and has a 95 % interval: the variance by the delta method (the infinitesimal
jackknife: Efron, "Nonparametric estimates of standard error", Biometrika 68, 1981), on Fisher's z scale, with Student's
t. Texts are the units that are drawn; all votes of a text belong together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from silr.stats.contrasts import Numbers
from silr.stats.intervals import LEVEL, share_interval
from silr.stats.votes import vote_counts

Codes = NDArray[np.integer]
STEP = 1e-20  # of the complex step: it is exact, since nothing is subtracted


class Agreement(NamedTuple):
    """A coefficient of agreement, its 95 % interval, and on how many texts it stands."""

    value: float
    interval: tuple[float, float]
    texts: int  # with the votes of two persons or more

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f} to {high:.2f})"


def krippendorff_alpha(codes: Codes, n_classes: int) -> Agreement | None:
    """Krippendorff's alpha for nominal values, with any votes missing.

    With n_uk votes for class k of the m_u >= 2 votes of text u, and n = sum_u m_u, the observed disagreement is
    ``D_o = (1 / n) sum_u sum_{c != k} n_uc n_uk / (m_u - 1)``, that by chance
    ``D_e = sum_{c != k} n_c n_k / (n (n - 1))``, and alpha is ``1 - D_o / D_e``.

    Krippendorff, *Content Analysis*, 4th edition, 2019, chapter 12.

    Parameters
    ----------
    codes : int array of shape (n, R)
        Class codes of R persons, -1 where a person gave no label.
    n_classes : int
        K.

    Returns
    -------
    Agreement or None
        None if no text has two votes, or all these votes are for one class: then chance alone explains all agreement.
    """
    patterns, times = _patterns(vote_counts(codes, n_classes))
    m = patterns.sum(axis=1)
    disagreement = (m**2 - (patterns**2).sum(axis=1)) / (m - 1)

    def alpha(sums: Numbers) -> Numbers:
        n = sums[1:].sum()
        return np.asarray(1 - sums[0] * (n - 1) / (n**2 - (sums[1:] ** 2).sum()))

    return _with_interval(alpha, np.column_stack([disagreement, patterns]), times)


def cohen_kappa(first: Codes, second: Codes, n_classes: int) -> Agreement | None:
    """Cohen's kappa of two persons, (n,) class codes each, on the texts that both labelled.

    ``(p_o - p_e) / (1 - p_e)`` with the share p_o of equal labels, and p_e that of two independent persons who give the
    classes as often as these two. None if there is no such text, or one of the two gave a single class throughout:
    kappa is then 0, or not defined, whatever the other says.

    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.
    """
    both = (first >= 0) & (second >= 0)
    cells = np.bincount(first[both].astype(np.int64) * n_classes + second[both], minlength=n_classes**2)
    occurring = np.flatnonzero(cells)
    row, column = np.eye(n_classes)[occurring // n_classes], np.eye(n_classes)[occurring % n_classes]
    if min(len(np.unique(codes[both])) for codes in (first, second)) < 2:
        return None
    same = (row == column).all(axis=1)

    def kappa(sums: Numbers) -> Numbers:
        n = sums[1 : n_classes + 1].sum()
        chance = (sums[1 : n_classes + 1] * sums[n_classes + 1 :]).sum() / n**2
        return np.asarray((sums[0] / n - chance) / (1 - chance))

    return _with_interval(kappa, np.column_stack([same, row, column]), cells[occurring])


def class_agreement(codes: Codes, n_classes: int) -> list[Agreement | None]:
    """Specific agreement on each class, K values: where one person gives it, the share of the others who do, too.

    ``sum_u n_uk (n_uk - 1) / (m_u - 1) / sum_u n_uk`` over the texts with m_u >= 2 votes; None for a class without vote
    there. For two persons it is ``2a / (2a + b + c)``.

    Cicchetti, Feinstein, "High agreement but low kappa: II. Resolving the paradoxes", Journal of Clinical Epidemiology
    43, 1990; for several raters Fleiss, Levin, Paik, *Statistical Methods for Rates and Proportions*, 3rd edition,
    2003, section 18.3. Each vote counts as much as another, however many the text has.
    """
    patterns, times = _patterns(vote_counts(codes, n_classes))
    shared = patterns * (patterns - 1) / (patterns.sum(axis=1, keepdims=True) - 1)
    agreements: list[Agreement | None] = []
    for k in range(n_classes):
        given = patterns[:, k] > 0
        sums = np.column_stack([shared[given, k], patterns[given, k]])
        agreements.append(_with_interval(lambda sums: np.asarray(sums[0] / sums[1]), sums, times[given], lowest=0.0))
    return agreements


def _patterns(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows of counts (n, K) with two votes or more, shape (P, K), and how many texts have each, (P,)."""
    patterns, times = np.unique(counts[counts.sum(axis=1) > 1], axis=0, return_counts=True)
    return patterns, times


def _with_interval(
    coefficient: Callable[[Numbers], Numbers], parts: Numbers, times: NDArray[np.int64], lowest: float = -1.0
) -> Agreement | None:
    """A coefficient of q sums over the texts, with its interval; None where it is undefined.

    `parts` (P, q) are what a text of each pattern adds, and `times` (P,) how many texts have it. Where all texts agree,
    or none does, nothing varies: the interval is then the exact one-sided one of the share of texts on which people
    agree, with the agreement by chance as it is (our choice).
    """
    n = int(times.sum())
    if not n:
        return None
    sums = (times @ parts).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(coefficient(sums))
        if not np.isfinite(value):
            return None
        steps = sums + 1j * STEP * np.eye(len(sums))
        gradient = np.array([coefficient(step).imag for step in steps]) / STEP
    influence = parts @ gradient
    influence -= times @ influence / n
    variance = float(times @ influence**2) * n / max(n - 1, 1)
    if abs(value) > 1 - 1e-12 or variance < 1e-18:
        agreeing = 1.0 if value > 1 - 1e-12 else 0.0
        low, high = (float(end) for end in share_interval(np.array(agreeing), np.array(float(n)), LEVEL))
        return Agreement(value, (low, 1.0) if agreeing else (value, value + (1 - value) * high), n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * variance**0.5 / (1 - value**2)
    low, high = np.tanh([np.arctanh(value) - half, np.arctanh(value) + half]).tolist()
    return Agreement(value, (max(low, lowest), high), n)
