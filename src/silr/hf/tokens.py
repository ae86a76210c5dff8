"""Texts as token ids: what a fine-tuned classifier reads. Tokenised once for all epochs and iterations."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.extras import need_models
from silr.hf.fingerprint import WEIGHTS, check, fingerprint
from silr.hf.models import load_tokenizer, locate
from silr.hf.prompted import with_prompt
from silr.io.texts import common_start, distinct

MAX_LENGTH = 512
_CHUNK = 4096  # texts tokenised together


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts of length n; equal texts are held, and read, once."""

    ids: list[NDArray[np.int32]]  # of each distinct text, at least one token
    where: NDArray[np.int64]  # of each text its position among the distinct ones

    def __len__(self) -> int:
        return len(self.where)

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each distinct text."""
        return np.fromiter(map(len, self.ids), np.int64, len(self.ids))

    @cached_property
    def longest_first(self) -> NDArray[np.int64]:
        """Positions of the distinct texts."""
        return np.argsort(-self.lengths(), kind="stable")

    def passes(self, processes: int = 1) -> list[NDArray[np.int64]]:
        """Positions of the distinct texts, longest first, in groups that are read together; see `passes`."""
        return [self.longest_first[rows] for rows in passes(self.lengths()[self.longest_first], processes)]

    @cached_property
    def common_start(self) -> int:
        """How many tokens all texts begin with alike, at least one of each left over."""
        return min(len(common_start(self.ids)), int(self.lengths().min()) - 1) if self.ids else 0


class TokenFeatures:
    """Turns texts into `Tokens` with a model's tokenizer; in the place of `silr.features.base.Features`.

    A longer text than `max_length` tokens loses its end; None is 512, as in the paper, or the model's limit if that is
    less. The `prompt` puts words around each ``{text}``. `weights` is the fingerprint that the model must have; None:
    any. An InputError says that the model is gone or another one now, or that its tokenizer cannot be used.
    """

    def __init__(
        self, model: str, max_length: int | None = None, prompt: str | None = None, weights: str | None = None
    ) -> None:
        need_models("a fine-tuned classifier")
        self._model, self._max_length, self._prompt = locate(model), max_length, prompt
        check(self._model, weights)
        self._weights = weights

    @property
    def record(self) -> dict[str, object]:
        """The model, its fingerprint, the longest text that was asked for, and the prompt."""
        if self._weights is None:
            if not Path(self._model).exists():
                self.tokenizer  # noqa: B018 - fetches what is new on the hub
            self._weights = fingerprint(self._model)
        about = {"model": self._model, "max_length": self._max_length, "prompt": self._prompt}
        return {"kind": "tokens", **about, WEIGHTS: self._weights}

    @cached_property
    def tokenizer(self) -> Any:
        """The model's, with the prompt and the longest text in it."""
        tokenizer = load_tokenizer(self._model)
        if self._prompt is not None:
            tokenizer = with_prompt(tokenizer, self._prompt)
        most = int(tokenizer.model_max_length)  # transformers' stand-in for "none" is huge
        if self._max_length is not None and self._max_length > most:
            raise InputError(f"max_length is {self._max_length:,}, but the model reads {most:,} tokens at most")
        tokenizer.model_max_length = limit = min(self._max_length or MAX_LENGTH, most)
        if (own := tokenizer.num_special_tokens_to_add()) >= limit:
            raise InputError(f"the prompt has {own:,} tokens, so a text of {limit:,} has no room for its own words")
        return tokenizer

    def fit_transform(self, texts: Sequence[str]) -> Tokens:
        """Tokenise each distinct text once, and warn of texts that were cut."""
        tokenizer, limit = self.tokenizer, self.tokenizer.model_max_length
        unique, where = distinct(texts)
        ids: list[NDArray[np.int32]] = []
        for start in range(0, len(unique), _CHUNK):
            chunk = tokenizer(unique[start : start + _CHUNK], truncation=False, verbose=False)["input_ids"]
            ids += [np.array(row or [tokenizer.pad_token_id], np.int32) for row in chunk]
        cut = [position for position, row in enumerate(ids) if len(row) > limit]
        for position in cut:
            shorter = tokenizer(unique[position], truncation=True, max_length=limit)["input_ids"]
            ids[position] = np.array(shorter, np.int32)
        if cut:
            rows = int(np.isin(where, cut).sum())
            warnings.warn(f"{rows:,} texts are longer than {limit:,} tokens; their ends are not read", stacklevel=2)
        return Tokens(ids, where)

    transform = fit_transform

    def save(self, folder: Path) -> None:
        """Nothing to write: the model is named in the record."""


def passes(lengths: NDArray[np.int64], processes: int = 1) -> list[NDArray[np.int64]]:
    """Rows of texts, the longest first, in groups that processes read together, by their descending `lengths` (n,).

    Each process reads its share of every group: at least one text, else so many tokens, padding included, as are read
    fastest. On a CPU that is what fits its caches.
    """
    import torch

    most = 16_384 if torch.cuda.is_available() else 1_024
    groups, start = [], 0
    while start < len(lengths):
        end = min(start + max(1, most // int(lengths[start])) * processes, len(lengths))
        groups.append(np.arange(start, end))
        start = end
    return groups
