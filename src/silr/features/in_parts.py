"""The features of a corpus that is larger than memory: some texts at a time, into a file that is mapped into memory."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.features.file import FileFeatures
from silr.features.joined import JoinedFeatures
from silr.features.on_workers import PIECES, At
from silr.features.tfidf import TfidfFeatures
from silr.io.feature_rows import write_record
from silr.io.files import make_folder, os_errors, write_json
from silr.io.pieced_table import PiecedColumn

if TYPE_CHECKING:
    from silr.features.base import Features, Matrix

DONE, UNFINISHED = "done.json", "features.part"
EVERY, SECONDS = 2**18, 10.0  # texts or time, after which those that are done are on the disk for certain

Read = Callable[[list[str], slice], "Matrix"]
ByWorkers = Callable[[list[Any], PiecedColumn[str], Path], dict[int, At]]


def write_features(
    features: Features, texts: PiecedColumn[str], path: Path, by_workers: ByWorkers | None = None
) -> None:
    """Write the features of texts to ``path``, and beside it what `features` need for new texts.

    What an interrupted call has finished is not computed again. With `by_workers`, as
    `silr.features.on_workers.features_by_workers` is, workers compute them, piece by piece.
    """
    folder, unfinished = path.parent, path.with_name(UNFINISHED)
    make_folder(folder)
    marked = folder / DONE
    done = int(json.loads(marked.read_bytes())) if marked.exists() else 0
    read = _learned(features, texts, folder, by_workers, is_begun=done > 0)
    with os_errors(f"cannot write {path}"), unfinished.open("r+b" if done else "wb") as file:
        if done:
            _go_to(file, done)
        start, since = 0, time.monotonic()
        for part in texts.parts():
            rows = slice(start, start + len(part))
            if rows.stop > max(done, start):  # a piece may have no rows
                values = read(part, rows)
                if not rows.start:
                    features.save(folder)
                    header = {"descr": values.dtype.str, "fortran_order": False}
                    np.lib.format.write_array_header_1_0(file, {**header, "shape": (len(texts), values.shape[1])})
                file.write(np.ascontiguousarray(values).data)
                is_slow = time.monotonic() - since >= SECONDS  # an encoder
                if rows.stop - done >= EVERY or is_slow or rows.stop == len(texts):
                    file.flush()
                    os.fsync(file.fileno())
                    write_json(marked, done := rows.stop)
                    since = time.monotonic()
            start = rows.stop
    write_record(path, texts, unfinished)
    with os_errors(f"cannot write {path}"):
        unfinished.replace(path)
        marked.unlink()
    shutil.rmtree(folder / PIECES, ignore_errors=True)


def _learned(
    features: Features,
    texts: PiecedColumn[str],
    folder: Path,
    by_workers: ByWorkers | None,
    *,
    is_begun: bool,
) -> Read:
    """What reads some texts, once all that is learned from the corpus is; or is read from a folder."""
    parts: list[Any] = features.parts if isinstance(features, JoinedFeatures) else [features]
    files = {place: part.fit_transform(texts) for place, part in enumerate(parts) if isinstance(part, FileFeatures)}
    for part in parts:
        if not isinstance(part, TfidfFeatures):
            continue
        if is_begun:
            part.kinds = TfidfFeatures.load(folder).kinds
        else:
            part.fit(texts)
    made = {} if by_workers is None else by_workers(parts, texts, folder)
    made |= {place: matrix.__getitem__ for place, matrix in files.items()}

    def read(some: list[str], rows: slice) -> Matrix:
        matrices = [made[place](rows) if place in made else part.transform(some) for place, part in enumerate(parts)]
        return features.join(matrices) if isinstance(features, JoinedFeatures) else matrices[0]

    return read


def _go_to(file: Any, row: int) -> None:
    """Go to the place of a row in a file of an array that may end before its last row, and forget what follows."""
    np.lib.format.read_magic(file)
    (_, width), _, dtype = np.lib.format.read_array_header_1_0(file)
    file.seek(file.tell() + row * width * dtype.itemsize)
    file.truncate()
