"""The refined labels as they were without some of the gold labels: what may be judged by these, and by them alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.features.joined import groups_of
from silr.io.annotator_columns import read_annotators
from silr.io.corpus import file_hash, load_features
from silr.io.feature_rows import features_of_texts
from silr.refine.posterior import refine_posterior
from silr.refine.record import Record
from silr.stats.annotator_evidence import Annotator
from silr.stats.contrasts import Floats, Numbers
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import StandardisedMatrix


@dataclass(frozen=True)
class Fold:
    """Gold texts, and the class probabilities of the corpus by fits that have not seen their gold labels."""

    rows: NDArray[np.int64]  # shape (m,)
    probabilities: Floats  # shape (n, K)


def left_out_folds(record: Record, features: object, gold: GoldLabels) -> list[Fold]:
    """Refine a run of the default method again, each time without a fifth of the gold labels.

    That takes as long as the run took. `features` are those of the run, and `gold` its gold labels. Empty where that
    cannot be: of another method, of a fine-tuned model, of very many gold labels, or if a file of features is gone.
    """
    corpus = record.corpus
    if corpus is None or corpus.frame is None or not record.is_posterior or record.iterations[-1].number != 1:
        return []
    X = _matrix(record, features)
    if X is None:
        return []
    llms = read_annotators(corpus.frame, corpus.name, list(corpus.llms), classes=record.class_names)
    annotators = [
        Annotator(codes.astype(np.int16), scores, name)
        for codes, scores, name in zip(llms.codes, llms.scores, llms.names, strict=True)
    ]
    folds: list[Fold] = []

    def keep(rows: NDArray[np.int64], probabilities: Numbers) -> None:
        folds.append(Fold(rows, probabilities))

    refine_posterior(StandardisedMatrix(X), groups_of(features, X.shape[1]), annotators, gold, 0, keep)
    return folds


def _matrix(record: Record, features: object) -> NDArray[np.number] | None:
    """The corpus's features, from the run or from the file that they came from; None if it is gone."""
    assert record.corpus is not None and record.table is not None
    texts, kept = record.corpus.texts, record.run.folder / "features" / "features.npy"
    if kept.is_file():
        return load_features(kept, len(texts))
    path = record.run.folder / record.table["features"][0]
    try:
        if not path.is_file() or file_hash(path) != getattr(features, "record", {}).get("sha256"):
            return None
        return features_of_texts(path, texts)
    except InputError:
        return None
