"""The features of a corpus in pieces, computed by the workers of an engine: a file of each kind for each piece."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.features.api import KIND as API
from silr.features.saved import load_saved
from silr.io.corpus import text_column
from silr.io.factories import Factory, registered
from silr.io.files import Json, atomic_write, make_folder
from silr.io.pieced_table import PiecedColumn
from silr.io.pieces import Piece, write_piece
from silr.io.workers import Report

if TYPE_CHECKING:
    from silr.features.base import Features

PIECES = "pieces"  # in the folder of the features, until they are put together
OF_THE_MAIN_PROCESS = ("file", API)  # a file is there already; a server is asked by one process
WITHOUT_MODEL = ("tfidf", "static")

At = Callable[[slice], NDArray[np.number]]
MakePieces = Callable[..., object]  # `silr.io.engines.make_pieces` with its engine


def features_by_workers(
    parts: Sequence[Features], texts: PiecedColumn[str], folder: Path, make_pieces: MakePieces
) -> dict[int, At]:
    """Compute features that need no more than a text; return what reads some rows of one piece, by place in `parts`.

    What is learned from the corpus is learned already.

    Raises InputError as `silr.io.engines.make_pieces`; finished pieces stay.
    """
    records = {place: part.record for place, part in enumerate(parts)}
    records = {place: record for place, record in records.items() if record["kind"] not in OF_THE_MAIN_PROCESS}
    if not records:
        return {}
    for place in records:
        parts[place].save(folder)
    output, (text,) = folder / PIECES, texts.names
    settings = {"command": "features", "text": text, "features": list(records.values())}
    make = Factory.of(
        FeatureWorker, records=[*records.items()], folder=str(folder.absolute()), text=text, settings=settings
    )
    has_model = any(record["kind"] not in WITHOUT_MODEL for record in records.values())
    make_pieces(texts.pieces, output, settings, make, "Computing features", has_model=has_model)
    starts, pieces = [piece.start for piece in texts.pieces.pieces], texts.pieces.pieces

    def at(place: int, rows: slice) -> NDArray[np.number]:
        piece = pieces[bisect_right(starts, rows.start) - 1]
        matrix = np.load(_file(output / piece.name, place), mmap_mode="r")
        return np.asarray(matrix[rows.start - piece.start : rows.stop - piece.start])

    return {place: partial(at, place) for place in records}


@registered
class FeatureWorker:
    """Computes the features of one piece after the other; a piece without columns says that its files are whole."""

    def __init__(self, records: Sequence[tuple[int, Json]], folder: str, text: str, settings: Json) -> None:
        self._parts = {place: load_saved(record, Path(folder)) for place, record in records}
        self._text, self._settings = text, settings

    def __call__(self, piece: Piece, path: Path, advance: Callable[[int], None]) -> Report:
        """Write the features of a piece, some texts at a time."""
        import pandas as pd

        make_folder(path.parent)
        for place, part in self._parts.items():
            with atomic_write(_file(path, place)) as file:
                for number, frame in enumerate(piece.frames([self._text] if piece.rows else [])):
                    if not len(frame):
                        break
                    values = part.transform(text_column(frame, self._text, piece.path, required=False))
                    if not number:
                        _write_header(file, values, piece.rows)
                    file.write(np.ascontiguousarray(values).data)
        write_piece(pd.DataFrame({"rows": [piece.rows]}), piece, path, self._settings)
        advance(piece.rows)
        return Report()


def _write_header(file: Any, values: NDArray[np.number], rows: int) -> None:
    header = {"descr": values.dtype.str, "fortran_order": False, "shape": (rows, values.shape[1])}
    np.lib.format.write_array_header_1_0(file, header)


def _file(path: Path, place: int) -> Path:
    """The features of one kind of a piece."""
    return path.with_name(f"{path.name}.{place}.npy")
