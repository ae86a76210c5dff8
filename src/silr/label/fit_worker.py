"""The process that fits the posterior: the page's own stays free, and it can be ended at any moment."""

import signal
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Features = list[NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Input of a fit to n texts beside the gold labels."""

    texts: Sequence[str]
    codes: NDArray[np.int64]  # (n,): the LLM's labels, -1 where it gave none
    scores: NDArray[np.float64] | None  # (n, K)
    n_classes: int
    states: Path | None  # a ``.npy`` with one row a text; left out if it does not exist
    encoder: str | None  # a sentence encoder, as `silr refine --features` names it
    seed: int


def serve_fits(connection: Connection, corpus: Corpus) -> None:
    """Answer gold labels with class probabilities, or with a string that says why there are none, until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's process, which ends this one
    warnings.simplefilter("ignore")  # that gold labels are few is no news here
    features: Features | None = None
    with suppress(EOFError, OSError):  # the other end is gone
        while True:
            gold = connection.recv()
            answer: object
            try:
                features = features or make_features(corpus)
                answer = fit_posterior(corpus, features, gold)
            except Exception as error:  # whatever it is, labels by hand go on
                answer = str(error) or type(error).__name__
            connection.send(answer)


def make_features(corpus: Corpus) -> Features:
    """Return all that is at hand of hidden states, sentence embeddings and TF-IDF, each of shape (n, d)."""
    from silr.errors import InputError
    from silr.features.choose import make_features as features_by_name
    from silr.features.tfidf import TfidfFeatures
    from silr.io.feature_rows import features_of_texts

    parts: Features = []
    if corpus.states is not None and corpus.states.exists():
        parts.append(np.asarray(features_of_texts(corpus.states, corpus.texts), dtype=np.float32))
    if corpus.encoder is not None:
        parts.append(features_by_name(corpus.encoder).transform(corpus.texts))
    try:
        parts.append(TfidfFeatures().fit_transform(corpus.texts))
    except InputError:  # texts with nothing in common
        if not parts:
            raise
    return parts


def fit_posterior(corpus: Corpus, features: Features, gold: Mapping[int, int]) -> NDArray[np.floating]:
    """Fit the default method to gold labels that all count alike.

    `features` are of shape (n, d), and `gold` has class numbers by row. The result are class probabilities of shape
    (n, K); those of a text with gold come from a fit without its label.
    """
    from silr.refine.label_refiner import LabelRefiner

    n = len(corpus.texts)
    labels = np.array([None if code < 0 else code for code in corpus.codes.tolist()], dtype=object)
    column = np.full(n, None, dtype=object)
    column[list(gold)] = list(gold.values())
    classes = np.unique([*corpus.codes[corpus.codes >= 0].tolist(), *gold.values()])
    if corpus.scores is not None:
        classes = np.arange(corpus.n_classes)
    refiner = LabelRefiner(random_state=corpus.seed).fit(
        features, labels, column, llm_scores=corpus.scores, gold_weight=np.ones(n), classes=classes
    )
    scores = np.asarray(refiner.out_of_fold_scores_)
    posterior = np.zeros((n, corpus.n_classes), dtype=scores.dtype)
    posterior[:, classes.astype(int)] = scores
    if not np.isfinite(posterior).all():
        raise ValueError("the fit gave probabilities that are no numbers")
    return posterior
