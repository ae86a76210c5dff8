"""The posterior that draws follow, fitted in a thread of its own: who labels never waits for it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from silr.label.adaptive_draw import EVERY

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable

FEWEST = 10  # gold labels below which `LabelRefiner` refuses to learn


class Posterior(Protocol):
    """Class probabilities of the corpus that get better with the gold labels."""

    latest: NDArray[np.floating] | None

    def update(self, gold: Mapping[int, int]) -> None:
        """Take notice of the gold labels; return at once."""
        ...


class BackgroundPosterior:
    """Fits `LabelRefiner` to the gold labels after every ten of them, one fit at a time, in a thread.

    Features are computed once, at the first fit: the hidden states beside the table, if there are any, and TF-IDF. All
    gold labels count alike: the weights are for estimates.

    Parameters
    ----------
    table : GoldTable
    states : Path, default None
        A ``.npy`` with one row a text, as `silr annotate` writes it; it is left out if it does not exist.
    seed : int, default 0
    every : int, default 10

    Attributes
    ----------
    latest : array of shape (n, K) or None
        Of the last fit that succeeded. It is replaced, never changed.
    fits, failures : int
        How many succeeded, and how many did not.
    problem : str
        Why the last of these failed.
    """

    def __init__(self, table: GoldTable, states: Path | None = None, seed: int = 0, every: int = EVERY) -> None:
        self.latest: NDArray[np.floating] | None = None
        self.fits, self.failures, self.problem = 0, 0, ""
        self._table, self._states, self._every, self._seed = table, states, every, seed
        self._features: NDArray[Any] | None = None
        self._step = 0
        self._thread: threading.Thread | None = None

    def update(self, gold: Mapping[int, int]) -> None:
        """Start a fit if there are ten more gold labels than at the last one, and no fit is at work.

        Parameters
        ----------
        gold : mapping
            Class numbers by row.
        """
        step = len(gold) // self._every
        self._step = min(self._step, step)  # after an undo
        if step == self._step or len(gold) < FEWEST or len(set(gold.values())) < 2:
            return
        if self._thread is not None and self._thread.is_alive():
            return  # the next label asks again
        self._step = step
        self._thread = threading.Thread(target=self._fit, args=(dict(gold),), daemon=True, name="silr-posterior")
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until no fit is at work."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _fit(self, gold: dict[int, int]) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that gold labels are few is no news here
                posterior = self._posterior(gold)
        except Exception as error:  # whatever it is, labels by hand go on
            self.failures += 1
            self.problem = str(error) or type(error).__name__
            return
        self.fits += 1
        self.latest = posterior

    def _posterior(self, gold: dict[int, int]) -> NDArray[np.floating]:
        from silr.label_refiner import LabelRefiner

        table = self._table
        n, n_classes = len(table.texts), len(table.classes)
        if self._features is None:
            self._features = _features(table.texts, self._states)
        labels = np.array([None if code < 0 else code for code in table.codes.tolist()], dtype=object)
        column = np.full(n, None, dtype=object)
        column[list(gold)] = list(gold.values())
        scores = table.scores
        classes = np.unique([*table.codes[table.codes >= 0].tolist(), *gold.values()])
        if scores is not None:
            classes = np.arange(n_classes)
        refiner = LabelRefiner(random_state=self._seed).fit(
            self._features, labels, column, llm_scores=scores, gold_weight=np.ones(n), classes=classes
        )
        found = np.asarray(refiner.scores_)
        posterior = np.zeros((n, n_classes), dtype=found.dtype)
        posterior[:, classes.astype(int)] = found
        if not np.isfinite(posterior).all():
            raise ValueError("the fit gave probabilities that are no numbers")
        return posterior


def _features(texts: list[str], states: Path | None) -> NDArray[Any]:
    from silr.corpus import load_features
    from silr.errors import InputError
    from silr.tfidf import TfidfFeatures

    parts: list[NDArray[Any]] = []
    if states is not None and states.exists():
        parts.append(np.asarray(load_features(states, len(texts)), dtype=np.float32))
    try:
        parts.append(TfidfFeatures().fit_transform(texts))
    except InputError:  # texts with nothing in common
        if not parts:
            raise
    return np.hstack(parts)
