"""silr's own rows, by the interface that users have: `LabelRefiner`.

Three functions here know how it is called: `fit` (features and labels), `llm_labels` (one LLM or several) and
`estimated_accuracy`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from answers import Answer, gold_column
from silr import LabelRefiner
from silr.classifiers.choose import load_classifier
from silr.refine.run import Run
from tables import Gold, Split

ITERATIONS = 5


def default(alone: bool = False) -> Callable[[Split, Gold], list[Answer]]:
    """The default; new texts are labelled with what the LLM says of them, or `alone` by the features."""

    def method(part: Split, gold: Gold) -> list[Answer]:
        with tempfile.TemporaryDirectory() as folder:
            model, test = fit(part, gold, Path(folder) / "run", True, {})
        if alone:
            corpus = model.predict_proba(model.features_.transform(part.texts[0], part.features[0]))
            found = corpus.argmax(axis=1)
        else:
            corpus, found = np.asarray(model.out_of_fold_scores_), np.asarray(model.out_of_fold_labels_)
        scores, new = np.empty((0, len(part.classes))), np.empty(0, dtype=int)
        if len(test):
            said = {}
            if not alone and hasattr(model.classifier_, "mixture"):
                said = {"llm_labels": llm_labels(part, 1)}
                said |= {} if part.scores is None else {"llm_scores": part.scores[1]}
            new, scores = model.predict_with_proba(test, **said)
        return [Answer((found, new), (corpus, scores), None if alone else estimated_accuracy(model.priors_))]

    return method


def refiner(with_tfidf: bool = False, **options: Any) -> Callable[[Split, Gold], list[Answer]]:
    """A method of silr's on frozen features; `with_tfidf` puts TF-IDF beside them."""

    def method(part: Split, gold: Gold) -> list[Answer]:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            model, test = fit(part, gold, run, with_tfidf, options)
            # the method's own labels, also where the verdict keeps the LLM's
            result = model.classifier_iteration_
            estimate = estimated_accuracy(model.history_[result]["priors"])
            corpus = Run(run).iterations()[result].scores
            found = []
            for number in range(1, result + 1):
                classifier = load_classifier(run / f"iteration-{number}")
                scores = classifier.predict_proba(test) if len(test) else np.empty((0, len(part.classes)))
                labels = np.asarray(model.history_[number]["labels"])
                last = number == result
                found.append(
                    Answer(
                        (labels, scores.argmax(axis=1)),
                        (corpus, scores) if last else None,
                        estimate if last else None,
                    )
                )
        return found

    return method


def fit(part: Split, gold: Gold, run: Path, with_tfidf: bool, options: dict[str, Any]) -> tuple[Any, Any]:
    """Fit `LabelRefiner` on the corpus; it, and the features of the test part as its classifier reads them."""
    settings, (corpus, test) = dict(options), part.features
    if with_tfidf:
        settings["features"] = ["tfidf"]
        if part.has_dense:
            dense = str(run.with_name("dense.npy"))
            np.save(dense, corpus)
            settings["features"] = [dense, "tfidf"]
        corpus = part.texts[0]
    model = LabelRefiner.from_options(random_state=part.seed, iterations=ITERATIONS, run=run, **settings)
    model.fit(
        corpus,
        llm_labels(part),
        gold_column(gold.labels),
        llm_scores=None if part.scores is None else part.scores[0],
        gold_weight=gold.weights,
        truth=part.truth[0],
        classes=np.arange(len(part.classes)),
    )
    if with_tfidf and len(test):
        test = model.features_.transform(part.texts[1], test)
    return model, test


def llm_labels(part: Split, which: int = 0) -> Any:
    """The labels that `LabelRefiner` gets, of the corpus or (1) of the test part: (n,), or (n, L) of several LLMs."""
    return gold_column(part.llm[which])


def estimated_accuracy(priors: Any) -> dict[str, float] | None:
    """The estimated accuracy of the labels of the corpus and its 95 % interval, as the user reads it."""
    if priors is None:
        return None
    low, high = map(float, priors.accuracy_interval)
    return {"accuracy": float(priors.accuracy), "low": low, "high": high}
