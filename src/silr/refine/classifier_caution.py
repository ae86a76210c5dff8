"""Whether a run's classifier is better than the LLM, as far as the gold labels tell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from silr.io.words import limits, percent
from silr.refine.refinement import Refinement
from silr.refine.run import Run
from silr.stats.priors import Priors


class Estimate(NamedTuple):
    """A share of right labels, its interval, and whether more than the interval is known."""

    accuracy: float
    interval: tuple[float, float]
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{percent(self.accuracy)} ({limits(self.interval)})" if self.is_exact else limits(self.interval)


def llm_estimate(result: Refinement) -> tuple[str, Estimate] | None:
    """Whose labels are right most often: the LLM's, or of several LLMs the majority's or one's. None: nobody knows."""
    llm = result.iterations[0]
    estimates = [] if llm.priors is None else [(llm.whose, of_priors(llm.priors))]
    for annotator in llm.notes.annotators:
        if (estimate := estimate_in(annotator)) is not None:
            estimates.append((f"the LLM {annotator['name']}", estimate))
    return max(estimates, key=lambda each: each[1].accuracy, default=None)


def classifier_estimate(result: Refinement) -> Estimate | None:
    """The classifier that labels a text from the text alone; None: nothing is known of it.

    The refined labels of method "silr" are not its own: they lean on the LLM. A model that was fine-tuned on them is
    as good as they are, give or take the share that it changed.
    """
    last = result.iterations[result.classifier_iteration]
    notes = last.notes
    if notes.classifier_accuracy is not None and notes.classifier_accuracy_interval is not None:
        low, high = notes.classifier_accuracy_interval
        return Estimate(notes.classifier_accuracy, (low, high))
    if last.priors is None or notes.kind == "posterior":
        return None
    return of_priors(last.priors)._replace(is_exact=notes.kind != "tuned")


def caution_of_run(folder: str | Path) -> str | None:
    """`classifier_caution` of a finished run that was not loaded."""
    return classifier_caution(Run(folder).result())


def classifier_caution(result: Refinement, *, with_llm: bool = False) -> str | None:
    """Say it if the labels of new texts are no better than the LLM's, by the run's gold labels; None if they are.

    Of new texts that have the LLM's labels too (`with_llm`), which are labelled by the rule of the refined labels.
    """
    best, estimate = llm_estimate(result), classifier_estimate(result)
    if with_llm:
        estimate = None if result.best.priors is None else of_priors(result.best.priors)
    if best is None or estimate is None or estimate.accuracy > best[1].accuracy:
        return None
    name, llm = best
    who = "the refined labels are" if with_llm else "the classifier is"
    how = "not better" if estimate.is_exact else "not shown to be better"
    return f"{who} {how} than {name}: by the gold labels right on {estimate} of the texts, {name} on {llm}"


def estimate_in(values: Mapping[str, Any]) -> Estimate | None:
    """The accuracy in the notes of an LLM, or in a row of `silr.report.summary.summary`, if it is known."""
    if "estimated_accuracy" not in values:
        return None
    low, high = values["estimated_accuracy_interval"]
    return Estimate(values["estimated_accuracy"], (low, high))


def of_priors(priors: Priors) -> Estimate:
    """The accuracy with its interval."""
    low, high = priors.accuracy_interval
    return Estimate(float(priors.accuracy), (float(low), float(high)))
