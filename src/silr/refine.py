"""The loop: estimate priors, fit a fresh classifier under the UU risk, relabel everything, repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.classifiers.base import Classifier
from silr.errors import InputError, NoSignalError
from silr.priors import Priors, check_signal
from silr.run import Iteration
from silr.verdict import last_iteration, result_of

if TYPE_CHECKING:
    from silr.risk import UURisk

VALIDATION_SHARE = 1 / 8

Labels = NDArray[np.int16]
Store = Callable[[Iteration, Classifier | None], None]
OnStep = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Loop:
    """What stays the same in all iterations.

    Attributes
    ----------
    estimate : callable
        Labels of shape (n,) and the number of their iteration to `Priors`, or None if nothing is known about them.
    new_classifier : callable
        Gives a fresh, unfitted classifier for an iteration, given its number.
    new_risk : callable
        `Priors` to the risk to train under.
    iterations : int
    seed : int
    class_names : list of str
        For messages.
    truth : int16 array of shape (n,) or None
        True labels, -1 where unknown. They only score.
    on_step : callable or None
        Takes the number of the iteration, how many steps of its fit are done, and how many there are.
    compare : callable
        Labels to how they compare with the LLM's, for the metrics: `silr.verdict.compare`.
    """

    estimate: Callable[[Labels, int], Priors | None]
    new_classifier: Callable[[int], Classifier]
    new_risk: Callable[[Priors], UURisk]
    iterations: int
    seed: int
    class_names: list[str]
    truth: Labels | None = None
    on_step: OnStep | None = None
    compare: Callable[[Labels], dict[str, Any]] = lambda labels: {}

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.class_names)


def refine(X: Any, llm_labels: Labels, loop: Loop, done: list[Iteration], store: Store) -> list[Iteration]:
    """Refine the annotator's labels.

    Parameters
    ----------
    X : indexable of length n
        The corpus, as the classifier reads it.
    llm_labels : int16 array of shape (n,)
        The annotator's labels, -1 where it gave none: such texts train nothing, and are labelled from iteration 1 on.
    loop : Loop
    done : list of Iteration
        Iterations that an earlier, interrupted call has finished.
    store : callable
        Takes each new iteration and its classifier (None for iteration 0) as soon as it is finished.

    Returns
    -------
    list of Iteration
        From 0, the annotator's labels; the last one has its scores. Fewer than ``loop.iterations + 1`` if the labels
        lost their signal on the way (the last one's ``metrics["stopped"]`` says why) or nothing is known about the
        later ones. ``metrics["labels_of"]`` is 0 where the gold labels speak for the LLM's labels.

    Raises
    ------
    NoSignalError
        The annotator's labels carry no usable signal.
    """
    iterations = [replace(each, metrics={**each.metrics, **score(loop, each.labels)}) for each in done]
    if not iterations:
        priors = loop.estimate(llm_labels, 0)
        if priors is None:
            raise InputError("nothing is known about the LLM's labels: give gold labels, or theta")
        check_signal(priors, loop.class_names)
        iterations.append(Iteration(0, llm_labels, None, priors, score(loop, llm_labels)))
        store(iterations[0], None)
    validation = held_out(len(llm_labels), loop.seed)
    while len(iterations) <= loop.iterations and "stopped" not in iterations[-1].metrics:
        before, number = iterations[-1], len(iterations)
        if before.priors is None:
            break
        iterations = [replace(each, scores=None) for each in iterations]  # many texts, many bytes
        classifier = loop.new_classifier(number)
        risk = loop.new_risk(before.priors)
        on_step = loop.on_step and partial(loop.on_step, number)
        history = classifier.fit(X, before.labels, risk, validation, derived_seed(loop.seed, number), on_step)
        scores = classifier.predict_proba(X)
        labels = np.concatenate([part.argmax(axis=1).astype(np.int16) for part in np.array_split(scores, 16)])
        priors = loop.estimate(labels, number)
        metrics = {"fit": history.to_dict(), "changed": int((labels != before.labels).sum()), **score(loop, labels)}
        metrics |= (comparison := loop.compare(labels))
        metrics["labels_of"] = result_of(number, priors, comparison)
        try:
            if priors is not None:
                metrics["asked"] = loop.iterations
                check_signal(priors, loop.class_names)
        except NoSignalError as error:
            metrics["stopped"] = str(error)
        iterations.append(Iteration(number, labels, scores, priors, metrics))
        store(iterations[-1], classifier)
    return iterations


def best_iteration(iterations: list[Iteration]) -> int:
    """Number of the iteration whose labels are the result: the last one, unless it names another; 0 is the LLM's.

    Raises
    ------
    NoSignalError
        As `silr.verdict.last_iteration`.
    """
    last = last_iteration(iterations)
    return int(iterations[last].metrics.get("labels_of", last))


def held_out(n: int, seed: int) -> NDArray[np.bool_]:
    """The split of the corpus 7:1 into training (False) and validation (True), shape (n,)."""
    mask = np.zeros(n, dtype=bool)
    mask[: int(n * VALIDATION_SHARE)] = True
    return np.random.default_rng([seed, 0]).permutation(mask)


def derived_seed(seed: int, number: int) -> int:
    """Seed of one iteration: it depends on no earlier one, so that a resumed run ends like an uninterrupted one."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def score(loop: Loop, labels: Labels) -> dict[str, float]:
    """``true_accuracy`` of labels, if any true label is known."""
    if loop.truth is None or not (known := loop.truth >= 0).any():
        return {}
    return {"true_accuracy": float((labels == loop.truth)[known].mean())}
