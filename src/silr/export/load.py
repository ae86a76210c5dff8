"""A finished run or an exported folder as something that labels texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from silr.errors import InputError
from silr.refine.run import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from silr.refine.label_refiner import LabelRefiner


class ExportedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A folder of `silr export`, which reads texts, as a fitted estimator of scikit-learn.

    `sklearn.model_selection.cross_val_score` and the like judge it as it is: a clone is the classifier itself, and
    `fit` changes nothing, as in `sklearn.frozen.FrozenEstimator`.

    Parameters
    ----------
    folder : str or Path
    device : str, default None
        Of an annotator or a fine-tuned model. None: the GPU if there is one, else the processor.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)

    Raises
    ------
    InputError
        See `silr.load`.
    """

    def __init__(self, folder: str | Path, device: str | None = None) -> None:
        from silr.export.read import read_folder

        self.folder, self.device = folder, device
        classes, self._probabilities = read_folder(Path(folder), device, "the classifier")
        if len(classes) == 1:
            raise InputError(f"{folder} is a reward model, which has one score and no labels; export without --reward")
        self.classes_ = np.array(classes, dtype=object)

    def fit(self, X: Sequence[str], y: object = None) -> Self:
        """Do nothing: it is fitted."""
        return self

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities of n texts, shape (n, K), in the order of `classes_`."""
        if isinstance(X, str):
            raise InputError("give a list of texts, not one text")
        texts = [str(text) for text in X]
        return np.asarray(self._probabilities(texts)) if texts else np.empty((0, len(self.classes_)))

    def predict(self, X: Sequence[str]) -> NDArray[np.object_]:
        """Labels of n texts, shape (n,), the most probable classes."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_clone__(self) -> Self:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False, True
        return tags


def load(folder: str | Path, device: str | None = None) -> LabelRefiner | ExportedClassifier:
    """Open a finished run or a folder of ``silr export`` to label new texts.

    Parameters
    ----------
    folder : str or Path
        A run directory, as `LabelRefiner` and ``silr refine`` write it, or an exported folder that reads texts.
    device : str, default None
        None: the GPU if there is one, else the processor.

    Returns
    -------
    LabelRefiner or ExportedClassifier
        Both have ``classes_``, ``predict`` and ``predict_proba``.

    Raises
    ------
    InputError
        The folder is neither of the two, is not finished or damaged, was exported as a reward model or as a head on
        features that texts alone have not, or names a model that is another one now.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from silr import LabelRefiner, load
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(2, size=300)
    >>> X = rng.normal(size=(300, 5)) + truth[:, None]
    >>> llm = np.where(rng.random(300) < 0.3, 1, truth)  # calls some of the 0s a 1
    >>> gold = [int(label) if row < 60 else None for row, label in enumerate(truth)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fitted = LabelRefiner(run=f"{folder}/run").fit(X, llm, gold=gold)
    ...     opened = load(f"{folder}/run")
    >>> bool((opened.predict(X[:5]) == fitted.predict(X[:5]).astype(str)).all())
    True
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        from silr.refine.label_refiner import LabelRefiner

        return LabelRefiner.load(folder, device)
    from silr.export.frozen import PIPELINE

    if not (folder / PIPELINE).is_file() and not (folder / "config.json").is_file():
        raise InputError(f"{folder} is neither a run (it has no {MANIFEST}) nor a folder that `silr export` wrote")
    return ExportedClassifier(folder, device)
