"""What the pseudo-labelled sets are made of: Theta, the class prior and the accuracy, each with an interval.

Few gold labels, true labels (for research only) or the user's word give the same `Priors`; `check_signal` stops with
one plain line when the sets cannot be told apart. The formulas and their sources are in the docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from silr.errors import InputError, NoSignalError
from silr.stats.contrasts import Numbers
from silr.stats.gold_weights import given_weights, post_stratified
from silr.stats.label_noise import Codes, count_table, diagonal, noise_estimates, pair_share, row_shares, signal

Source = Literal["gold", "oracle", "given"]

MISSING = -1  # the code of a text without a gold label
SINGULAR = 0.01  # a smallest singular value of Theta below this would let single texts weigh 100 and more in the risk


@dataclass(frozen=True, eq=False)
class Priors:
    """What is known about the K pseudo-labelled sets U_j, the texts whose pseudo-label is class j.

    Attributes
    ----------
    theta : array of shape (K, K)
        Theta_jk, the share of true class k inside U_j; rows sum to 1.
    class_prior : array of shape (K,)
        pi_k, the share of class k in the corpus: `pseudo_share @ theta` unless the user gave another.
    pseudo_share : array of shape (K,)
        q_j, the share of U_j in the corpus, known exactly.
    accuracy : float
        sum_j q_j Theta_jj, the share of pseudo-labels that are right; inside its interval.
    signal : array of shape (K, K)
        How well U_j and U_k tell classes j and k apart: among texts that are truly j or k, the share of k inside U_k
        minus the share of k inside U_j. Symmetric, 0 on the diagonal; theta - theta' for two classes.
    theta_interval, class_prior_interval, accuracy_interval, signal_interval : arrays, shape of the value + (2,)
        Lower and upper limit at `level`; for oracle and given priors both are the value itself.
    source : {"gold", "oracle", "given"}
        Where the numbers come from.
    n_gold : int
        Number of gold labels used; 0 unless `source` is "gold".
    level : float, default 0.95
        Nominal coverage of the intervals.
    """

    theta: Numbers
    class_prior: Numbers
    pseudo_share: Numbers
    accuracy: float
    signal: Numbers
    theta_interval: Numbers
    class_prior_interval: Numbers
    accuracy_interval: Numbers
    signal_interval: Numbers
    source: Source
    n_gold: int = 0
    level: float = 0.95

    def to_dict(self) -> dict[str, object]:
        """Return the fields as lists, numbers and strings that JSON can hold."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Priors:
        """Rebuild what `to_dict` returned; unknown names are ignored; InputError if a field is missing."""
        names = {field.name for field in fields(cls)}
        known: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in values.items() if k in names}
        try:
            return cls(**known)
        except TypeError as error:
            raise InputError(f"these are not the priors of a silr run: {error}") from error


