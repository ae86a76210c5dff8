"""The verdict on a refinement: whose labels are the result, and what the gold labels say of the refined ones.

Each iteration keeps how its labels compare with the LLM's (`silr.refine.comparison`); the verdict is read from there,
and nowhere else. The summary, the report, ``--json`` and the model card show it.

Methods "uu" and "paper" label a text by its features alone, so that a good LLM is often better. If the gold labels say
so, the LLM's labels are the result (`result_of`). The default method weighs the LLM's answer by the same gold labels
already: it never goes back, since 100 gold labels cannot tell two labelings apart that are nearly the same.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from silr.errors import NoSignalError
from silr.io.class_names import listed
from silr.refine.comparison import Comparison
from silr.refine.iteration import Iteration
from silr.stats.priors import Priors

EARLIER = "An earlier version of silr made this run and kept no comparison with the LLM's labels: refine again for one."

Finding = Literal["better", "unclear", "worse", "same", "unknown", "stopped"]


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

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def result_of(number: int, priors: Priors | None, comparison: Comparison | None) -> int:
    """Whose labels the result of a method is that does not weigh the LLM's answer: 0 is the LLM's.

    The LLM's, if by the gold labels it is right more often. Oracle priors are for research on the refined labels.
    """
    judged = priors is not None and priors.source == "gold" and comparison is not None and comparison.source == "gold"
    return 0 if judged and comparison is not None and comparison.gain < 0 else number


def last_iteration(iterations: Sequence[Iteration]) -> int:
    """Number of the last iteration before a stop, whose classifier predicts; NoSignalError if the first one stopped."""
    stopped = iterations[-1].notes.stopped
    last = len(iterations) - 1 - (stopped is not None)
    if last == 0:
        raise NoSignalError(f"the labels carry too little signal, the first iteration lost it: {stopped}")
    return last


def verdict_of(iterations: Sequence[Iteration]) -> Verdict:
    """The verdict on finished iterations; the first is the LLM's labels, and there is another one."""
    llm, whose = iterations[0].labels, iterations[0].whose
    try:
        last = last_iteration(iterations)
    except NoSignalError:
        words = f"The first iteration lost the signal, so nothing was refined: the labels are those of {whose}."
        return Verdict("llm", 0, 1, "stopped", 0, words=words)
    labels_of = iterations[last].notes.labels_of
    result = last if labels_of is None else labels_of
    judged = result or last
    changed = int(((llm >= 0) & (iterations[judged].labels != llm)).sum())
    comparison = iterations[judged].notes.against_llm
    verdict = Verdict("refined" if result else "llm", result, judged, _finding(changed, comparison), changed)
    if comparison is not None:
        verdict = replace(verdict, **{name: value for name, value in vars(comparison).items() if name != "llm"})
        if changed and comparison.llm is not None:
            whose = f"{comparison.llm}, the LLM that is right most often by these"
    priors = iterations[judged].priors
    kept_none = comparison is None and priors is not None and priors.source == "gold"
    return replace(verdict, words=EARLIER if kept_none else _words(verdict, whose))


def _finding(changed: int, comparison: Comparison | None) -> Finding:
    if not changed:
        return "same"
    if comparison is None:
        return "unknown"
    low, high = comparison.gain_interval
    if low > 0:
        return "unclear" if comparison.without_gold else "better"
    return "worse" if high < 0 else "unclear"


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
