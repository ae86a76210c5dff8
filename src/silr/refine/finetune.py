"""The default method with a fine-tuned model: it learns the refined labels, which read its own untuned states.

They are the posterior of `silr.refine.posterior` on states and TF-IDF, with those of gold texts from fits without their
labels. The model, which starts from the head that fits those soft labels on its states alone, is tuned on them once. As
gold labels have taught it through all other texts, they cannot judge it: what is known of its labels is what is known
of the refined ones, give or take the share of labels that it changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from silr.features.joined import slices
from silr.features.tfidf import TfidfFeatures
from silr.refine.iteration import Iteration, Notes
from silr.refine.method import Context, Step, derived_seed, held_out
from silr.refine.posterior_step import posterior_step
from silr.refine.problem import Problem
from silr.refine.tuning import Recipe
from silr.stats.priors import Priors


def finetuned_steps(recipe: Recipe, problem: Problem, done: Sequence[Iteration], context: Context) -> Iterator[Step]:
    """The refined labels, and those of the model that learned them.

    The model reads the text alone, and the posterior what the LLM says of it too. So ``notes.labels_of`` keeps the
    refined labels as the result, while the model labels new texts.
    """
    from silr.hf.tokens import Tokens
    from silr.stats.uu_risk import SoftRisk

    gold, tokens = problem.gold, problem.X
    assert context.tuning is not None and gold is not None and isinstance(tokens, Tokens)
    if len(done) > 2:
        return
    new = context.tuning.new_classifiers(recipe, problem.n_classes, context.device, context.checkpoints)
    classifier = new(2)
    if len(done) < 2:
        states = classifier.untuned_states(tokens, context.steps_of(1))
        refined = _refined(states, problem)
        yield refined, None
    else:
        refined = done[1]
    assert refined.scores is not None and refined.priors is not None
    soft = refined.scores.copy()
    soft[gold.rows] = np.eye(gold.n_classes, dtype=np.float32)[gold.codes]
    risk, validation = SoftRisk(soft.mean(axis=0)), held_out(len(soft), problem.seed)
    fit = classifier.fit(tokens, soft, risk, validation, derived_seed(problem.seed, 2), context.steps_of(2))
    scores = classifier.predict_proba(tokens)
    scores[gold.rows] = refined.scores[gold.rows]  # of fits without their labels
    labels = scores.argmax(axis=1).astype(np.int16)
    priors = _give_or_take(refined.priors, float((labels != refined.labels).mean()))
    yield Iteration(2, labels, scores, priors, Notes("tuned", fit=fit, labels_of=1)), classifier


def _refined(states: NDArray[np.float32], problem: Problem) -> Iteration:
    """The posterior on states and TF-IDF."""
    tfidf = TfidfFeatures()
    both = np.hstack([states, tfidf.fit_transform(problem.texts or [])]).astype(np.float32, copy=False)
    columns = slices([states.shape[1], *tfidf.widths])
    return posterior_step(replace(problem, X=both, groups=[columns[:1], columns[1:]]))[0]


def _give_or_take(priors: Priors, share: float) -> Priors:
    """What is known of labels that differ from known ones in this share of texts."""
    low, high = priors.accuracy_interval
    return replace(priors, accuracy_interval=np.array([max(low - share, 0.0), min(high + share, 1.0)]))
