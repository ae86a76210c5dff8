"""One iteration of a method: its labels, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from silr.classifiers.base import FitHistory
from silr.io.files import Json
from silr.refine.comparison import Comparison
from silr.stats.priors import Priors

Kind = Literal["llm", "posterior", "tuned", "iteration"]


class LLMAccuracy(TypedDict, total=False):
    """What is known of one of several LLMs."""

    name: str
    estimated_accuracy: float
    estimated_accuracy_interval: list[float]
    true_accuracy: float


@dataclass(frozen=True)
class Notes:
    """What is known of an iteration besides its labels and their `Priors`."""

    # whose labels: the LLM's, the posterior's, those of a model that was fine-tuned on the posterior, or those of the
    # classifier of one of several iterations
    kind: Kind
    of: int = 0  # how many iterations were wanted; 0 where a run of version 0.1 does not say
    changed: int | None = None  # texts with another label than in the iteration before
    true_accuracy: float | None = None  # if the truth is known; it only scores
    against_llm: Comparison | None = None  # with the LLM's labels, if gold labels tell
    # the iteration whose labels are the result, if it is not this one for sure; 0 is the LLM's
    labels_of: int | None = None
    stopped: str | None = None  # why the labels have lost their signal
    fit: FitHistory | None = None  # risks by epoch
    annotators: list[LLMAccuracy] = field(default_factory=list)  # of iteration 0 where there are several LLMs
    # of the classifier that reads features alone, where the labels are not its own
    classifier_accuracy: float | None = None
    classifier_accuracy_interval: list[float] | None = None
    model_weights: list[float] | None = None  # how the evidence weighs the models of the posterior

    def to_dict(self) -> Json:
        """For JSON, without what is unknown."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {name: values[name] and values[name].to_dict() for name in ("against_llm", "fit")}
        return {name: value for name, value in values.items() if value not in (None, [])}

    @classmethod
    def from_dict(cls, values: Json, number: int) -> Notes:
        """Rebuild what `to_dict` returned, or the metrics of an iteration that version 0.1 made."""
        names = {each.name for each in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        if "kind" not in known:
            later: Kind = "iteration" if "of" not in known else "posterior" if number == 1 else "tuned"
            known |= {"kind": later if number else "llm", "of": known.get("of", values.get("asked", 0))}
        if "against_llm" in known:
            known["against_llm"] = Comparison(**known["against_llm"])
        if "fit" in known:
            known["fit"] = FitHistory(**known["fit"])
        return cls(**known)


@dataclass(frozen=True)
class Iteration:
    """One iteration; number 0 holds the LLM's labels."""

    number: int
    labels: NDArray[np.int16]  # shape (n,), -1 where iteration 0 has none
    # shape (n, K), class probabilities that gave the labels; None for an LLM of which only labels are known, and
    # dropped from memory (not from the run) where a later iteration is the result
    scores: NDArray[np.float32] | None
    priors: Priors | None  # of these labels. None if nothing is known about them.
    notes: Notes
    # shape (n,), labels of the classifier of features alone, where they are not the labels above; those of gold texts
    # come from fits that did not know their gold label
    classifier_labels: NDArray[np.int16] | None = None
    # shape (n, K), class probabilities for estimates: where gold labels trained the fits, each text's are of fits to
    # other gold labels, of the same number for all
    cross_fitted: NDArray[np.float32] | None = None

    @property
    def whose(self) -> str:
        """Whose labels these are, in words."""
        majority = "the LLMs' majority" if self.notes.annotators else "the LLM"
        names = {"llm": majority, "posterior": "refined", "tuned": "the fine-tuned model"}
        return names.get(self.notes.kind, f"iteration {self.number}")

    def scored(self, truth: NDArray[np.integer] | None) -> Iteration:
        """With the share of labels that agree with the truth, -1 where it is unknown."""
        accuracy = true_accuracy(self.labels, truth)
        return self if accuracy is None else self.with_notes(true_accuracy=accuracy)

    def with_notes(self, **values: Any) -> Iteration:
        """With some notes replaced."""
        return replace(self, notes=replace(self.notes, **values))


def true_accuracy(labels: NDArray[np.int16], truth: NDArray[np.integer] | None) -> float | None:
    """Share of right labels where the truth is known (not -1); None if it is known nowhere."""
    if truth is None or not (known := truth >= 0).any():
        return None
    return float((labels == truth)[known].mean())
