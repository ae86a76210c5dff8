"""A small classifier of texts in the place of a heavy one: taught the run's refined labels, on TF-IDF and an encoder.

    soft     <- class probabilities of the refined labels of the whole corpus; gold texts have their gold label
    student  <- ridge regression of soft on the features; each text is predicted without itself, exactly
    logits   <- a student + b, with the least cross-entropy to soft

A gold label judges the student's prediction of its text without that text. It has had a part in the refined labels of
other texts all the same.

References
----------
Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015 (arXiv 1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.classifiers.linear import LinearClassifier
from silr.errors import InputError
from silr.features import encoders
from silr.features.api import PREFIX
from silr.features.choose import make_features
from silr.features.joined import JoinedFeatures, groups_of
from silr.features.sentence import SentenceFeatures
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.io.corpus import load_features
from silr.io.words import percent
from silr.refine.classifier_caution import Estimate, llm_estimate
from silr.refine.posterior_step import of_new_texts
from silr.refine.record import Record, read_record
from silr.refine.refinement import Refinement
from silr.stats.contrasts import as_targets, probabilities
from silr.stats.gold_labels import GoldLabels
from silr.stats.intervals import Difference, paired_difference, right_share
from silr.stats.ridge import PENALTY, Ridge, StandardisedMatrix
from silr.stats.temperature import bias_corrected_temperature

if TYPE_CHECKING:
    from silr.refine.label_refiner import LabelRefiner

Codes = NDArray[np.integer]
SMALL = (SentenceFeatures, StaticFeatures)


@dataclass(frozen=True)
class Distilled:
    """A distilled classifier, and how good it is."""

    classifier: LinearClassifier
    features: Any  # fitted
    texts: int  # that taught it
    agreement: float  # share of these that have their refined label, each predicted without itself
    gold: int = 0  # gold labels that judge it
    accuracy: Estimate | None = None
    run: Estimate | None = None  # the run's own classifier, on the same gold texts
    loss: Difference | None = None  # share of right labels, the run's classifier less this one
    against: str = "the run's classifier"
    caution: str | None = None

    @property
    def reads(self) -> str:
        """Its features, in words."""
        parts = self.features.parts if isinstance(self.features, JoinedFeatures) else [self.features]
        named = [f"embeddings by {Path(part.record['model']).name}" for part in parts if isinstance(part, SMALL)]
        return " and ".join([*named, "TF-IDF"])

    @property
    def lines(self) -> list[str]:
        """How good it is, in words."""
        agrees = f"it agrees with the refined labels on {percent(self.agreement)} of the corpus"
        if self.accuracy is None or self.run is None or self.loss is None:
            return [f"Without gold labels nobody can tell how often the distilled classifier is right; {agrees}."]
        low, high = (f"{100 * limit:+.1f}" for limit in self.loss.interval)
        return [
            f"By {self.gold:,} gold labels, each left out of the training, the distilled classifier is right on "
            f"{self.accuracy} of the texts, {self.against} on {percent(self.run.accuracy)}: a loss of "
            f"{100 * self.loss.value:.1f} points (95 % interval {low} to {high}); {agrees}."
        ]


def corpus_of(run: str | Path) -> Record:
    """The run with the texts of its corpus; InputError says why they are not to be had."""
    record = read_record(run)
    if record.corpus is None:
        reason = "; ".join(record.problems) or "it was made in Python, so it does not know its texts"
        remedy = "refine a table of the texts with `silr refine`" if record.table is None else "put the table back"
        raise InputError(f"the run cannot be distilled: {reason}; {remedy}")
    return record


def teach(refiner: LabelRefiner, record: Record) -> Distilled:
    """Teach a linear classifier of texts the run's refined labels; see the module.

    Its features are TF-IDF and the run's own sentence encoder or static embeddings, else the encoder that is taken
    where nobody names one, if it is on this machine.
    """
    corpus = record.corpus
    assert corpus is not None
    features, matrix = _features(getattr(refiner, "features_", None), record.run.folder, corpus.texts)
    X, soft = StandardisedMatrix(matrix), refiner.scores_
    student = Ridge(X, PENALTY).student(as_targets(soft))
    scale, shift = bias_corrected_temperature(student.contrasts, soft)
    classifier = LinearClassifier(scale * student.weight, scale * student.intercept + shift, X.standardiser)
    labels = probabilities(scale * student.contrasts + shift).argmax(axis=1)
    names = [str(name) for name in refiner.classes_]
    refined = np.array([names.index(str(label)) for label in refiner.labels_])
    distilled = Distilled(classifier, features, len(labels), float((labels == refined).mean()))
    gold = GoldLabels.of(corpus.gold, corpus.weight, len(names))
    return _judged(distilled, labels, gold, refiner.result_) if (gold.weights > 0).any() else distilled


def _judged(distilled: Distilled, labels: Codes, gold: GoldLabels, result: Refinement) -> Distilled:
    """With accuracy and loss by gold labels."""
    own = result.iterations[result.classifier_iteration]
    theirs = own.labels if own.classifier_labels is None else own.classifier_labels
    judges = gold.weights > 0
    rows, codes, weight = gold.rows[judges], gold.codes[judges], gold.weights[judges]
    right, right_of_run = labels[rows] == codes, theirs[rows] == codes
    estimates = []
    for each in (right, right_of_run):
        share = right_share(each, weight)
        assert share is not None
        low, high = of_new_texts(share, len(labels))
        estimates.append(Estimate(share.share, (low, high)))
    best, caution = llm_estimate(result), None
    if best is not None and estimates[0].accuracy <= best[1].accuracy:
        caution = f"the distilled classifier is not better than {best[0]}, which is right on {best[1]} of the texts"
    return Distilled(
        **{name: getattr(distilled, name) for name in ("classifier", "features", "texts", "agreement")},
        gold=len(rows),
        accuracy=estimates[0],
        run=estimates[1],
        loss=paired_difference(right_of_run, right, weight),
        against="the refined labels" if own.notes.kind == "tuned" else "the run's classifier",
        caution=caution,
    )


def _features(known: Any, folder: Path, texts: list[str]) -> tuple[Any, NDArray[np.number]]:
    """Features of the student, and those of the corpus, which the run may have kept."""
    parts = known.parts if isinstance(known, JoinedFeatures) else [known]
    chosen: list[Any] = [part for part in parts if isinstance(part, SMALL)]
    if not chosen and (encoder := _encoder()) is not None:
        chosen.append(make_features(encoder))
    chosen.append(next((part for part in parts if isinstance(part, TfidfFeatures)), TfidfFeatures()))
    kept = _kept(known, parts, folder / "features" / "features.npy", len(texts))
    matrices = [kept[id(part)] if id(part) in kept else part.fit_transform(texts) for part in chosen]
    if len(chosen) == 1:
        return chosen[0], matrices[0]
    return JoinedFeatures(chosen), np.hstack(matrices).astype(np.float32, copy=False)


def _encoder() -> str | None:
    """The sentence encoder that is on this machine; those of a server are none."""
    name = encoders.named() or encoders.at_hand()
    return None if name is None or name.startswith(PREFIX) else name


def _kept(known: Any, parts: list[Any], path: Path, n: int) -> dict[int, NDArray[np.number]]:
    """The corpus's features that a run has kept, by the `id` of what made them."""
    if not path.is_file():
        return {}
    matrix = load_features(path, n)
    groups = groups_of(known, matrix.shape[1])
    return {id(part): matrix[:, group[0].start : group[-1].stop] for part, group in zip(parts, groups, strict=True)}