def priors_from_gold(
    pseudo_labels: ArrayLike,
    gold: ArrayLike,
    n_classes: int,
    weight: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    smoothing: float = 1.0,
) -> Priors:
    """Estimate the priors from few gold labels drawn with known weights.

    A row of Theta is the weighted share of the classes among the gold labels inside U_j, which are worth n_j simple
    random labels: 1 / n_j = sum w^2 / (sum w)^2 - 1 / |U_j|, Kish's effective size with the correction for a finite
    corpus. The rows are partially pooled: Theta_jk = (n_j share_jk + smoothing p_jk) / (n_j + smoothing). The
    pooled row p_j has class j with probability a, the accuracy by all gold labels, and shares 1 - a among the other
    classes by how frequent they are. So a set without gold is believed to be as right as the others, and 0 of 3 is
    not certainty.

    The interval of a single share is Jeffreys', with the one-sided exact limit ("rule of three") where all gold
    labels agree; a set without gold has 0 to 1. Sums over the sets, which are independent, get theirs by MOVER: the
    distances to the limits add up like standard errors, each side for itself, around the shares before pooling. For
    the accuracy, sets with few gold labels are collapsed first; see `silr.stats.gold_weights.collapsed`.

    Parameters
    ----------
    pseudo_labels, gold : array-like of int, shape (n,)
        Classes, 0 to K - 1; gold is -1 where there is none.
    weight : array-like of float, shape (n,), default None
        1 / probability of being drawn, up to a factor; only rows with gold are read, 0 or NaN leaves one out. Wins.
    strata : array-like of int, shape (n,), default None
        The initial pseudo-labels (K for a text that had none), by which gold was drawn: the weights are N_h / n_h. Also
        right for gold drawn without strata (post-stratification). With neither all gold labels count alike.
    level : float, default 0.95
        Nominal coverage of the intervals.
    smoothing : float, default 1.0
        Labels' worth of the pooled row in each row; 0 leaves only sets without gold to it.

    References
    ----------
    Kish, "Survey sampling", 1965 (effective size). Gelman, Hill, "Data analysis using regression and multilevel/
    hierarchical models", 2007, section 12.2 (partial pooling). Brown, Cai, DasGupta, "Interval estimation for a
    binomial proportion", Statistical Science 16, 2001 (Jeffreys). Hanley, Lippman-Hand, "If nothing goes wrong, is
    everything all right?", JAMA 249, 1983 (rule of three). Zou, Donner, "Construction of confidence limits about
    effect measures", Statistics in Medicine 27, 2008 (MOVER).
    """
    labels = _codes(pseudo_labels, n_classes, "pseudo-labels")
    truth = _codes(gold, n_classes, "gold labels", len(labels), lowest=MISSING)
    drawn = np.flatnonzero(truth != MISSING)
    if not len(drawn):
        raise InputError("there is no gold label; label some texts by hand, 50 to 100 are enough")
    if not 0 < level < 1 or not 0 <= smoothing < np.inf:
        raise InputError(f"level must lie between 0 and 1 and smoothing be at least 0, not {level} and {smoothing}")
    w = np.ones(len(drawn))
    if weight is not None:
        w = given_weights(weight, drawn, len(labels))
        drawn, w = drawn[w > 0], w[w > 0] / w.max()
    elif strata is not None:
        stratum = _codes(strata, n_classes + 1, "strata", len(labels))
        w = post_stratified(stratum, truth != MISSING)[drawn]
    mass = count_table(labels[drawn], truth[drawn], n_classes, w)
    square = np.bincount(labels[drawn], w**2, n_classes)
    count = np.bincount(labels[drawn], minlength=n_classes)
    estimates = noise_estimates(mass, square, count, np.bincount(labels, minlength=n_classes), level, smoothing)
    accuracy = float(estimates.pop("accuracy"))
    return Priors(**estimates, accuracy=accuracy, source="gold", n_gold=len(drawn), level=level)


def priors_from_truth(pseudo_labels: ArrayLike, truth: ArrayLike, n_classes: int) -> Priors:
    """Count the priors when all true labels are known ("oracle"), for research only; rows of empty sets are even."""
    labels = _codes(pseudo_labels, n_classes, "pseudo-labels")
    true = _codes(truth, n_classes, "true labels", len(labels))
    count = count_table(labels, true, n_classes)
    size = count.sum(axis=1)
    return _exact(row_shares(count, size), size / len(labels), source="oracle")


def given_priors(
    theta: ArrayLike, class_prior: ArrayLike | None = None, pseudo_labels: ArrayLike | None = None
) -> Priors:
    """Take Theta from the user, shape (K, K): Theta_jk is the share of true class k inside U_j.

    The class prior, shape (K,), is kept as given, so it may be that of another corpus (prior shift); by default it
    is q @ theta. The shares q of the sets are counted from the pseudo-labels; without them q is the mixture of sets
    nearest to the class prior. Raises InputError for shares that are none, a class that never occurs, or neither of
    the two.
    """
    shares = _distributions(theta, "theta")
    pi = None if class_prior is None else _distributions(class_prior, "class_prior")
    K = len(shares)
    if shares.shape != (K, K) or K < 2 or (pi is not None and pi.shape != (K,)):
        raise InputError("theta must be K x K and class_prior hold K numbers, K being at least 2")
    if pseudo_labels is not None:
        size = np.bincount(_codes(pseudo_labels, K, "pseudo-labels"), minlength=K)
    elif pi is not None:
        size = np.maximum(np.linalg.lstsq(shares.T, pi)[0], 0)
    else:
        raise InputError("theta alone does not tell how frequent the classes are; give class_prior or pseudo_labels")
    priors = _exact(shares, size / size.sum(), source="given", class_prior=pi)
    if priors.class_prior.min() <= 0:
        raise InputError(f"class {priors.class_prior.argmin()} has a prior of 0; every class must occur in the corpus")
    return priors


