"""Embeddings of an annotated table, row for row beside it: the features of annotators behind a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.io import corpus
from silr.io.feature_rows import record_path, write_record
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


def embed_file(
    table: str | Path, client: EmbeddingsClient, *, text_column: str = "text", quiet: bool = True
) -> EmbeddingSummary:
    """Write the embeddings of an annotated table's texts to ``<stem>.features.npy``, as `silr annotate` does.

    The annotator's description says who made them, so that `silr predict` can ask for those of new texts. The file of
    an earlier annotation goes first.

    Raises
    ------
    InputError
        The table cannot be read, or the server gives no embeddings; see `EmbeddingsClient.embed`.
    """
    path, about = corpus.features_path(table), corpus.annotator_path(table)
    texts = corpus.text_column(corpus.read_table(table), text_column, table)
    for earlier in (path, record_path(path)):  # of another annotation, perhaps
        earlier.unlink(missing_ok=True)
    done = client.embed(texts, quiet)
    width = int(done.matrix.shape[1])
    write_json(about, {**read_json(about), EMBEDDINGS: {**client.describe(), "width": width}})
    with atomic_write(path) as file:
        np.save(file, done.matrix, allow_pickle=False)
    write_record(path, texts)
    return EmbeddingSummary(path, client.model, width, done.n_cut, done.n_lacking)
