"""Static embeddings: a vector a token, averaged over the text, by model2vec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.extras import needs
from silr.hf.fingerprint import WEIGHTS, check, fingerprint
from silr.io.files import Json

PREFIX = "static:"


class StaticFeatures:
    """Static embeddings of a model2vec model, by folder or hub name; `weights` is the fingerprint that it must have.

    Thousands of texts a second on one core, without PyTorch. The order of words counts for nothing.

    References
    ----------
    Tulkens, van Dongen, "Model2Vec: fast state-of-the-art static embeddings", 2024.
    """

    def __init__(self, model: str, weights: str | None = None) -> None:
        if not model:
            raise InputError(f"--features {PREFIX}MODEL: name a model2vec folder or a name on the hub")
        self._model = str(Path(model).resolve()) if Path(model).is_dir() else model  # found again from other folders
        self._weights = weights
        self._loaded: Any = None

    @property
    def record(self) -> Json:
        """The model's name or folder, and its fingerprint."""
        if self._weights is None:
            if not Path(self._model).exists():
                self.model  # noqa: B018 - fetches it
            self._weights = fingerprint(self._model)
        return {"kind": "static", "model": self._model, WEIGHTS: self._weights}

    @property
    def model(self) -> Any:
        """The model, loaded when it is first asked for; InputError if it cannot be loaded, or is another one now."""
        if self._loaded is None:
            check(self._model, self._weights)
            self._loaded = _static_model(self._model)
            check(self._model, self._weights)  # of the hub, what was fetched just now
        return self._loaded

    def fit_transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, whole; float32 of shape (n, d)."""
        whole = {"max_length": None, "use_multiprocessing": False, "show_progress_bar": False}
        return np.asarray(self.model.encode(list(texts), **whole), dtype=np.float32)

    transform = fit_transform

    def save(self, folder: Path) -> None:
        """Nothing to write: the model is named in the record."""


def _static_model(model: str) -> Any:
    if model.startswith((".", "/", "~")) and not Path(model).is_dir():
        raise InputError(f"the model2vec folder {model} does not exist")
    with needs("static", f"the static embeddings {model}"):
        from model2vec import StaticModel
    try:
        if not Path(model).is_dir() and fingerprint(model) is None:  # one look: the library tries for minutes
            raise FileNotFoundError(model)
        return StaticModel.from_pretrained(model, force_download=False)
    except Exception as error:
        raise InputError(
            f"cannot load the model2vec model {model!r}: give a folder that model2vec wrote, or a name on the hub "
            "(needs a network)"
        ) from error
