"""The methods that are compared. Each gets the same texts, features, LLM labels and scores, and gold labels.

Each is a function of a split and its gold labels; it returns what it calls every text of the corpus and of the test
part, after each iteration if it has some. True labels beyond the gold ones reach the methods whose name says "oracle",
and the ceiling.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import StandardScaler

from ccp import propagate_credibility
from silr import LabelRefiner, UUClassifier
from silr.classifiers.choose import load_classifier
from silr.tfidf import TfidfFeatures
from tables import Split

ITERATIONS = 5
FOLDS = 5  # of cleanlab's cross-validation
PENALTIES = np.logspace(-5, 1, 13)

Labels = tuple[Any, Any]
"""Codes of the corpus and of the test part."""


@dataclass(frozen=True)
class Gold:
    """Gold labels of the corpus: codes, -1 where there is none, and weights."""

    labels: Any
    weights: Any

    @property
    def rows(self) -> Any:
        return np.flatnonzero(self.labels >= 0)


def llm(part: Split, gold: Gold) -> list[Labels]:
    """The LLM's labels as they are."""
    return [part.llm]


def threshold(part: Split, gold: Gold) -> list[Labels]:
    """The LLM's scores, with the threshold that is right on most gold labels; weights of classes if there are several.

    Between two gold labels the threshold lies in the middle; of equally good ones the median is taken.
    """
    rows = gold.rows
    if len(part.classes) > 2:
        model = LogisticRegression(max_iter=1000).fit(part.scores[0][rows], gold.labels[rows], gold.weights[rows])
        return [tuple(model.predict(scores) for scores in part.scores)]
    margins = [scores[:, 1] - scores[:, 0] for scores in part.scores]
    order = rows[np.argsort(margins[0][rows], kind="stable")]
    values, signs = margins[0][order], np.where(gold.labels[order] == 1, -1.0, 1.0) * gold.weights[order]
    cuts = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    right = np.concatenate([[0], np.cumsum(signs)])  # up to a constant: those above a cut are called 1
    right[1:-1][values[1:] == values[:-1]] = -np.inf
    best = np.flatnonzero(right == right.max())
    cut = cuts[best[len(best) // 2]]
    return [tuple((margin > cut).astype(int) for margin in margins)]


def gold_only(views: str, weighted: bool = True) -> Callable[[Split, Gold], list[Labels]]:
    """Logistic regression on the gold labels alone; the penalty by cross-validation."""

    def method(part: Split, gold: Gold) -> list[Labels]:
        weights = gold.weights[gold.rows] if weighted else None
        return [supervised(VIEWS[views](part), gold.rows, gold.labels[gold.rows], weights, PENALTIES)]

    return method


def ceiling(part: Split, gold: Gold) -> list[Labels]:
    """Logistic regression on all true labels of the corpus, on states and TF-IDF."""
    rows = np.arange(len(part.truth[0]))
    return [supervised(both_views(part), rows, part.truth[0], None, np.logspace(-4, 0, 5))]


def pn(part: Split, gold: Gold) -> list[Labels]:
    """Ordinary training on the LLM's labels, and on what came out again; silr's head and steps."""
    found, labels = [], part.llm[0]
    for iteration in range(ITERATIONS):
        model = UUClassifier(match_prior=False, random_state=part.seed * 100 + iteration)
        model.fit(part.features[0], labels)
        found.append((model.predict(part.features[0]), model.predict(part.features[1])))
        labels = found[-1][0]
        if len(np.unique(labels)) < 2:
            break
    return found


def cleanlab(part: Split, gold: Gold) -> list[Labels]:
    """Confident learning (Northcutt et al., 2021) on the LLM's labels, by cleanlab around a logistic regression.

    It wants each class in each fold, so texts of rarer labels train nothing.
    """
    from cleanlab.classification import CleanLearning

    classes, counts = np.unique(part.llm[0], return_counts=True)
    classes = classes[counts >= FOLDS]
    if len(classes) < 2:
        return [part.llm]  # nothing to be confident about
    corpus, test = standardised(part)
    rows = np.isin(part.llm[0], classes)
    model = CleanLearning(LogisticRegression(C=0.01, max_iter=1000), seed=part.seed, cv_n_folds=FOLDS)
    model.fit(corpus[rows], np.searchsorted(classes, part.llm[0][rows]))
    return [(classes[model.predict(corpus)], classes[model.predict(test)])]


def ccp(part: Split, gold: Gold) -> list[Labels]:
    """Contrastive credibility propagation (Kutt et al., AAAI 2024) from the LLM's labels, gold labels clamped."""
    if len(np.unique(part.llm[0])) < 2:
        return [part.llm]  # no pairs of different credibility
    corpus, test = standardised(part)
    return [propagate_credibility(corpus, test, part.llm[0], gold.labels, len(part.classes), part.seed)]


def refiner(with_tfidf: bool = False, **options: Any) -> Callable[[Split, Gold], list[Labels]]:
    """A method of silr's on frozen features; `with_tfidf` puts TF-IDF beside them, as `silr refine` does."""

    def method(part: Split, gold: Gold) -> list[Labels]:
        with tempfile.TemporaryDirectory() as folder:
            settings = dict(options)
            run, corpus, test = Path(folder) / "run", part.features[0], part.features[1]
            if with_tfidf:
                settings["features"] = ["tfidf"]
                if part.has_states:
                    states = str(Path(folder) / "states.npy")
                    np.save(states, corpus)
                    settings["features"] = [states, "tfidf"]
                corpus = part.texts[0]
            model = LabelRefiner(random_state=part.seed, iterations=ITERATIONS, run=run, **settings)
            given = {"gold": gold_column(gold.labels), "gold_weight": gold.weights, "truth": part.truth[0]}
            given["classes"] = np.arange(len(part.classes))
            model.fit(corpus, part.llm[0], llm_scores=part.scores[0], **given)
            if with_tfidf:
                test = model.features_.transform(part.texts[1], test)
            if not model.best_iteration_:
                return [(model.labels_, part.llm[1])]
            found = []
            for number in range(1, model.best_iteration_ + 1):
                scores = load_classifier(run / f"iteration-{number}").predict_proba(test)
                found.append((model.history_[number]["labels"], scores.argmax(axis=1)))
        return found

    return method


@dataclass(frozen=True)
class Method:
    run: Callable[[Split, Gold], list[Labels]]
    needs_gold: bool = True


def gold_column(labels: Any) -> Any:
    """Codes as `LabelRefiner` takes them: NaN where there is no gold label."""
    return np.where(labels < 0, np.nan, labels)


def tfidf(part: Split) -> tuple[Any, Any]:
    """TF-IDF of words and of characters, standardised."""
    features = TfidfFeatures()
    return scaled(features.fit_transform(part.texts[0]), features.transform(part.texts[1]))


def both_views(part: Split) -> tuple[Any, Any]:
    """Hidden states and TF-IDF, standardised; TF-IDF alone where there are no states."""
    if not part.has_states:
        return standardised(part)
    return tuple(np.hstack(pair) for pair in zip(standardised(part), tfidf(part), strict=True))


def standardised(part: Split) -> tuple[Any, Any]:
    return scaled(*part.features)


def scaled(corpus: Any, test: Any) -> tuple[Any, Any]:
    scaler = StandardScaler().fit(corpus)
    return scaler.transform(corpus), scaler.transform(test)


def supervised(features: tuple[Any, Any], rows: Any, labels: Any, weights: Any, penalties: Any) -> Labels:
    corpus, test = features
    if len(np.unique(labels)) < 2:
        return tuple(np.full(len(matrix), labels[0]) for matrix in (corpus, test))
    folds = min(5, int(np.bincount(labels)[np.unique(labels)].min()))
    if folds < 2:
        model: Any = LogisticRegression(C=1e-3, max_iter=1000)
    else:
        model = LogisticRegressionCV(Cs=penalties, cv=folds, scoring="neg_log_loss", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(corpus[rows], labels, sample_weight=weights)
    return model.predict(corpus), model.predict(test)


VIEWS = {"states": standardised, "TF-IDF": tfidf, "both": both_views}

METHODS: dict[str, Method] = {
    "LLM": Method(llm, False),
    "threshold": Method(threshold),
    "gold only: states": Method(gold_only("states")),
    "gold only: TF-IDF": Method(gold_only("TF-IDF")),
    "gold only: both": Method(gold_only("both")),
    "gold only: both, unweighted": Method(gold_only("both", weighted=False)),
    "PN iterated": Method(pn, False),
    "cleanlab": Method(cleanlab, False),
    "CCP": Method(ccp, False),
    "UU": Method(refiner(method="paper", correction="none")),
    "robust UU (paper)": Method(refiner(method="paper")),
    "robust UU (paper), both views": Method(refiner(with_tfidf=True, method="paper")),
    "robust UU, oracle priors": Method(refiner(method="paper", priors="oracle"), False),
    "UU, prior matched": Method(refiner(method="uu")),
    "UU, prior matched, corrected": Method(refiner(method="uu", correction="leaky")),
    "UU, prior matched, oracle priors": Method(refiner(method="uu", priors="oracle"), False),
    "silr": Method(refiner(with_tfidf=True), False),
    "ceiling: all true labels": Method(ceiling, False),
}
