"""The default method with a fine-tuned model: it learns the refined labels, which read its own untuned states.

They are the posterior of `silr.posterior` on states and TF-IDF, with those of gold texts from fits without their
labels. The model, which starts from the head that fits those soft labels on its states alone, is tuned on them once. As
gold labels have taught it through all other texts, they cannot judge it: what is known of its labels is what is known
of the refined ones, give or take the share of labels that it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.annotator_evidence import Annotator
from silr.classifiers.finetuned import FinetunedClassifier
from silr.classifiers.tokens import Tokens
from silr.corpus_keys import text_keys
from silr.default_refine import llm_iteration, refine_default
from silr.gold_labels import GoldLabels
from silr.joined_features import slices
from silr.priors import Priors
from silr.refine import Loop, Store, derived_seed, held_out, score
from silr.run import Iteration
from silr.soft_risk import SoftRisk
from silr.tfidf import TfidfFeatures


def refine_finetuned(
    X: Tokens,
    texts: Sequence[str],
    annotators: Sequence[Annotator],
    gold: GoldLabels,
    loop: Loop,
    done: list[Iteration],
    store: Store,
) -> list[Iteration]:
    """Refine the annotator's labels with a fine-tuned model.

    Parameters
    ----------
    X : Tokens
        The texts as the model reads them.
    texts : sequence of str
        The same.
    annotators, gold, loop, done, store
        As `silr.default_refine.refine_default` takes them. Finished iterations are not computed again.

    Returns
    -------
    list of Iteration
        Three: the annotator's labels, the refined ones, and the model's. The model reads the text alone, and the
        posterior what the annotator says of it too, so that ``metrics["labels_of"]`` keeps the refined ones as the
        result, while the model labels new texts. ``metrics["of"]`` says that two iterations are all.
    """
    done = [replace(each, metrics={**each.metrics, **score(loop, each.labels)}) for each in done]
    if len(done) > 2:
        return done
    if not done:
        start = llm_iteration(annotators, gold, loop)
        done = [replace(start, metrics={**start.metrics, "of": 2})]
        store(done[0], None)
    classifier: Any = loop.new_classifier(2)
    assert isinstance(classifier, FinetunedClassifier)
    if len(done) < 2:
        states = classifier.untuned_states(X, loop.on_step and partial(loop.on_step, 1))
        done.append(_refined(states, texts, done[0], annotators, gold, loop))
        store(done[1], None)
    head = done[1]
    assert head.scores is not None and head.priors is not None
    soft = head.scores.copy()
    soft[gold.rows] = np.eye(gold.n_classes, dtype=np.float32)[gold.codes]
    on_step = loop.on_step and partial(loop.on_step, 2)
    risk, validation = SoftRisk(soft.mean(axis=0)), held_out(len(soft), loop.seed)
    history = classifier.fit(X, soft, risk, validation, derived_seed(loop.seed, 2), on_step)
    scores = classifier.predict_proba(X)
    metrics: dict[str, Any] = {"fit": history.to_dict(), "labels_of": 1, "of": 2}
    scores[gold.rows] = head.scores[gold.rows]  # of fits without their labels
    labels = scores.argmax(axis=1).astype(np.int16)
    metrics |= {"changed": int((labels != head.labels).sum()), **score(loop, labels)}
    priors = _give_or_take(head.priors, metrics["changed"] / len(labels))
    tuned = Iteration(2, labels, scores, priors, metrics)
    store(tuned, classifier)
    return [*done, tuned]


def _refined(
    states: NDArray[np.float32],
    texts: Sequence[str],
    start: Iteration,
    annotators: Sequence[Annotator],
    gold: GoldLabels,
    loop: Loop,
) -> Iteration:
    """The posterior on states and TF-IDF."""
    tfidf = TfidfFeatures()
    both: NDArray[Any] = np.hstack([states, tfidf.fit_transform(texts)]).astype(np.float32, copy=False)
    columns = slices([states.shape[1], *tfidf.widths])
    quiet = replace(loop, on_step=None)
    groups = [columns[:1], columns[1:]]
    found = refine_default(both, groups, annotators, gold, lambda: text_keys(texts), quiet, [start], lambda *_: None)
    return replace(found[-1], metrics={**found[-1].metrics, "of": 2})


def _give_or_take(priors: Priors, share: float) -> Priors:
    """What is known of labels that differ from known ones in this share of texts."""
    low, high = priors.accuracy_interval
    return replace(priors, accuracy_interval=np.array([max(low - share, 0.0), min(high + share, 1.0)]))
