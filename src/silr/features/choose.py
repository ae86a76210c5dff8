"""From texts to the matrix that a frozen classifier reads: computed once, and computed alike for new texts."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from silr.errors import InputError
from silr.features.api import PREFIX, ApiFeatures
from silr.features.base import Features, Matrix
from silr.features.file import FileFeatures
from silr.features.in_parts import write_features
from silr.features.joined import JoinedFeatures
from silr.features.on_workers import MakePieces, features_by_workers
from silr.features.saved import load_saved
from silr.features.sentence import SentenceFeatures
from silr.features.static import PREFIX as STATIC
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.hf.distributed import is_main, wait_for_all
from silr.io.corpus import load_features
from silr.io.feature_rows import write_record
from silr.io.files import atomic_folder, atomic_write
from silr.io.pieced_table import PiecedColumn

Spec = str | Path | ApiFeatures
"""What names a kind of features."""


def make_features(spec: Spec) -> Features:
    """Features by name: "tfidf", a ``.npy`` file, ``api:MODEL``, ``static:MODEL`` or a sentence-transformers model.

    Models of the last two are folders or names on the hub.
    """
    if isinstance(spec, ApiFeatures):
        return spec
    spec = str(spec)
    if spec.startswith(PREFIX):
        return ApiFeatures(spec.removeprefix(PREFIX))
    if spec == "tfidf":
        return TfidfFeatures()
    if spec.endswith(".npy"):
        return FileFeatures.of(spec)
    if spec.startswith(STATIC):
        return StaticFeatures(spec.removeprefix(STATIC))
    return SentenceFeatures(spec)


def features_of(spec: Spec | Sequence[Spec]) -> Features:
    """Features by one name, or by several, which are put side by side; InputError if a name is there twice."""
    if isinstance(spec, (str, Path, ApiFeatures)):
        return make_features(spec)
    if len(set(map(str, spec))) < len(spec):
        raise InputError(f"the same features twice: {', '.join(map(str, spec))}")
    return JoinedFeatures([make_features(name) for name in spec])


def features_of_run(
    features: Features, texts: Sequence[str], folder: Path, make_pieces: MakePieces | None = None
) -> tuple[Features, Matrix]:
    """The corpus's features, computed once a run, by the main process or workers, and the way there as it is kept."""
    if features.record["kind"] in ("file", "tokens"):  # read where it is; made again as quickly as it is read
        return features, features.fit_transform(texts)
    kept = folder / "features.npy"
    if isinstance(texts, PiecedColumn):
        if is_main() and not kept.exists():
            workers = make_pieces and partial(features_by_workers, make_pieces=make_pieces)
            write_features(features, texts, kept, workers)
        wait_for_all()
        return load_saved(features.record, folder), load_features(kept, len(texts))
    if fresh := is_main() and not kept.exists():
        matrix = features.fit_transform(texts)
        shutil.rmtree(folder, ignore_errors=True)  # not whole without its matrix
        with atomic_folder(folder) as draft:
            features.save(draft)
            with atomic_write(draft / kept.name) as file:
                np.save(file, matrix, allow_pickle=False)
            write_record(draft / kept.name, texts)
    wait_for_all()
    return features if fresh else load_saved(features.record, folder), load_features(kept, len(texts))
