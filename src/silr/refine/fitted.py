"""A fitted refiner: its result, and labels for new texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from silr.classifiers.posterior import PosteriorClassifier, keys_of, with_annotators
from silr.errors import InputError
from silr.features.base import Features
from silr.io.files import Json
from silr.io.inputs import is_empty, texts_of_rows, texts_or_matrix
from silr.io.label_codes import check_shapes, encode, llm_columns, llm_score_arrays
from silr.refine.estimator_habits import EstimatorHabits
from silr.refine.refinement import Refinement
from silr.refine.verdict import Verdict
from silr.stats.annotator_evidence import Annotator, Scale
from silr.stats.contrasts import Float32
from silr.stats.priors import Priors

Labels = NDArray[np.generic]  # as their owner has them


class FittedRefiner(EstimatorHabits):
    """What `silr.LabelRefiner` is once it is fitted; see there."""

    best_iteration_: int
    class_prior_: NDArray[np.float64] | None
    classifier_: Any  # a `Classifier`
    classifier_iteration_: int
    features_: Features
    history_: list[Json]
    codes_: NDArray[np.int16]
    llm_names_: list[str]
    n_features_in_: int | None
    out_of_fold_codes_: NDArray[np.int16]
    out_of_fold_scores_: Float32
    theta_: NDArray[np.float64] | None
    verdict_: Verdict
    priors_: Priors | None
    result_: Refinement
    scores_: Float32

    @property
    def labels_(self) -> Labels:
        """The refined labels, shape (n,)."""
        return np.asarray(self.classes_[self.codes_])

    @property
    def out_of_fold_labels_(self) -> Labels:
        """The same by fits without the text's own gold label."""
        return np.asarray(self.classes_[self.out_of_fold_codes_])

    def predict_proba(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> Float32:
        """Class probabilities, shape (m, K), of features, or of texts if it was fitted on texts.

        Parameters
        ----------
        X : array-like of shape (m, n_features), or m texts
        llm_labels : as y of `fit`, default None
            What the same LLMs say of these texts; None or NaN where one says nothing. Method "silr" uses them: texts of
            the corpus get the probabilities that they had there. None: the features alone speak.
        llm_scores : as in `fit`, default None
            Needed with `llm_labels` where `fit` had them.
        texts : sequence of m str, default None
            The texts that the features X are of, where `fit` had texts: texts of the corpus are known by them.

        Raises
        ------
        InputError
            Wrong width, non-finite features, texts where the run's features cannot be computed for new texts, or labels
            of other LLMs, of none of the classes, or without scores that `fit` had.
        """
        return self.predict_with_proba(X, llm_labels=llm_labels, llm_scores=llm_scores, texts=texts)[1]

    def predict_with_proba(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> tuple[Labels, Float32]:
        """Labels, shape (m,), and probabilities, shape (m, K), by reading X once; see `predict` and `predict_proba`.

        Where the verdict keeps the LLM's labels, `llm_labels` are the result, with the shares of the classes among
        texts of such a label for probabilities; they need not be the most probable class.
        """
        check_is_fitted(self)
        if is_empty(X):
            return self.classes_[:0], np.empty((0, len(self.classes_)), np.float32)
        own, matrix = self._new(X)
        texts = own if texts is None else texts_of_rows(texts, len(matrix))
        classifier = self.classifier_
        if llm_labels is None and llm_scores is None:
            scores = classifier.predict_proba(matrix)
            return np.asarray(self.classes_[scores.argmax(axis=1)]), scores
        if self.verdict_.kept == "llm":
            return self.keep_llm_labels(llm_labels, classifier.predict_proba(matrix))
        if not isinstance(classifier, PosteriorClassifier):
            raise InputError(
                "only a frozen classifier of method 'silr', with gold labels, takes what LLMs say of new texts"
            )
        annotators = annotators_of(
            llm_labels, llm_scores, self.llm_names_, classifier.mixture.scales, self.classes_, len(matrix)
        )
        keys = with_annotators(keys_of(texts, matrix), annotators)
        scores = classifier.predict_with_annotators(matrix, annotators, keys)
        return np.asarray(self.classes_[scores.argmax(axis=1)]), scores

    def predict(
        self,
        X: ArrayLike | Sequence[str],
        *,
        llm_labels: Any = None,
        llm_scores: Any = None,
        texts: Sequence[str] | None = None,
    ) -> Labels:
        """Labels, shape (m,), the most probable classes; see `predict_proba`."""
        return self.predict_with_proba(X, llm_labels=llm_labels, llm_scores=llm_scores, texts=texts)[0]

    def _new(self, X: Any) -> tuple[Sequence[str] | None, Any]:
        """New texts, if they are texts, and what the classifier reads of them."""
        texts, matrix = texts_or_matrix(X)
        if texts is not None:
            if not hasattr(self, "features_"):
                raise InputError("this refiner was fitted on features; give features, not texts")
            matrix = self.features_.transform(texts)
        elif self.n_features_in_ is None:
            raise InputError("this refiner reads texts; give texts, not features")
        else:
            self._check_names(X, reset=False)
        if self.n_features_in_ is not None and matrix.shape[1] != self.n_features_in_:
            raise InputError(f"X has {matrix.shape[1]} features, the classifier was fitted on {self.n_features_in_}")
        return texts, matrix

    def keep_llm_labels(self, llm_labels: Any, scores: Float32) -> tuple[Labels, Float32]:
        """Labels and probabilities of new texts where the verdict keeps the LLM's labels.

        `scores`, shape (m, K), are what the classifier gives; texts without LLM label take them.
        """
        (llm,) = annotators_of(llm_labels, None, self.llm_names_, [None], self.classes_, len(scores))
        labels = np.where(llm.labels < 0, scores.argmax(axis=1), llm.labels)
        return self.classes_[labels], _scores_of_llm(llm.labels, self.priors_, scores)

    def _set_result(self, result: Refinement, X: Any, gold_codes: NDArray[np.int16] | None) -> None:
        self.result_, self.history_, self.verdict_ = result, result.history, result.verdict
        self.best_iteration_, self.classifier_iteration_ = result.best_iteration, result.classifier_iteration
        self.priors_ = priors = result.best.priors
        self.theta_, self.class_prior_ = (None, None) if priors is None else (priors.theta, priors.class_prior)
        best, last = result.best, result.iterations[result.classifier_iteration]
        codes = np.where(best.labels < 0, last.labels, best.labels)
        scores = last.scores if best.scores is None else best.scores
        if scores is None:
            scores = self.classifier_.predict_proba(X)
        if result.verdict.kept == "llm":
            scores = _scores_of_llm(best.labels, best.priors, scores)
        self.out_of_fold_codes_, self.out_of_fold_scores_ = codes, scores
        self.codes_, self.scores_ = codes, scores
        if gold_codes is not None and (by_hand := gold_codes >= 0).any():
            self.codes_, self.scores_ = codes.copy(), scores.copy()
            self.codes_[by_hand] = gold_codes[by_hand]
            self.scores_[by_hand] = np.eye(len(self.classes_), dtype=np.float32)[gold_codes[by_hand]]


def _scores_of_llm(labels: NDArray[np.int16], priors: Priors | None, others: Float32) -> Float32:
    """Scores of texts with the LLM's labels, the shares of the classes among such texts; `others` of the rest."""
    assert priors is not None
    shares = priors.theta.astype(np.float32)[np.maximum(labels, 0)]
    return np.where((labels >= 0)[:, None], shares, others)


def annotators_of(
    llm_labels: object,
    llm_scores: object,
    names: Sequence[str],
    scales: Sequence[Scale | None],
    classes: Labels,
    n: int,
) -> list[Annotator]:
    """Labels and scores of new texts, in the order of the LLMs that labelled the corpus.

    Labels and scores as `silr.LabelRefiner.predict_proba` takes them. `names` are those of the LLMs that labelled the
    corpus; `scales` are not None for those whose scores are wanted; `n` counts the texts. Raises InputError if LLMs,
    classes or lengths are others, or scores are missing.
    """
    scores = llm_score_arrays(llm_scores, names, classes.tolist())
    for name, values, scale in zip(names, scores, scales, strict=True):
        if scale is not None and values is None:
            raise InputError(
                f"the corpus had scores of the LLM{name and f' {name}'}: give llm_scores for new texts too"
            )
        check_shapes(values, None, n, [str(name) for name in classes])
    if llm_labels is None:
        known = [values for values in scores if values is not None]
        labels = [np.where(np.isfinite(values).all(axis=1), values.argmax(axis=1), -1) for values in known]
        if len(labels) < len(names):
            raise InputError("give llm_labels of the LLMs that have no scores")
    else:
        columns = llm_columns(llm_labels)
        named = isinstance(llm_labels, Mapping) or hasattr(llm_labels, "columns")
        if len(columns) != len(names) or (named and set(columns) != set(names)):
            raise InputError(
                f"the corpus was labelled by {len(names)} LLM(s) ({', '.join(names)}), not {', '.join(columns)}"
            )
        ordered = [columns[name] for name in names] if set(columns) == set(names) else list(columns.values())
        labels = [encode(column, classes.tolist()) for column in ordered]
    for codes in labels:
        if len(codes) != n:
            raise InputError(f"X has {n:,} rows, llm_labels {len(codes):,}")
    return [
        Annotator(label.astype(np.int16), score if scale is not None else None, name)
        for label, score, scale, name in zip(labels, scores, scales, names, strict=True)
    ]