def check_signal(priors: Priors, class_names: Sequence[str] | None = None) -> None:
    """Refuse priors with which no refinement is possible.

    Every two sets must differ, and in the right direction: `signal_interval` of each pair lies above 0, for two classes
    that of theta - theta'. So labels without signal pass in at most about (1 - level) / 2 of all draws of gold, and
    labels with a weak one are refused in some.

    Without names of the classes the message has their numbers. Raises NoSignalError if a set
    is empty, two sets cannot be told apart or are swapped, or Theta is nearly singular.
    """
    K = len(priors.theta)
    names = [repr(str(name)) for name in (range(K) if class_names is None else class_names)]
    empty = np.flatnonzero(priors.pseudo_share == 0)
    if len(empty):
        facts = f"all texts are labelled {names[priors.pseudo_share.argmax()]}: labels that never differ say nothing"
        if len(empty) < K - 1:
            facts = f"no text is labelled {names[empty[0]]}, so nothing can be learnt about that class"
        raise NoSignalError(f"{facts}; change the prompt, calibrate the scores, or take another model")
    later, earlier = np.tril_indices(K, -1)
    worst = priors.signal_interval[later, earlier, 0].argmin()
    k, j = later[worst], earlier[worst]
    low, high = priors.signal_interval[k, j]
    if low <= 0:
        R = pair_share(priors.theta)
        facts = f"{R[k, j]:.0%} of the texts labelled {names[k]} and {1 - R[j, k]:.0%} of those labelled {names[j]}"
        facts += f" are truly {names[k]}" + (f" (leaving out all but {names[j]} and {names[k]})" if K > 2 else "")
        if priors.source == "gold":
            limits = (
                f"{priors.level:.0%} interval {round(100 * low)} to {round(100 * high)}, {priors.n_gold} gold labels"
            )
            facts += f", a difference of {100 * priors.signal[k, j]:.0f} points ({limits})"
        if high < 0:
            raise NoSignalError(
                f"the labels {names[j]} and {names[k]} look swapped: {facts}; check that the class names mean the same "
                "in the labels and in the gold labels"
            )
        raise NoSignalError(
            f"the labels {names[j]} and {names[k]} cannot be told apart: {facts}, so they say nothing dependable about "
            "the truth; change the prompt, take another model, or add gold labels if the difference may be real"
        )
    smallest = np.linalg.svd(priors.theta, compute_uv=False)[-1]
    if smallest < SINGULAR:
        raise NoSignalError(
            "the texts labelled as one class are nearly a mixture of those labelled as the others (smallest singular "
            f"value of theta {smallest:.2g}, at least {SINGULAR:g} is needed): merge classes, or change the prompt"
        )


def _exact(theta: Numbers, q: Numbers, source: Source, class_prior: Numbers | None = None) -> Priors:
    """Wrap known numbers, with intervals of width 0."""
    values: dict[str, Any] = {"theta": theta, "class_prior": q @ theta if class_prior is None else class_prior}
    values |= {"accuracy": float(q @ diagonal(theta)), "signal": signal(pair_share(theta))}
    intervals: dict[str, Any] = {f"{name}_interval": np.stack([v, v], axis=-1) for name, v in values.items()}
    return Priors(**values, **intervals, pseudo_share=q, source=source)


def _codes(values: ArrayLike, n_classes: int, what: str, length: int | None = None, lowest: int = 0) -> Codes:
    """Class codes, checked."""
    if n_classes < 2:
        raise InputError(f"there must be at least two classes, not {n_classes}")
    codes = np.asarray(values)
    if codes.ndim != 1 or len(codes) != (length or max(len(codes), 1)) or codes.dtype.kind not in "iu":
        raise InputError(f"{what} must be one whole number for each text, not {codes.dtype} of shape {codes.shape}")
    if codes.min() < lowest or codes.max() >= n_classes:
        raise InputError(f"{what} must lie between {lowest} and {n_classes - 1}, not {codes.min()} and {codes.max()}")
    return codes


def _distributions(values: ArrayLike, what: str) -> Numbers:
    """Probabilities along the last axis, checked; they sum to 1 exactly on return."""
    p = np.asarray(values, dtype=np.float64)
    if not p.size or not np.isfinite(p).all() or p.min() < 0 or p.max() > 1:
        raise InputError(f"{what} must hold shares between 0 and 1")
    total = np.asarray(p.sum(axis=-1, keepdims=True))
    if np.abs(total - 1).max() > 1e-3:
        raise InputError(f"{what} must sum to 1 in each row, not {np.round(total.ravel(), 4).tolist()}")
    return np.asarray(p / total)
