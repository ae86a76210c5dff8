"""A method of refinement, and the one loop that drives all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from silr.classifiers.base import Classifier
from silr.io.files import Json
from silr.refine.comparison import compare_with_best
from silr.refine.iteration import Iteration, LLMAccuracy, Notes, true_accuracy
from silr.refine.problem import Labels, Problem
from silr.refine.tuning import FineTuned
from silr.refine.verdict import result_of
from silr.stats.annotator_evidence import Annotator
from silr.stats.intervals import right_share
from silr.stats.priors import Priors

VALIDATION_SHARE = 1 / 8

OnStep = Callable[[int, int, int], None]
"""Takes the number of the iteration, how many steps of its fit are done, and how many there are."""
Step = tuple[Iteration, Classifier | None]
"""An iteration, of which the driver completes the notes, and its classifier."""
Store = Callable[[Iteration, Classifier | None], None]


@dataclass(frozen=True)
class Context:
    """Where and with what a method computes."""

    tuning: FineTuned | None = None  # the model to fine-tune; None: the classifier reads frozen features
    device: str | None = None  # None: the GPU if there is one, else the processor
    checkpoints: Path | None = None  # a folder for checkpoints inside a fit
    on_step: OnStep | None = None

    def steps_of(self, number: int) -> Callable[[int, int], None] | None:
        """What a fit calls after each step of an iteration."""
        return self.on_step and partial(self.on_step, number)

    def report(self, number: int, done: int) -> None:
        """Say that an iteration of one step has begun (0) or is done (1)."""
        if self.on_step is not None:
            self.on_step(number, done, 1)


class Method(BaseEstimator):  # type: ignore[misc]
    """A way to refine; its parameters are its settings and no other's."""

    name: ClassVar[str]  # on the command line
    takes_several: ClassVar[bool] = True  # whether it takes the labels of several LLMs
    reads_scores: ClassVar[bool] = True  # whether it reads the LLM's scores
    takes_prompt: ClassVar[bool] = True  # whether a fine-tuned model reads a text in the prompt that it had as the LLM
    # whether it weighs the LLM's answer. If not, the LLM's labels are the result where gold labels speak for them.
    weighs_llm: ClassVar[bool] = True

    match_prior: bool = True
    linear_probe: bool = True
    tuning_epochs: int = 1
    adapter_rate: float | None = None

    def check_settings(self, tuning: FineTuned | None) -> None:
        """Refuse settings that are none of their choices, or too small."""

    def check(self, problem: Problem, context: Context) -> None:
        """Refuse a problem that the method cannot solve; warn of one that it solves badly."""

    def settings(self, tuning: FineTuned | None) -> Json:
        """The parameters that decide a result, as JSON values."""
        return {}

    def iterations_for(self, problem: Problem, context: Context) -> int:
        """How many iterations there will be, if the signal lasts."""
        raise NotImplementedError

    def estimate(self, problem: Problem, labels: Labels, number: int) -> Priors | None:
        """What is known of the labels of an iteration."""
        return problem.estimate(labels)

    def start(self, problem: Problem, context: Context) -> Iteration:
        """Iteration 0, the LLM's labels; NoSignalError if they carry no signal that the method could use."""
        return Iteration(0, problem.llm, None, self.estimate(problem, problem.llm, 0), Notes("llm"))

    def steps(self, problem: Problem, done: Sequence[Iteration], context: Context) -> Iterator[Step]:
        """The iterations after those that are done, each as soon as it is finished."""
        raise NotImplementedError


def refine(
    method: Method, problem: Problem, done: Sequence[Iteration], store: Store, context: Context
) -> list[Iteration]:
    """Refine the LLM's labels by a method.

    Iterations that are `done` were finished by an earlier, interrupted call, and are not computed again. `store` takes
    each new one and its classifier (None for iteration 0) as soon as it is finished. Returns them all, from 0, the
    LLM's labels; fewer than were wanted if the labels lost their signal on the way.
    """
    of = method.iterations_for(problem, context)
    iterations = [iteration.scored(problem.truth) for iteration in done]
    if not iterations:
        start = method.start(problem, context)
        accuracies = [_accuracy_of(each, problem) for each in problem.annotators if len(problem.annotators) > 1]
        iterations.append(start.with_notes(of=of, annotators=accuracies).scored(problem.truth))
        store(iterations[0], None)
    if iterations[-1].notes.stopped is not None:
        return iterations
    for step, classifier in method.steps(problem, iterations, context):
        iteration = _completed(step, method, problem, iterations[-1], of)
        kept = iteration.notes.labels_of  # many texts, many bytes of scores
        iterations = [
            each if each.number == kept else replace(each, scores=None, cross_fitted=None) for each in iterations
        ] + [iteration]
        store(iteration, classifier)
    return iterations


def _completed(step: Iteration, method: Method, problem: Problem, before: Iteration, of: int) -> Iteration:
    """With what is noted of every iteration."""
    notes = replace(step.notes, of=of, changed=int(((before.labels >= 0) & (step.labels != before.labels)).sum()))
    if notes.kind != "tuned":  # gold labels taught the model through all texts: they cannot judge it
        estimate, names = partial(method.estimate, problem), problem.class_names
        gain = compare_with_best(
            estimate, problem.annotators, problem.llm, problem.gold, step.labels, names, method.weighs_llm
        )
        notes = replace(notes, against_llm=gain)
    if not method.weighs_llm:
        notes = replace(notes, labels_of=result_of(step.number, step.priors, notes.against_llm))
    return replace(step, notes=notes).scored(problem.truth)


def _accuracy_of(annotator: Annotator, problem: Problem) -> LLMAccuracy:
    """What is known of one of several LLMs."""
    accuracy = LLMAccuracy(name=annotator.name)
    if (true := true_accuracy(annotator.labels, problem.truth)) is not None:
        accuracy["true_accuracy"] = true
    if (gold := problem.gold) is not None:
        labels = annotator.labels[gold.rows]
        if right := right_share((labels == gold.codes)[labels >= 0], gold.weights[labels >= 0]):
            accuracy |= {"estimated_accuracy": right.share, "estimated_accuracy_interval": list(right.interval)}
    return accuracy


def held_out(n: int, seed: int) -> NDArray[np.bool_]:
    """The split of the corpus 7:1 into training (False) and validation (True), shape (n,)."""
    mask = np.zeros(n, dtype=bool)
    mask[: int(n * VALIDATION_SHARE)] = True
    return np.random.default_rng([seed, 0]).permutation(mask)


def derived_seed(seed: int, number: int) -> int:
    """Seed of one iteration: it depends on no earlier one, so that a resumed run ends like an uninterrupted one."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def most_likely(scores: NDArray[np.float32]) -> Labels:
    """The class with the highest score, shape (n,), in parts so that no large copy is made."""
    return np.concatenate([part.argmax(axis=1).astype(np.int16) for part in np.array_split(scores, 16)])
