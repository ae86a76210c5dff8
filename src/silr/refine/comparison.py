"""Refined labels against the LLM's: the gain by the gold labels, with its interval."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_labels import GoldLabels
from silr.stats.intervals import paired_standard_error, wider_out_of_fold
from silr.stats.priors import Priors

NORMAL_95 = 1.96
CHANCE = 0.05  # of no gold label of a class, below which it is no accident

Labels = NDArray[np.int16]
Estimate = Callable[[Labels, int], Priors | None]
"""Labels of shape (n,) and the number of their iteration to what is known of them."""


@dataclass(frozen=True)
class Comparison:
    """How labels compare with the LLM's, on the texts that the LLM labelled."""

    gain: float  # share of right labels, refined less LLM's
    gain_interval: list[float]  # at 95 %
    source: str  # what tells: "gold" or "oracle"
    gold: int = 0  # gold texts that judge
    put_right: int = 0  # those where only the refined label is right
    made_wrong: int = 0  # those where only the LLM's is
    # classes that the LLM gives so often that the gold labels should have them, and have not
    without_gold: list[str] = field(default_factory=list)
    llm: str | None = None  # of several LLMs the one that is compared; None: the only one, or the majority

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def compare(
    estimate: Estimate,
    llm: Labels,
    gold: GoldLabels | None,
    labels: Labels,
    names: Sequence[str] | None = None,
    out_of_fold: bool = False,
) -> Comparison | None:
    """Compare labels with the LLM's (-1 where there is none); None if nothing tells. Without names classes have
    numbers.

    The gain is the difference of the two estimated accuracies. Both come from the same gold texts, so that its
    interval is that of a paired difference: Wald's with half a text added to each cell of the table of right and
    wrong. With few changed gold texts the plain Wald interval would be far too narrow. Gold texts count as Kish's
    effective number ("Survey sampling", 1965). Labels that were learned from the gold labels (`out_of_fold`) are judged
    on the texts without gold label, like their accuracy: the interval is wider (`wider_out_of_fold`).
    """
    labelled = llm >= 0
    before, after = estimate(llm, 1), estimate(np.where(labelled, labels, -1).astype(np.int16), 1)
    if before is None or after is None or before.source not in ("gold", "oracle"):
        return None
    gain = after.accuracy - before.accuracy
    comparison = Comparison(gain, [gain, gain], before.source)
    if before.source == "oracle" or gold is None:
        return comparison
    judges = labelled[gold.rows] & (gold.weights > 0)
    rows, codes, w = gold.rows[judges], gold.codes[judges], gold.weights[judges] / gold.weights[judges].sum()
    wins = (labels[rows] == codes) & (llm[rows] != codes)
    losses = (labels[rows] != codes) & (llm[rows] == codes)
    m = 1 / float(w @ w)
    half = NORMAL_95 * paired_standard_error(m * float(w[wins].sum()), m * float(w[losses].sum()), m)
    if out_of_fold:
        half *= wider_out_of_fold(len(rows), int(labelled.sum()))
    gaps = _without_gold(llm[labelled], codes, m, gold.n_classes)
    return replace(
        comparison,
        gain_interval=[max(gain - half, -1.0), min(gain + half, 1.0)],
        gold=len(rows),
        put_right=int(wins.sum()),
        made_wrong=int(losses.sum()),
        without_gold=[str(code) if names is None else names[code] for code in gaps],
    )


def compare_with_best(
    estimate: Estimate,
    annotators: Sequence[Annotator],
    majority: Labels,
    gold: GoldLabels | None,
    labels: Labels,
    names: Sequence[str],
    out_of_fold: bool = False,
) -> Comparison | None:
    """The comparison with the labels that gain least, those of the majority or of one LLM.

    Refined labels that beat a majority of poor LLMs may still be no better than the one good LLM among them.
    """
    least = compare(estimate, majority, gold, labels, names, out_of_fold)
    for annotator in annotators if len(annotators) > 1 and least is not None else ():
        of_one = compare(estimate, annotator.labels, gold, labels, out_of_fold=out_of_fold)
        if of_one is not None and least is not None and of_one.gain < least.gain:
            least = replace(of_one, llm=annotator.name)
    return least


def _without_gold(llm: Labels, gold: NDArray[np.int64], m: float, n_classes: int) -> list[int]:
    """Classes without gold label, though m texts drawn at random would hardly all miss what the LLM calls so.

    Such gold labels were not drawn at random, as of one class only. What they say is nothing about the other texts.
    """
    share = np.bincount(llm, minlength=n_classes) / len(llm)
    return np.flatnonzero((np.bincount(gold, minlength=n_classes) == 0) & ((1 - share) ** m < CHANCE)).tolist()
