"""The verdict on a refinement: whose labels are the result, and what the gold labels say of the refined ones.

Each iteration keeps how its labels compare with the LLM's (`compare`); the verdict is read from there, and nowhere else
(`verdict_of`). The summary, the report, ``--json`` and the model card show it.

Methods "uu" and "paper" label a text by its features alone, so that a good LLM is often better. If the gold labels say
so, the LLM's labels are the result (`result_of`). The default method weighs the LLM's answer by the same gold labels
already: it never goes back, since 100 gold labels cannot tell two labelings apart that are nearly the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from silr.class_names import listed
from silr.errors import NoSignalError
from silr.gold_labels import GoldLabels
from silr.priors import Priors

NORMAL_95 = 1.96
CHANCE = 0.05  # of no gold label of a class, below which it is no accident
EARLIER = "An earlier version of silr made this run and kept no comparison with the LLM's labels: refine again for one."

Finding = Literal["better", "unclear", "worse", "same", "unknown", "stopped"]


class Judged(Protocol):
    """An iteration, of which the verdict needs this."""

    @property
    def labels(self) -> NDArray[np.int16]: ...

    @property
    def priors(self) -> Priors | None: ...

    @property
    def metrics(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Verdict:
    """What a refinement ends with.

    Attributes
    ----------
    kept : {"refined", "llm"}
        Whose labels are the result. The LLM's are repeated where there is one; other texts get the refined label.
    iteration : int
        The iteration of these labels; 0 if they are the LLM's.
    judged : int
        The iteration that was compared with the LLM: the result, or what would have been.
    finding : {"better", "unclear", "worse", "same", "unknown", "stopped"}
        Of the refined labels against the LLM's, on texts that the LLM labelled: whether the interval of the gain lies
        above 0, around it or below it; "same" if no label differs; "unknown" if nothing tells; "stopped" if the first
        iteration lost the signal, so that nothing was refined. Of several LLMs it is the majority's labels or those of
        one of them: by the gold labels, those that gain least.
    changed : int
        Texts whose refined label is not the LLM's.
    gain, gain_interval : float, list of two floats, or None
        Share of right labels, refined less LLM's, with its 95 % interval.
    gold, put_right, made_wrong : int
        Gold texts that judge; those where only the refined label is right; those where only the LLM's is.
    without_gold : list of str
        Classes that the LLM gives so often that the gold labels should have them, and have not: then no gain is shown.
    source : {"gold", "oracle"} or None
        What tells.
    words : str
        All this in plain words.
    """

    kept: Literal["refined", "llm"]
    iteration: int
    judged: int
    finding: Finding
    changed: int
    gain: float | None = None
    gain_interval: list[float] | None = None
    gold: int = 0
    put_right: int = 0
    made_wrong: int = 0
    without_gold: list[str] = field(default_factory=list)
    source: str | None = None
    words: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare(
    estimate: Callable[[NDArray[np.int16], int], Priors | None],
    llm: NDArray[np.int16],
    gold: GoldLabels | None,
    labels: NDArray[np.int16],
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """How labels compare with the LLM's, on the texts that the LLM labelled.

    The gain is the difference of the two estimated accuracies. Both come from the same gold texts, so that its interval
    is that of a paired difference: Wald's with half a text added to each cell of the table of right and wrong. With few
    changed gold texts the plain Wald interval would be far too narrow. Gold texts count as Kish's effective number.

    Parameters
    ----------
    estimate : callable
        Labels and the number of their iteration to `Priors`, as `silr.refine.Loop` has it.
    llm, labels : int16 arrays of shape (n,)
        -1 where there is none.
    gold : GoldLabels or None
    names : sequence of str, default None
        Of the classes; None: their numbers.

    Returns
    -------
    dict
        ``{"against_llm": {...}}`` for an iteration's metrics, with the fields of `Verdict`; empty if nothing tells.

    References
    ----------
    Agresti, Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine 24,
    2005. Kish, "Survey sampling", 1965.
    """
    said = llm >= 0
    before, after = estimate(llm, 1), estimate(np.where(said, labels, -1).astype(np.int16), 1)
    if before is None or after is None or before.source not in ("gold", "oracle"):
        return {}
    gain = after.accuracy - before.accuracy
    values: dict[str, Any] = {"gain": gain, "gain_interval": [gain, gain], "source": before.source}
    if before.source == "gold" and gold is not None:
        judges = said[gold.rows] & (gold.weights > 0)
        rows, codes, w = gold.rows[judges], gold.codes[judges], gold.weights[judges] / gold.weights[judges].sum()
        wins = (labels[rows] == codes) & (llm[rows] != codes)
        losses = (labels[rows] != codes) & (llm[rows] == codes)
        half = NORMAL_95 * _standard_error(float(w[wins].sum()), float(w[losses].sum()), 1 / float(w @ w))
        values["gain_interval"] = [max(gain - half, -1.0), min(gain + half, 1.0)]
        values |= {"gold": len(rows), "put_right": int(wins.sum()), "made_wrong": int(losses.sum())}
        if gaps := _without_gold(llm[said], codes, 1 / float(w @ w), gold.n_classes):
            values["without_gold"] = [str(code) if names is None else names[code] for code in gaps]
    return {"against_llm": values}


def _without_gold(llm: NDArray[np.int16], gold: NDArray[np.int64], m: float, n_classes: int) -> list[int]:
    """Classes without gold label, though m texts drawn at random would hardly all miss what the LLM calls so.

    Such gold labels were not drawn at random, as of one class only. What they say is nothing about the other texts.
    """
    share = np.bincount(llm, minlength=n_classes) / len(llm)
    return np.flatnonzero((np.bincount(gold, minlength=n_classes) == 0) & ((1 - share) ** m < CHANCE)).tolist()


def _standard_error(wins: float, losses: float, n: float) -> float:
    """Of a paired difference: shares of wins and losses among n texts, half a text added to each of four cells."""
    size = n + 2
    b, c = n * wins + 0.5, n * losses + 0.5
    return float(np.sqrt(b + c - (b - c) ** 2 / size) / size)


def result_of(number: int, priors: Priors | None, comparison: Mapping[str, Any]) -> int:
    """Whose labels the result of a method is that does not weigh the LLM's answer: 0 is the LLM's.

    The LLM's, if by the gold labels it is right more often. Oracle priors are for research on the refined labels.
    """
    found = comparison.get("against_llm")
    judged = priors is not None and priors.source == "gold" and found is not None and found["source"] == "gold"
    return 0 if judged and found is not None and found["gain"] < 0 else number


def last_iteration(iterations: Sequence[Judged]) -> int:
    """Number of the last iteration whose labels can be used: the one before a stop. Its classifier predicts.

    Raises
    ------
    NoSignalError
        That is the annotator's: the first iteration already lost the signal.
    """
    stopped = iterations[-1].metrics.get("stopped")
    last = len(iterations) - 1 - (stopped is not None)
    if last == 0:
        raise NoSignalError(f"the labels carry too little signal, the first iteration lost it: {stopped}")
    return last


def verdict_of(iterations: Sequence[Judged]) -> Verdict:
    """The verdict on finished iterations; the first is the LLM's labels, and there is another one.

    Parameters
    ----------
    iterations : sequence of Iteration
    """
    llm = iterations[0].labels
    whose = "the LLMs' majority" if "annotators" in iterations[0].metrics else "the LLM"
    try:
        last = last_iteration(iterations)
    except NoSignalError:
        words = f"The first iteration lost the signal, so nothing was refined: the labels are those of {whose}."
        return Verdict("llm", 0, 1, "stopped", 0, words=words)
    metrics = iterations[last].metrics
    result = int(metrics.get("labels_of", last))
    judged = result or last
    changed = int(((llm >= 0) & (iterations[judged].labels != llm)).sum())
    found: dict[str, Any] = iterations[judged].metrics.get("against_llm", {})
    values = {
        name: found[name]
        for name in ("gain", "gain_interval", "gold", "put_right", "made_wrong", "without_gold")
        if name in found
    }
    finding: Finding = "unknown"
    if not changed:
        finding = "same"
    elif found:
        low, high = found["gain_interval"]
        finding = "better" if low > 0 else "worse" if high < 0 else "unclear"
        if finding == "better" and found.get("without_gold"):
            finding = "unclear"
    kept: Literal["refined", "llm"] = "refined" if result else "llm"
    verdict = Verdict(kept, result, judged, finding, changed, source=found.get("source"), **values)
    priors = iterations[judged].priors
    if changed and "llm" in found:
        whose = f"{found['llm']}, the LLM that is right most often by these"
    return replace(
        verdict, words=_words(verdict, whose) if found or priors is None or priors.source != "gold" else EARLIER
    )


def _words(verdict: Verdict, whose: str) -> str:
    """What to read first."""
    theirs = f"the labels of {whose}"
    if verdict.finding == "same":
        return f"No label of {whose} changed."
    if verdict.gain is None or verdict.gain_interval is None:
        return f"Without gold labels nobody can tell whether the refined labels are better than {theirs}."
    often = f"{_points(verdict.gain)} often than {theirs}"
    if verdict.source == "oracle":
        return f"By all true labels the refined labels are right {often}."
    low, high = (f"{100 * limit:+.1f}" for limit in verdict.gain_interval)
    by, interval = f"{verdict.gold:,} gold labels", f"95 % interval {low} to {high}"
    if verdict.kept == "llm":
        return (
            f"The result is {theirs}. By {by} the refined labels would be right {often} ({interval}). The default "
            "method (silr, without --theta) weighs the LLM's answer too, and seldom does worse."
        )
    if verdict.finding == "better":
        return f"The refined labels are better: by {by} they are right {often} ({interval})."
    result = "The result is the refined labels"
    if verdict.finding == "unclear" and verdict.without_gold:
        one = len(verdict.without_gold) == 1
        return (
            f"{result}. Whether they are better {by} cannot tell: {'class' if one else 'classes'} "
            f"{listed(verdict.without_gold, 5)} {'has' if one else 'have'} no gold label, though the LLM gives "
            f"{'it' if one else 'them'} often. Label texts drawn at random, as `silr label` does."
        )
    if verdict.put_right + verdict.made_wrong == 0:
        return (
            f"{result}. Whether they are better {by} cannot tell: on these texts they are right as often as {theirs}."
        )
    if verdict.finding == "worse":
        return (
            f"{result}, though by {by} alone they are right {often} ({interval}). The features speak for them, and few "
            "gold labels mislead at times: label more texts."
        )
    return (
        f"{result}. Whether they are better {by} cannot tell: by these they are right {often}, give or take chance "
        f"({interval})."
    )


def _points(gain: float) -> str:
    """A difference of shares, such as "2.1 percentage points more"."""
    return f"{abs(100 * gain):.1f} percentage points {'more' if gain >= 0 else 'less'}"
