"""Whether a run's classifier is better than the LLM, as far as the gold labels tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from silr.refine import best_iteration
from silr.report.words import limits, percent
from silr.run import Run
from silr.verdict import last_iteration


class Estimate(NamedTuple):
    """A share of right labels, its interval, and whether more than the interval is known."""

    accuracy: float
    interval: tuple[float, float]
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{percent(self.accuracy)} ({limits(self.interval)})" if self.is_exact else limits(self.interval)


def llm_estimate(refiner: Any) -> tuple[str, Estimate] | None:
    """Whose labels are right most often: the LLM's, or of several LLMs the majority's or one's. None: nobody knows."""
    entry = refiner.history_[0]
    several = "annotators" in entry["metrics"]
    name = "the LLMs' majority" if several else "the LLM"
    estimates = [] if entry["priors"] is None else [(name, _of_priors(entry["priors"]))]
    for each in entry["metrics"].get("annotators", ()):
        if "estimated_accuracy" in each:
            estimate = Estimate(each["estimated_accuracy"], tuple(each["estimated_accuracy_interval"]))
            estimates.append((f"the LLM {each['name']}", estimate))
    return max(estimates, key=lambda each: each[1].accuracy, default=None)


def classifier_estimate(refiner: Any) -> Estimate | None:
    """The classifier that labels a text from the text alone; None: nothing is known of it.

    The refined labels of method "silr" are not its own: they lean on the LLM. A model that was fine-tuned on them is
    as good as they are, give or take the share that it changed.
    """
    entry = refiner.history_[refiner.classifier_iteration_]
    metrics, priors = entry["metrics"], entry["priors"]
    if "classifier_accuracy" in metrics:
        return Estimate(metrics["classifier_accuracy"], tuple(metrics["classifier_accuracy_interval"]))
    if priors is None or leans_on_llm(metrics):
        return None
    return _of_priors(priors)._replace(is_exact="labels_of" not in metrics)


def caution_of_run(folder: str | Path) -> str | None:
    """`classifier_caution` of a finished run that was not loaded."""
    iterations = Run(folder).iterations()
    history = [{"labels": each.labels, "priors": each.priors, "metrics": each.metrics} for each in iterations]
    best, last = best_iteration(iterations), last_iteration(iterations)
    return classifier_caution(SimpleNamespace(history_=history, best_iteration_=best, classifier_iteration_=last))


def leans_on_llm(metrics: dict[str, Any]) -> bool:
    """Whether an iteration's labels are the posterior's, which knows what the LLM says of each text."""
    return "model_weights" in metrics


def classifier_caution(refiner: Any, *, with_llm: bool = False) -> str | None:
    """Say it if the labels of new texts are no better than the LLM's, by the run's gold labels; None if they are.

    Parameters
    ----------
    refiner : LabelRefiner
        Fitted.
    with_llm : bool, default False
        Whether new texts have the LLM's labels too, so that they are labelled by the rule of the refined labels.
    """
    best, estimate = llm_estimate(refiner), classifier_estimate(refiner)
    if with_llm:
        priors = refiner.history_[refiner.best_iteration_]["priors"]
        estimate = None if priors is None else _of_priors(priors)
    if best is None or estimate is None or estimate.accuracy > best[1].accuracy:
        return None
    name, llm = best
    who = "the refined labels are" if with_llm else "the classifier is"
    how = "not better" if estimate.is_exact else "not shown to be better"
    return f"{who} {how} than {name}: by the gold labels right on {estimate} of the texts, {name} on {llm}"


def _of_priors(priors: Any) -> Estimate:
    low, high = priors.accuracy_interval
    return Estimate(float(priors.accuracy), (float(low), float(high)))
