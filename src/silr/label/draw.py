"""Draws by strata: the text that a person is asked about next, and for how many texts each gold label speaks.

The strata are the LLM's labels, each cut into four parts of equal size by how sure the LLM was, if scores are known.
A label gets texts in proportion to the square root of its size (Bankier, "Power allocations", The American Statistician
42, 1988): a rare one its share, but not so many that those of a common one speak for much more texts each. Each label
has a first text before any has a second, so stopping early still gives an estimate; inside a label its parts take
turns. All turns are random with a fixed seed: a person who knew that labels alternate would know the LLM's answer.
"""

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from silr.errors import InputError
from silr.io.cells import sort_classes
from silr.io.class_names import ClassNames, of_python
from silr.io.label_codes import check_shapes
from silr.io.label_values import read_column

PARTS = 4  # strata a label; quartiles of the LLM's certainty
POWER = 0.5  # of a label's size, by which its share of the texts goes; 0: as many from each, 1: in proportion
AHEAD = 2  # texts a label by which turns may run ahead of the shares: room for chance

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strata:
    """A partition of the corpus of n texts."""

    label: IntArray  # (n,): the LLM's, 0 to K - 1; K for a text that has none (it is never drawn)
    part: IntArray  # (n,): ``label * PARTS`` plus the part of the label by score, the least certain texts first
    n_classes: int  # K


