"""From texts to the matrix that a frozen classifier reads: computed once, and computed alike for new texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from silr.corpus import file_hash, load_features
from silr.errors import InputError
from silr.extras import needs
from silr.feature_rows import features_of_texts, write_record
from silr.files import atomic_write
from silr.fingerprint import WEIGHTS, check, fingerprint
from silr.io.folders import atomic_folder
from silr.joined_features import JoinedFeatures
from silr.processes import is_main, wait_for_all
from silr.tfidf import TfidfFeatures

Matrix = Any  # an array with one row a text, or `silr.classifiers.tokens.Tokens`


class Features(Protocol):
    """A way to turn texts into a matrix with one row a text."""

    @property
    def record(self) -> dict[str, Any]:
        """What identifies it, as JSON values."""
        ...

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Features of the corpus, shape (n, d)."""
        ...

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Features of new texts, shape (n, d), by the very same transform."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `transform` needs into an existing folder."""
        ...


def make_features(spec: str | Path) -> Features:
    """Features by name.

    Parameters
    ----------
    spec : str or Path
        "tfidf", the path of a ``.npy`` file (row for row with the corpus), or the folder or hub name of a
        sentence-transformers model.
    """
    spec = str(spec)
    if spec == "tfidf":
        return TfidfFeatures()
    if spec.endswith(".npy"):
        return FileFeatures.of(spec)
    return SentenceFeatures(spec)


def features_of(spec: str | Path | Sequence[str | Path]) -> Features:
    """Features by one name, or by several, which are put side by side.

    Raises
    ------
    InputError
        The same name twice.
    """
    if isinstance(spec, (str, Path)):
        return make_features(spec)
    if len(set(map(str, spec))) < len(spec):
        raise InputError(f"the same features twice: {', '.join(map(str, spec))}")
    return JoinedFeatures([make_features(name) for name in spec])


def load_saved(record: dict[str, Any], folder: Path) -> Features:
    """The features of a run, from its record and its folder."""
    if record["kind"] == "joined":
        joined = JoinedFeatures([load_saved(part, folder) for part in record["parts"]])
        joined.read_widths(folder)
        return joined
    if record["kind"] == "tfidf":
        return TfidfFeatures.load(folder)
    if record["kind"] == "tokens":
        from silr.classifiers.tokens import TokenFeatures

        return TokenFeatures(record["model"], record["max_length"], record.get("prompt"), record.get(WEIGHTS))
    if record["kind"] == "file":
        return FileFeatures(None, record)
    return SentenceFeatures(record["model"], record.get(WEIGHTS))


def features_of_run(features: Features, texts: list[str], folder: Path) -> tuple[Features, Matrix]:
    """The corpus's features, computed once a run, by the main process, and the way there as it is kept."""
    if features.record["kind"] in ("file", "tokens"):  # read where it is; made again as quickly as it is read
        return features, features.fit_transform(texts)
    kept = folder / "features.npy"
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


class SentenceFeatures:
    """Sentence embeddings of a sentence-transformers model.

    Parameters
    ----------
    model : str
        Folder or hub name.
    weights : str, default None
        The fingerprint that the model must have, see `silr.fingerprint`. None: whatever it has.
    """

    def __init__(self, model: str, weights: str | None = None) -> None:
        self._model = str(Path(model).resolve()) if Path(model).is_dir() else model  # found again from other folders
        self._weights = weights
        self._encoder: Any = None

    @property
    def record(self) -> dict[str, Any]:
        """The model's name or folder, and its fingerprint."""
        if self._weights is None:
            if not Path(self._model).exists():
                self.encoder  # noqa: B018 - fetches what is new on the hub
            self._weights = fingerprint(self._model)
        return {"kind": "sentence-transformers", "model": self._model, WEIGHTS: self._weights}

    @property
    def encoder(self) -> Any:
        """The model, loaded when it is first asked for.

        Raises
        ------
        InputError
            It cannot be loaded, or is another one now.
        """
        if self._encoder is None:
            check(self._model, self._weights)
            self._encoder = _sentence_encoder(self._model)
            check(self._model, self._weights)  # of the hub, what was fetched just now
        return self._encoder

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Embed each distinct text once; float32 of shape (n, d)."""
        unique = list(dict.fromkeys(texts))
        rows = {text: row for row, text in enumerate(unique)}
        embedded = self.encoder.encode(unique, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(embedded[[rows[text] for text in texts]], dtype=np.float32)

    transform = fit_transform

    def save(self, folder: Path) -> None:
        """Nothing to write: the model is named in the record."""


def annotator_of(features: Path) -> dict[str, Any] | None:
    """The description of the annotator that made a ``<stem>.features.npy``, from the file that lies beside it."""
    sidecar = features.with_name(features.name.removesuffix(".features.npy") + ".annotator.json")
    if not features.name.endswith(".features.npy") or not sidecar.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(sidecar.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{sidecar} cannot be read: {error}; annotate again or delete it") from error
    return record


class FileFeatures:
    """A ready ``.npy`` with a row for each text, see `silr.feature_rows`; if an annotator made it, it reads new texts.

    Parameters
    ----------
    path : Path or None
        None: the file of a finished run, which only new texts are wanted of.
    record : dict
        See `of`. The path is no part of it: the same file elsewhere gives the same result.
    """

    def __init__(self, path: Path | None, record: dict[str, Any]) -> None:
        self._path = path
        self.record = record
        self._annotator: Any = None

    @classmethod
    def of(cls, path: str | Path) -> FileFeatures:
        """Describe the file by its hash, and by the annotator that made it if ``<stem>.annotator.json`` lies there."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"the feature file {path} does not exist")
        return cls(path, {"kind": "file", "sha256": file_hash(path), "annotator": annotator_of(path)})

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Open the file, memory-mapped if its rows are in the texts' order."""
        assert self._path is not None
        return features_of_texts(self._path, texts)

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Read new texts with the annotator that made the file; it is loaded once."""
        if self.record["annotator"] is None:
            raise InputError(
                "the features of this run came from a file, so new texts need their own: give a .npy made the same way"
            )
        if self._annotator is None:
            from silr.annotators.local import LocalAnnotator

            self._annotator = LocalAnnotator.from_description(self.record["annotator"])
        features: Matrix = self._annotator.annotate(texts).features
        return features

    def save(self, folder: Path) -> None:
        """Nothing to write: the record says it all."""


def _sentence_encoder(model: str) -> Any:
    if model.startswith((".", "/", "~")) and not Path(model).is_dir():
        raise InputError(f"the sentence-transformers model folder {model} does not exist")
    with needs("sentence-transformers", f"the sentence encoder {model}"):
        from sentence_transformers import SentenceTransformer
    from silr.annotators.models import silence_transformers

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
