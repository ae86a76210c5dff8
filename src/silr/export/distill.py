"""A small classifier of texts in the place of a heavy one: taught the run's refined labels, on TF-IDF and an encoder.

The gold labels judge it by five folds of the corpus. The texts of a fold are labelled by a student of the other texts,
and what these teach are refined labels that were made without the gold labels of the fold. Otherwise a gold label would
have taught the student through texts alike.

References
----------
Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015 (arXiv 1503.02531).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.classifiers.linear import LinearClassifier
from silr.errors import InputError
from silr.export.student import Design, Student
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
from silr.refine.left_out import Fold, left_out_folds
from silr.refine.posterior_step import of_new_texts
from silr.refine.record import Record, read_record
from silr.refine.refinement import Refinement
from silr.stats.contrasts import Floats
from silr.stats.gold_labels import FOLDS, GoldLabels
from silr.stats.intervals import Difference, paired_difference, right_share

if TYPE_CHECKING:
    from silr.refine.label_refiner import LabelRefiner

Codes = NDArray[np.integer]
MOST_TEXTS = 100_000  # that teach; of a longer corpus some at random
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
    is_cross_fitted: bool = False  # whether what taught it was made without the gold labels that judge it

    @property
    def reads(self) -> str:
        """Its features, in words."""
        parts = self.features.parts if isinstance(self.features, JoinedFeatures) else [self.features]
        kinds = ["sentence embeddings" if isinstance(part, SentenceFeatures) else "static embeddings" for part in parts]
        return " and ".join([*dict.fromkeys(kinds[:-1]), "TF-IDF"])

    @property
    def lines(self) -> list[str]:
        """How good it is, in words."""
        agrees = f"it agrees with the refined labels on {percent(self.agreement)} of the corpus"
        if self.accuracy is None or self.run is None or self.loss is None:
            return [f"Without gold labels nobody can tell how often the distilled classifier is right; {agrees}."]
        lost = round(100 * self.loss.value, 1)
        sign, change = (1, "loss") if lost >= 0 else (-1, "gain")
        low, high = (f"{100 * limit:+.1f}" for limit in sorted(sign * limit for limit in self.loss.interval))
        left_out = "cross-fitted" if self.is_cross_fitted else "left out of its training though not of the run's"
        return [
            f"By {self.gold:,} gold labels, {left_out}, the distilled classifier is right on {self.accuracy} of the "
            f"texts, and {self.against} on {percent(self.run.accuracy)}: a {change} of {abs(lost)} "
            f"points (95 % interval of the {change} {low} to {high}); {agrees}."
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
    corpus, n_classes = record.corpus, len(refiner.classes_)
    assert corpus is not None
    known, soft = getattr(refiner, "features_", None), refiner.scores_
    design = _design(known, record.run.folder, corpus.texts)
    some = np.random.default_rng(0).permutation(len(soft))[:MOST_TEXTS]
    classifier, features = Student.fit(design.X[some], soft[some]).as_classifier(design)
    gold = GoldLabels.of(corpus.gold, corpus.weight, n_classes)
    has_gold = bool((gold.weights > 0).any())
    folds = left_out_folds(record, known, gold) if has_gold else []
    labels = _out_of_fold(design, soft, gold, folds, some)
    names = [str(name) for name in refiner.classes_]
    refined = np.array([names.index(str(label)) for label in refiner.labels_])
    seen = np.union1d(some, gold.rows)
    agreement = float((labels[seen] == refined[seen]).mean())
    distilled = Distilled(classifier, features, len(some), agreement, is_cross_fitted=bool(folds))
    return _judged(distilled, labels, gold, refiner.result_) if has_gold else distilled


def _out_of_fold(
    design: Design, soft: Floats, gold: GoldLabels, folds: Sequence[Fold], some: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Labels of the texts that teach and of the gold texts, shape (n,), each by a student of other texts; else -1."""
    rng, labels = np.random.default_rng(0), np.full(len(soft), -1)
    fold_of = rng.integers(FOLDS, size=len(soft))
    held = [fold.rows for fold in folds] or [
        gold.rows[left] for _, left in (gold.folds(0) if len(gold.rows) >= FOLDS else [])
    ]
    for number, rows in enumerate(held):
        fold_of[rows] = number
    known = np.union1d(some, gold.rows)
    for number in range(FOLDS):
        values = soft
        if folds:
            values = folds[number].probabilities.copy()
            learned = np.isin(gold.rows, folds[number].rows, invert=True)
            values[gold.rows[learned]] = np.eye(gold.n_classes)[gold.codes[learned]]
        learn, judge = some[fold_of[some] != number], known[fold_of[known] == number]
        labels[judge] = Student.fit(design.X[learn], values[learn]).probabilities(design.X[judge]).argmax(axis=1)
    return labels


def _judged(distilled: Distilled, labels: Codes, gold: GoldLabels, result: Refinement) -> Distilled:
    """With accuracy and loss by gold labels."""
    own = result.iterations[result.classifier_iteration]
    theirs = own.labels if own.classifier_labels is None else own.classifier_labels
    judges = gold.weights > 0
    rows, codes, weight = gold.rows[judges], gold.codes[judges], gold.weights[judges]
    right, right_of_run = labels[rows] == codes, theirs[rows] == codes
    estimates = []
    for correct in (right, right_of_run):
        share = right_share(correct, weight)
        assert share is not None
        low, high = of_new_texts(share, len(labels))
        estimates.append(Estimate(share.share, (low, high)))
    best, caution = llm_estimate(result), None
    if best is not None and estimates[0].accuracy <= best[1].accuracy:
        caution = f"the distilled classifier is not better than {best[0]}, which is right on {best[1]} of the texts"
    return replace(
        distilled,
        gold=len(rows),
        accuracy=estimates[0],
        run=estimates[1],
        loss=paired_difference(right_of_run, right, weight),
        against="the refined labels" if own.notes.kind == "tuned" else "the run's classifier",
        caution=caution,
    )


def _design(known: Any, folder: Path, texts: Sequence[str]) -> Design:
    """What the student reads; embeddings that the run has kept are not made again."""
    parts = known.parts if isinstance(known, JoinedFeatures) else [known]
    chosen: list[Any] = [part for part in parts if isinstance(part, SMALL)]
    if not chosen and (encoder := _encoder()) is not None:
        chosen.append(make_features(encoder))
    kept = _kept(known, parts, folder / "features" / "features.npy", len(texts))
    embeddings = [kept[id(part)] if id(part) in kept else part.fit_transform(texts) for part in chosen]
    tfidf = next((part for part in parts if isinstance(part, TfidfFeatures)), None)
    if tfidf is None:
        tfidf = TfidfFeatures()
        tfidf.fit_transform(texts)
    return Design.of(tfidf, chosen, embeddings, texts)


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
