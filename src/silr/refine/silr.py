"""The default method: the posterior from what the LLMs say of a text, its features and the gold labels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from silr.io.label_codes import check_gold
from silr.refine.finetune import finetuned_steps
from silr.refine.iteration import Iteration
from silr.refine.method import Context, Method, Step
from silr.refine.no_gold import check_scores, self_training_steps, warn_of_no_gold
from silr.refine.posterior_step import posterior_step
from silr.refine.problem import Problem
from silr.refine.tuning import FineTuned, check_at_least
from silr.stats.annotator_evidence import one_hot
from silr.stats.contrasts import probabilities


class Silr(Method):
    """The posterior from all evidence: the LLMs' answers, the features and the gold labels.

    A model that is fine-tuned learns the posterior's labels. Without gold labels the LLM's scores are refined by
    self-training, or its labels by those of similar texts.

    Parameters
    ----------
    iterations : int, default 5
        Of self-training, where there are scores and no gold labels. The posterior needs one.

    Examples
    --------
    >>> from silr import LabelRefiner, Silr
    >>> LabelRefiner(Silr(iterations=3)).method
    Silr(iterations=3)
    """

    name: ClassVar[str] = "silr"

    def __init__(self, iterations: int = 5) -> None:
        self.iterations = iterations

    def check_settings(self, tuning: FineTuned | None) -> None:
        """Refuse too few iterations."""
        check_at_least(1, iterations=self.iterations)

    def check(self, problem: Problem, context: Context) -> None:
        """Warn where there are no gold labels, or few; a model cannot be fine-tuned without any."""
        if not problem.has_gold and context.tuning is None:
            warn_of_no_gold(problem.annotators)
        else:
            check_gold(problem.gold_codes, problem.class_names, one_class=True)

    def iterations_for(self, problem: Problem, context: Context) -> int:
        """One, of a fine-tuned model two; several where scores are all there is."""
        if context.tuning is not None:
            return 2
        return self.iterations if _has_scores_only(problem) else 1

    def start(self, problem: Problem, context: Context) -> Iteration:
        """Iteration 0, for the posterior with the LLM's probabilities; NoSignalError if it has constant scores only."""
        start = super().start(problem, context)
        if _has_scores_only(problem):
            check_scores(problem)
            return start
        return replace(start, scores=_probabilities_of_llm(problem))

    def steps(self, problem: Problem, done: Sequence[Iteration], context: Context) -> Iterator[Step]:
        """The posterior, and the model that learns it; or self-training."""
        if context.tuning is not None:
            yield from finetuned_steps(self, problem, done, context)
        elif _has_scores_only(problem):
            yield from self_training_steps(problem, self.iterations, done, context)
        elif len(done) == 1:
            context.report(1, 0)
            yield posterior_step(problem)
            context.report(1, 1)


def _has_scores_only(problem: Problem) -> bool:
    """Whether one LLM's scores are all there is to go by."""
    return not problem.has_gold and len(problem.annotators) == 1 and problem.annotators[0].scores is not None


def _probabilities_of_llm(problem: Problem) -> NDArray[np.float32]:
    """Of the LLM's scores; of labels alone, and of several LLMs, those of a one-hot label."""
    K = problem.n_classes
    logits = one_hot(problem.llm, K)
    scores = problem.annotators[0].scores
    if len(problem.annotators) == 1 and scores is not None:
        known = np.isfinite(scores).all(axis=1, keepdims=True)
        logits = log_softmax(np.where(known, scores, 0.0), axis=1)
    return probabilities(logits if K > 2 else logits[:, 1:] - logits[:, :1]).astype(np.float32)
