"""Sentence embeddings of a sentence-transformers model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from silr.errors import InputError
from silr.extras import needs
from silr.features.base import Matrix
from silr.hf.fingerprint import WEIGHTS, check, fingerprint
from silr.io.files import Json

COUNTED_AT_ONCE = 1_000  # texts


class SentenceFeatures:
    """Sentence embeddings of a model, by folder or hub name; `weights` is the fingerprint that it must have."""

    def __init__(self, model: str, weights: str | None = None) -> None:
        self._model = str(Path(model).resolve()) if Path(model).is_dir() else model  # found again from other folders
        self._weights = weights
        self._encoder: Any = None

    @property
    def record(self) -> Json:
        """The model's name or folder, and its fingerprint."""
        if self._weights is None:
            if not Path(self._model).exists():
                self.encoder  # noqa: B018 - fetches what is new on the hub
            self._weights = fingerprint(self._model)
        return {"kind": "sentence-transformers", "model": self._model, WEIGHTS: self._weights}

    @property
    def encoder(self) -> Any:
        """The model, loaded when it is first asked for; InputError if it cannot be loaded, or is another one now."""
        if self._encoder is None:
            check(self._model, self._weights)
            self._encoder = _sentence_encoder(self._model)
            check(self._model, self._weights)  # of the hub, what was fetched just now
        return self._encoder

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Embed each distinct text once, float32 of shape (n, d), and warn of texts of which the end is not read."""
        if cut := n_cut(self.encoder, texts):
            limit = self.encoder.max_seq_length
            warnings.warn(
                f"{cut:,} of {len(texts):,} texts are longer than the {limit:,} tokens that the sentence encoder "
                "reads; their ends are not read",
                stacklevel=2,
            )
        return self.transform(texts)

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Embed each distinct text once; float32 of shape (n, d)."""
        unique = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(unique)}
        embedded = self.encoder.encode(unique, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(embedded[[rows[text] for text in texts]], dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Nothing to write: the model is named in the record."""


def n_cut(encoder: Any, texts: Sequence[str]) -> int:
    """The number of texts that an encoder does not read whole; 0 of one that has no limit."""
    limit = encoder.max_seq_length
    tokenizer: Any = getattr(encoder, "tokenizer", None)
    if limit is None or not hasattr(tokenizer, "num_special_tokens_to_add"):  # such as static embeddings
        return 0
    prompt = encoder.prompts.get(encoder.default_prompt_name or "", "") or ""
    room = limit - len(prompt.encode()) - tokenizer.num_special_tokens_to_add()
    long = [prompt + text for text in texts if len(text.encode()) > room]  # a token has a byte at least
    cut = 0
    for start in range(0, len(long), COUNTED_AT_ONCE):
        ids = tokenizer(long[start : start + COUNTED_AT_ONCE], verbose=False)["input_ids"]
        cut += sum(len(row) > limit for row in ids)
    return cut


def _sentence_encoder(model: str) -> Any:
    if model.startswith((".", "/", "~")) and not Path(model).is_dir():
        raise InputError(f"the sentence-transformers model folder {model} does not exist")
    with needs("sentence-transformers", f"the sentence encoder {model}"):
        from sentence_transformers import SentenceTransformer
    from silr.hf.models import silence_transformers

    try:
        if not Path(model).is_dir() and fingerprint(model) is None:  # one look: the library tries for minutes
            raise FileNotFoundError(model)
        with silence_transformers():
            return SentenceTransformer(model)
    except Exception as error:
        raise InputError(
            f"cannot load the sentence-transformers model {model!r}: give a model folder, a name on the hub (needs a "
            f"network), 'tfidf' or a .npy file"
        ) from error
