"""For how many texts each gold label speaks, where no plan of `silr.label.draw` tells it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError

FEWEST = 2  # gold labels that a stratum needs for a variance
FEW = 5  # gold labels; strata with fewer are collapsed before they give weights


def post_stratified(llm_labels: NDArray[np.integer], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many texts of the same LLM label each drawn text speaks for, shape (N,); a missing label is one too.

    Labels with few drawn texts are collapsed.
    """
    stratum = llm_labels.astype(np.int64) - llm_labels.min()
    size = np.bincount(stratum)
    stratum = collapsed(size, np.bincount(stratum[drawn], minlength=len(size)), FEW)[stratum]
    size, count = np.bincount(stratum), np.bincount(stratum[drawn], minlength=int(stratum.max()) + 1)
    return np.asarray((size / np.maximum(count, 1))[stratum])


def collapsed(size: NDArray[np.integer], count: NDArray[np.integer], few: int) -> NDArray[np.int64]:
    """Put strata with few gold labels together with others of like size.

    A stratum without gold has no estimate, one with a single gold label has no variance, and the intervals of several
    shares with a few labels each do not add up to one that holds. In the order of their sizes, strata with fewer than
    `few` gold labels are joined until each group has twice as many. What is left over with fewer than two joins the
    group before it, or else the stratum nearest in size.

    `size`, `count`, shape (H,): texts and gold labels of each stratum. `few`: strata with fewer gold labels are joined.
    Returns shape (H,): the number of one stratum of its group.

    References
    ----------
    Cochran, "Sampling techniques", 3rd edition, 1977, section 5A.12 (collapsed strata).
    """
    group = np.arange(len(size))
    poor = [int(h) for h in np.argsort(size, kind="stable") if size[h] and count[h] < few]
    groups: list[list[int]] = [[]]
    for h in poor:
        if count[groups[-1]].sum() >= 2 * few and size[h] > size[groups[-1][-1]]:  # whatever order the names have
            groups.append([])
        groups[-1].append(h)
    if count[groups[-1]].sum() < FEWEST and len(groups) > 1:
        groups[-2].extend(groups.pop())
    elif count[groups[-1]].sum() < FEWEST and (count >= few).any():
        distance = np.where(count >= few, np.abs(size - size[groups[-1]].max(initial=0)), np.inf)
        groups[-1].extend(np.flatnonzero(distance == distance.min()).tolist())
    for members in groups:
        group[members] = min(members, default=0)
    return group


def given_weights(weight: ArrayLike, drawn: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return the weights of the gold texts, given those of all n; 0 where one is missing (NaN).

    A gold label with weight 0 trains, and no estimate reads it: nobody knows how likely it was to be drawn.

    Raises InputError if it is not one number a text, one of a gold text is negative or infinite, or all of these are 0
    or missing.
    """
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (n,):
        raise InputError(f"gold_weight has shape {w.shape}; one number for each text is wanted, ({n},)")
    w = np.nan_to_num(w[drawn], nan=0.0, posinf=np.inf, neginf=-np.inf)
    if np.isinf(w).any() or (w < 0).any():
        raise InputError("gold weights must be 0 or positive and finite wherever there is a gold label")
    if len(w) and not w.any():
        raise InputError(
            "no gold label has a weight above 0, so all train and none judges: label some with `silr label`, or leave "
            "gold_weight out if they were drawn at random"
        )
    return w
