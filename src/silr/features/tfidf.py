"""TF-IDF of words and of characters, two kinds of features that any text has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError, reading
from silr.io.files import atomic_write, write_json
from silr.io.pieced_table import cells_at

# what is counted, by kind: words and pairs of them; sequences of characters inside words, with a space at their ends
UNITS: dict[str, dict[str, object]] = {
    "words": {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "characters": {"analyzer": "char_wb", "ngram_range": (2, 4)},
}
MOST_TERMS = 50_000
LEARNING_CHARACTERS = 5_000_000  # of a longer corpus, texts of so many in all teach terms and projections
ITERATIONS = 2  # of the randomised SVD
TEXTS_AT_ONCE = 10_000


class TfidfFeatures:
    """TF-IDF of words and of characters, each reduced to at most 128 dimensions (latent semantic analysis).

    Words are what a person reads; sequences of 2 to 4 characters see what words with different endings or spellings
    have in common, and need no spaces. The components of each are turned by a fixed random rotation, which spreads the
    strong ones over all columns: left as they are, the standardisation of each column would blow the weak ones, mostly
    noise, up to the size of the strong ones.

    References
    ----------
    Deerwester et al., "Indexing by latent semantic analysis", JASIS 41, 1990.
    """

    dimensions = 128
    record: dict[str, object] = {"kind": "tfidf", "units": list(UNITS), "dimensions": dimensions}  # noqa: RUF012

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}  # fitted; one may be missing where a corpus has none of it in common

    @property
    def widths(self) -> list[int]:
        """The number of columns of each kind, in order."""
        return [len(kind.components) for kind in self.kinds.values()]

    def fit_transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Learn from the corpus; float32 of shape (n, at most 256). InputError if texts have nothing in common."""
        known, of_teachers = self.fit(texts)
        others = np.setdiff1d(np.arange(len(texts)), known)
        matrix = np.empty((len(texts), sum(self.widths)), np.float32)
        matrix[known], matrix[others] = of_teachers, self.transform(cells_at(texts, others))
        return matrix

    def fit(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Learn from the corpus, and give the rows that taught, and their features."""
        known = _some(texts)
        teachers = cells_at(texts, known)
        self.kinds, matrices = {}, []
        for unit in UNITS:
            try:
                self.kinds[unit], of_unit = Kind.learn(unit, teachers, self.dimensions)
            except ValueError:  # no two texts have one in common
                continue
            matrices.append(of_unit)
        if not matrices:
            raise InputError(
                "no word or part of a word occurs in two texts, so TF-IDF has nothing to count; take other features"
            )
        return known, np.hstack(matrices)

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Project texts."""
        matrix = np.empty((len(texts), sum(self.widths)), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            rows = slice(start, start + TEXTS_AT_ONCE)
            matrix[rows] = np.hstack([kind(texts[rows]) for kind in self.kinds.values()])
        return matrix

    def save(self, folder: Path) -> None:
        """Write ``tfidf.json`` (terms) and ``tfidf.safetensors`` (idf, projections)."""
        from safetensors.numpy import save

        terms = {
            unit: {term: int(column) for term, column in kind.vectorizer.vocabulary_.items()}
            for unit, kind in self.kinds.items()
        }
        write_json(folder / "tfidf.json", terms)
        tensors = {f"{unit}.idf": kind.vectorizer.idf_ for unit, kind in self.kinds.items()}
        tensors |= {f"{unit}.components": kind.components for unit, kind in self.kinds.items()}
        with atomic_write(folder / "tfidf.safetensors") as file:
            file.write(save(tensors))

    @classmethod
    def load(cls, folder: Path) -> TfidfFeatures:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        features = cls()
        with reading(f"the TF-IDF features in {folder}"):
            terms = json.loads((folder / "tfidf.json").read_text())
            tensors = load_file(folder / "tfidf.safetensors")
            for unit, vocabulary in terms.items():
                vectorizer = _vectorizer(unit, vocabulary)
                vectorizer.idf_ = tensors[f"{unit}.idf"]
                features.kinds[unit] = Kind(vectorizer, tensors[f"{unit}.components"])
        return features


@dataclass(frozen=True)
class Kind:
    """TF-IDF of one unit."""

    vectorizer: Any  # fitted
    components: NDArray[np.float32]  # shape (at most 128, terms)

    @classmethod
    def learn(cls, unit: str, texts: Sequence[str], dimensions: int) -> tuple[Kind, NDArray[np.float32]]:
        """Learn from texts, and give their features; ValueError if no two of them have a term in common."""
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits

        vectorizer = _vectorizer(unit)
        sparse = vectorizer.fit_transform(texts)
        k = min(dimensions, *(length - 1 for length in sparse.shape))
        axes = np.eye(1)
        if k > 0:
            with threadpool_limits(1):  # threads that share so thin matrices wait for each other on a busy machine
                axes = TruncatedSVD(k, n_iter=ITERATIONS, random_state=0).fit(sparse).components_
        rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(axes), len(axes))))[0]
        kind = cls(vectorizer, (rotation @ axes).astype(np.float32))
        return kind, kind._project(sparse)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of texts, shape (n, at most 128)."""
        return self._project(self.vectorizer.transform(texts))

    def _project(self, sparse: Any) -> NDArray[np.float32]:
        sparse.sort_indices()  # the order of terms differs between corpus and new texts, and with it the rounding
        return np.asarray(sparse @ self.components.T, dtype=np.float32)


def _some(texts: Sequence[str]) -> NDArray[np.int64]:
    """The rows of texts to learn from: all, or in a long corpus some at random."""
    order = np.random.default_rng(0).permutation(len(texts))
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts))[order])
    enough = max(2, int(np.searchsorted(ends, LEARNING_CHARACTERS, side="right")))
    return np.sort(order[:enough])


def _vectorizer(unit: str, vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        min_df=2,
        max_features=MOST_TERMS,
        sublinear_tf=True,
        vocabulary=vocabulary,
        dtype=np.float32,
        **UNITS[unit],
    )
