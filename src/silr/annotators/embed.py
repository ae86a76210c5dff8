"""Embeddings of an annotated table, row for row beside it: the features of annotators behind a server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.errors import InputError
from silr.io import corpus
from silr.io.annotator_records import STATES, maker_of_features
from silr.io.feature_rows import has_record, match, record_path, write_record
from silr.io.files import atomic_write, read_json, write_json

if TYPE_CHECKING:
    from silr.annotators.api.embeddings import EmbeddingsClient

EMBEDDINGS = "embeddings"  # in an annotator's description: who made the features file beside it


@dataclass(frozen=True)
class EmbeddingSummary:
    """What was written, and how it went."""

    path: Path
    model: str
    width: int
    n_cut: int  # rows whose text was longer than the server takes
    n_lacking: int  # rows without embedding, which are zero


def check_states(output: str | Path) -> None:
    """Refuse to write embeddings over the hidden states of another LLM."""
    path = corpus.features_path(output)
    record = maker_of_features(path) if path.exists() else None
    if record is not None and record.get("kind") == "local" and EMBEDDINGS not in record:
        raise InputError(
            f"{path} holds the hidden states of another LLM: leave out --embeddings, and refine with --features "
            "annotator --features api:MODEL"
        )


def embed_file(
    table: str | Path, client: EmbeddingsClient, *, text_column: str = "text", quiet: bool = True
) -> EmbeddingSummary:
    """Write the embeddings of an annotated table's texts to ``<stem>.features.npy``, as `silr annotate` does.

    The annotator's description says who made them, so that `silr predict` can ask for those of new texts. Embeddings of
    the same texts by another model stay until these are there; any other file of an earlier annotation goes first.

    Raises
    ------
    InputError
        The table cannot be read, or the server gives no embeddings; see `EmbeddingsClient.embed`.
    """
    path, about = corpus.features_path(table), corpus.annotator_path(table)
    texts = corpus.text_column(corpus.read_table(table), text_column, table)
    if not _are_embeddings(path, about, texts):
        for earlier in (path, record_path(path)):  # of another annotation, perhaps
            earlier.unlink(missing_ok=True)
    done = client.embed(texts, quiet)
    width = int(done.matrix.shape[1])
    record = {name: value for name, value in read_json(about).items() if name != STATES}
    write_json(about, {**record, EMBEDDINGS: {**client.describe(), "width": width}})
    with atomic_write(path) as file:
        np.save(file, done.matrix, allow_pickle=False)
    write_record(path, texts)
    return EmbeddingSummary(path, client.model, width, done.n_cut, done.n_lacking)


def _are_embeddings(path: Path, about: Path, texts: list[str]) -> bool:
    """Whether the file holds embeddings of these texts, row for row."""
    with suppress(InputError):
        return EMBEDDINGS in read_json(about) and has_record(path) and match(path, texts) == (None, len(texts), "")
    return False
