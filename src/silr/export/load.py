"""A finished run or an exported folder as something that labels texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.refine.run import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from silr.refine.label_refiner import LabelRefiner


class ExportedClassifier:
    """A folder of `silr export`, which reads texts.

    Parameters
    ----------
    classes : sequence of str
    predict_proba : callable
        Texts to class probabilities, shape (n, K).

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    """

    def __init__(self, classes: Sequence[str], predict_proba: Callable[[Sequence[str]], NDArray[np.float64]]) -> None:
        self.classes_, self._predict_proba = np.array(classes, dtype=object), predict_proba

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities, shape (n, K)."""
        if not len(texts):
            return np.empty((0, len(self.classes_)))
        return self._predict_proba(list(texts))

    def predict(self, texts: Sequence[str]) -> NDArray[np.object_]:
        """Labels, shape (n,), the most probable classes."""
        return np.asarray(self.classes_[self.predict_proba(texts).argmax(axis=1)])


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
        The folder is neither of the two, is not finished or damaged, or was exported as a reward model or as a head
        on features that texts alone have not.

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
    from silr.export.read import read_folder

    classes, predict_proba = read_folder(folder, device, "the classifier")
    if len(classes) == 1:
        raise InputError(f"{folder} is a reward model, which has one score and no labels; export without --reward")
    return ExportedClassifier(classes, predict_proba)
