"""Features from a `.npy` file: hidden states that `silr annotate` wrote, or any matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from silr.annotators.embed import EMBEDDINGS
from silr.annotators.feature_blocks import width_of, without_blocks
from silr.errors import InputError
from silr.features.api import ApiFeatures
from silr.features.base import Matrix
from silr.io.annotator_records import STATES, maker_of_features, record_of_features
from silr.io.corpus import file_hash
from silr.io.feature_rows import features_of_texts
from silr.io.files import Json


def annotator_of(features: Path) -> Json | None:
    """The description of the annotator that made a ``<stem>.features.npy``, from the file that lies beside it."""
    record = maker_of_features(features)
    width = None if record is None else width_of(record)
    if record is None or width is None or _width_of_file(features) in (width, None):
        return record
    return without_blocks(record)  # the file is older: its table was annotated again without features


def _width_of_file(path: Path) -> int | None:
    try:
        return int(np.load(path, mmap_mode="r", allow_pickle=False).shape[1])
    except (OSError, ValueError, EOFError, SyntaxError, AttributeError, IndexError):  # others say what is wrong
        return None


def name_of_states(path: Path) -> str:
    """What to call a file that `silr annotate` wrote beside its table."""
    record = (record_of_features(path) if path.exists() else None) or {}
    if EMBEDDINGS in record:
        return f"embeddings by {record[EMBEDDINGS]['model']}"
    if STATES in record:
        return f"the states of an earlier annotation, by {record[STATES]['model']}"
    return path.name if record.get("kind") == "api" else "the annotator's states"


def server_of(features: object) -> ApiFeatures | None:
    """What asks a server for such features of texts; None of other features."""
    if isinstance(features, FileFeatures):
        return features.server
    return features if isinstance(features, ApiFeatures) else None


class FileFeatures:
    """A ready ``.npy`` with a row for each text, see `silr.io.feature_rows`; if an annotator made it, it reads new
    texts.

    No `path`: the file of a finished run, which only new texts are wanted of. The path is no part of the `record`: the
    same file elsewhere gives the same result.
    """

    def __init__(self, path: Path | None, record: Json) -> None:
        self._path = path
        self.record = record
        self._annotator: Any = None

    @classmethod
    def of(cls, path: str | Path) -> FileFeatures:
        """Describe the file by its hash, and by the annotator that made it if ``<stem>.annotator.json`` lies there."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"the feature file {path} does not exist")
        about = annotator_of(path)
        if about is not None and EMBEDDINGS in about:  # who gave the labels has no part in them
            about = {EMBEDDINGS: about[EMBEDDINGS]}
        return cls(path, {"kind": "file", "sha256": file_hash(path), "annotator": about})

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Open the file, memory-mapped if its rows are in the texts' order."""
        assert self._path is not None
        return features_of_texts(self._path, texts)

    @property
    def server(self) -> ApiFeatures | None:
        """What asks for embeddings of new texts, if the file holds those of a server."""
        about = (self.record["annotator"] or {}).get(EMBEDDINGS)
        if about is not None and self._annotator is None:
            self._annotator = ApiFeatures.of_record(about, about["width"])
        return self._annotator if about is not None else None

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Read new texts with the annotator that made the file; it is loaded once."""
        if self.server is not None:
            return self.server.transform(texts)
        if self.record["annotator"] is None or self.record["annotator"].get("kind") == "api":
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
