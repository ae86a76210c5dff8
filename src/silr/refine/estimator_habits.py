"""What scikit-learn expects of a classifier, beyond fitting and predicting."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import validate_data

from silr.errors import InputError
from silr.io.class_names import ClassNames, of_python
from silr.io.files import Json
from silr.io.label_values import read_column
from silr.refine.refinement import Refinement

TINY = np.finfo(np.float32).tiny


class EstimatorHabits(ClassifierMixin):  # type: ignore[misc]
    """`decision_function`, `score`, names of features, and tags; `predict` and `predict_proba` are the estimator's."""

    classes_: NDArray[np.generic]
    result_: Refinement

    def decision_function(self, X: ArrayLike | Sequence[str], **llm: Any) -> NDArray[np.float32]:
        """Logarithms of the class probabilities, shape (m, K); for two classes the log-odds of ``classes_[1]``, (m,).

        Parameters
        ----------
        X, **llm
            As `predict_proba` takes them.
        """
        logs = np.log(np.maximum(self.predict_proba(X, **llm), TINY))
        return np.asarray(logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs)

    def score(self, X: ArrayLike | Sequence[str], y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of `predict` against true labels.

        Parameters
        ----------
        X : as `predict` takes it
        y : array-like of shape (m,)
            True labels, as people give them; None, NaN or '' where there is none: such texts are left out. With the
            LLM's labels, as `sklearn.model_selection.cross_val_score` has it that takes its y for `fit`, this is the
            agreement with the LLM, and no accuracy.
        sample_weight : array-like of shape (m,), default None
            For how much each text counts in the mean.

        Raises
        ------
        InputError
            All labels are missing, or one is no class.

        Warns
        -----
        UserWarning
            y are the labels of the LLM that were refined.
        """
        column = read_column(y, "y")
        if column.is_integer and -1 not in self.classes_:
            column = column.without("-1")
        names = [str(name) for name in self.classes_]
        true = column.codes(ClassNames(names), "y", of_python(option=False))
        known = true >= 0
        if not known.any():
            raise InputError("y has no true label to score against")
        if np.array_equal(true, self.result_.iterations[0].labels):
            warnings.warn(
                "y are the LLM's labels that were refined, so the score is the agreement with the LLM; for an accuracy "
                "give true labels",
                stacklevel=2,
            )
        predicted = self.predict(X)
        if len(predicted) != len(true):
            raise InputError(f"X has {len(predicted):,} rows, y {len(true):,}")
        right = predicted == self.classes_[np.maximum(true, 0)]
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[known]
        return float(np.average(right[known], weights=weight))

    def _check_names(self, X: Any, *, reset: bool) -> None:
        """Keep the names of a frame's columns, or refuse others; see `sklearn.utils.validation.validate_data`."""
        if reset and hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        frame = hasattr(X, "columns")
        if frame or (hasattr(self, "feature_names_in_") and len(getattr(X, "shape", ())) == 2):
            try:
                validate_data(self, X, skip_check_array=True, reset=reset)
            except TypeError as error:
                raise InputError(
                    "the names of X's columns are of several types, of which no order can be kept: "
                    "X.columns = X.columns.astype(str)"
                ) from error

    def _given_features(self) -> Json:
        """The record of features that were given as a matrix, with the names of a frame's columns."""
        names = getattr(self, "feature_names_in_", None)
        return {"kind": "given"} if names is None else {"kind": "given", "columns": names.tolist()}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.string = True
        return tags