def make_strata(labels: ArrayLike, n_classes: int, scores: FloatArray | None = None) -> Strata:
    """Cut each label (n,) into parts of equal size by the margin of its score (n, K) over the next best.

    Without scores a label is one part. A code of -1 stands for no label.
    """
    codes = np.asarray(labels, dtype=np.int64)
    label = np.where(codes < 0, n_classes, codes)
    part = label * PARTS
    for j in range(0 if scores is None else n_classes):
        assert scores is not None
        members = np.flatnonzero(label == j)
        n_parts = min(PARTS, max(1, len(members) // PARTS))
        margin = scores[members, j] - np.delete(scores[members], j, axis=1).max(axis=1)
        order = np.argsort(margin, kind="stable")
        part[members[order]] += np.arange(len(members)) * n_parts // max(1, len(members))
    return Strata(label, part, n_classes)


def gold_weights(strata: Strata, rows: ArrayLike) -> FloatArray:
    """How many texts the gold label of each of the rows (m,) speaks for: N_h / n_h, stratum by stratum.

    While some part of a label has no gold yet, the whole label is one stratum. With the random turns of `Draw` this too
    is unbiased, since every part is as likely as another to be the one without. The weights sum to the size of the
    corpus once every label has gold.
    """
    rows = np.asarray(rows, dtype=np.int64)
    n_labels = strata.n_classes + 1
    size = np.bincount(strata.part, minlength=n_labels * PARTS).reshape(n_labels, PARTS)
    gold = np.bincount(strata.part[rows], minlength=n_labels * PARTS).reshape(n_labels, PARTS)
    gap = ((size > 0) & (gold == 0)).any(axis=1, keepdims=True)
    size, gold = (np.where(gap, counts.sum(axis=1, keepdims=True), counts) for counts in (size, gold))
    return np.asarray((size / np.maximum(gold, 1)).ravel()[strata.part[rows]])


class Draw:
    """Draws of texts, which depend only on the seed and on what is labelled and skipped, so they survive a restart."""

    def __init__(self, strata: Strata, seed: int = 0) -> None:
        self._part, self._seed = strata.part, seed
        self._sizes = np.bincount(strata.part, minlength=(strata.n_classes + 1) * PARTS)
        self._drawable = range(strata.n_classes * PARTS)
        self._orders: dict[int, IntArray] = {}

    def next(self, gold: Collection[int], skipped: Collection[int]) -> int | None:
        """Return the row to ask about, None if all are labelled or skipped.

        A skip leaves the count of gold as it is, so the next text comes from the same stratum if it has one left.
        """
        count = np.bincount(self._part[list(gold)], minlength=len(self._sizes)) if gold else np.zeros_like(self._sizes)
        rng = np.random.default_rng([self._seed, 0, len(gold)])
        open_parts = [part for part in self._drawable if self._sizes[part]]
        while open_parts:
            labels = np.unique(np.array(open_parts) // PARTS)
            done, size = (counts.reshape(-1, PARTS).sum(axis=1)[labels] for counts in (count, self._sizes))
            share = size**POWER / (size**POWER).sum()
            lack = np.maximum(share * (done.sum() + AHEAD * len(labels)) - done, 0) if done.all() else done == 0
            label = rng.choice(labels, p=lack / lack.sum())
            mine = [part for part in open_parts if part // PARTS == label]
            fewest = min(count[part] for part in mine)
            part = int(rng.choice([part for part in mine if count[part] == fewest]))
            for row in self._order(part):
                if row not in gold and row not in skipped:
                    return int(row)
            open_parts.remove(part)
        return None

    def order(self, rows: Collection[int]) -> list[int]:
        """These rows in the order in which the draw would come to them, if there were no others."""
        among, wanted = copy(self), set(rows)
        parts = set(self._part[list(rows)].tolist())
        among._orders = {part: np.empty(0, np.int64) for part in self._drawable}
        rows_of = {part: self._order(part) for part in parts}
        among._orders |= {part: order[np.isin(order, list(wanted))] for part, order in rows_of.items()}
        ordered: dict[int, None] = {}
        while (row := among.next(ordered, ())) is not None:
            ordered[row] = None
        return list(ordered)

    def _order(self, part: int) -> IntArray:
        if part not in self._orders:
            rng = np.random.default_rng([self._seed, 1, part])
            self._orders[part] = rng.permutation(np.flatnonzero(self._part == part))
        return self._orders[part]


def draw_texts(
    llm_labels: ArrayLike, n: int, random_state: int = 0, scores: FloatArray | None = None
) -> tuple[IntArray, FloatArray]:
    """Draw the n texts that `silr label -n N --draw strata` would ask about, by label codes (N,) and scores (N, K).

    Returned are their rows, sorted, and for how many texts each of them speaks. A text with the code -1 has no label
    and is not drawn. More labels than n, or fewer texts with a label, are an InputError.
    """
    labels = np.asarray(llm_labels, dtype=np.int64)
    known = labels[labels >= 0]
    if not len(np.unique(known)) <= n <= len(known):
        raise InputError(f"cannot draw {n} texts out of {len(known):,} with {len(np.unique(known))} LLM labels")
    strata = make_strata(labels, int(known.max()) + 1, scores)
    draw, drawn = Draw(strata, random_state), set[int]()
    while len(drawn) < n and (row := draw.next(drawn, ())) is not None:
        drawn.add(row)
    rows = np.array(sorted(drawn), dtype=np.int64)
    return rows, gold_weights(strata, rows)


def draw(
    llm_labels: object, n: int = 100, *, llm_scores: object = None, random_state: int = 0
) -> tuple[IntArray, FloatArray]:
    """Choose the texts that a person should label, and how many texts each of them speaks for.

    The texts are drawn at random from each LLM label and, where scores are known, by how sure the LLM was, so that a
    rare label gets its share. ``silr label --draw strata`` draws the same.

    Parameters
    ----------
    llm_labels : array-like of shape (N,)
        Labels of any type; None, NaN or -1 where the LLM gave none. Such texts are not drawn.
    n : int, default 100
        How many texts to draw.
    llm_scores : array-like of shape (N, K), default None
        Log-probabilities, the classes in sorted order. None: by the labels alone.
    random_state : int, default 0

    Returns
    -------
    rows : int64 array of shape (n,)
        Sorted.
    weights : float64 array of shape (n,)
        The ``gold_weight`` of `silr.LabelRefiner.fit`; together they sum to the number of texts with a label.

    Raises
    ------
    InputError
        There are fewer than n texts with a label, or more classes than n.

    Examples
    --------
    >>> from silr import draw
    >>> rows, weights = draw(["bad"] * 20 + ["good"] * 180, n=40)
    >>> len(rows), int((rows < 20).sum()), round(float(weights.sum()))
    (40, 10, 200)
    """
    column = read_column(llm_labels, "llm_labels")
    if column.is_integer:
        column = column.without("-1")
    classes = sort_classes(name for name in column.distinct if name is not None)
    codes = column.codes(ClassNames(classes), "llm_labels", of_python(option=False))
    scores = None if llm_scores is None else np.asarray(llm_scores, dtype=np.float64)
    check_shapes(scores, None, len(codes), classes)
    return draw_texts(codes, n, random_state, scores)
