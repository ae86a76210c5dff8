"""Labels for a table in pieces: each piece of texts becomes a piece with labels, on one machine or on many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.hf.fingerprint import fingerprint
from silr.io.chunks import kept_in
from silr.io.corpus import text_column
from silr.io.engines import check_engine, make_pieces
from silr.io.factories import Factory, registered
from silr.io.feature_rows import features_of_part
from silr.io.files import Json
from silr.io.pieces import Piece, check_output, folder_of, open_pieces, read_piece, write_piece
from silr.io.workers import Report
from silr.refine.labels import REFINED_LABEL, REFINED_SCORE
from silr.refine.predictor import REFINED_MISSING, Given, Predictor, columns_of_run, reads_by_model, reads_file, text_of
from silr.refine.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PredictedPieces:
    """What became of a table in pieces.

    Pieces and those of them that were there before, rows, rows a class, rows without text or label, and what speaks
    against the labels.
    """

    pieces: int
    resumed: int
    texts: int
    labels: dict[str, int]
    empty: int
    caution: str | None


def predict_pieces(
    run: str | Path,
    source: str | Path,
    output: str | Path,
    *,
    text: str | None = None,
    features: str | Path | None = None,
    features_url: str | None = None,
    scores: bool = False,
    device: str | None = None,
    engine: str = "local",
    quiet: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> PredictedPieces:
    """Label a folder or a glob of parquet files with a run's classifier, piece by piece.

    Each piece becomes one of the same name in the folder `output`, with the columns that `predict_table` adds, and
    always ``refined_missing``. Pieces that are there already are left, so that an interrupted call goes on. Memory
    holds a part of a piece.

    Parameters
    ----------
    run, source, output : str or Path
    text : str, default None
        The column with the texts. None: the one that the run was made from, or "text".
    features : str or Path, default None
        A ``.npy`` made like the run's, with one row for each row of all pieces in the order of their names. None: for a
        run on the annotator's hidden states the file beside the folder if there is one, else the run's own way to
        compute them.
    features_url, scores, device, quiet, say
        As of `silr.refine.predict.predict_table`.
    engine : {"local", "ray"}, default "local"
        "ray": the machines of the Ray cluster at ``RAY_ADDRESS`` share the pieces, or the processors of this one.

    Raises
    ------
    InputError
        As of `predict_table`; or two pieces differ in their columns, one is broken, `output` was made in another way,
        or the cluster cannot be used. Finished pieces stay.
    """
    check_engine(engine)
    table, opened = open_pieces(source), Run(run)
    check_output(table, output)
    opened.result().check_finished(opened.folder)
    column = text_of(columns_of_run(opened), text, table.columns)
    if features is None and reads_file(opened) and (beside := _beside(source)).exists():
        say(f"features: {beside}")
        features = beside
    if features is not None and not Path(features).is_file():
        raise InputError(f"{features} does not exist")
    settings: Json = {
        "command": "predict",
        "run": _digest(opened.manifest["identity"], opened.result().classifier_iteration),
        "text": column,
        "features": None if features is None else fingerprint(str(features)),
        "scores": scores,
    }
    say(f"{len(table):,} texts in {len(table.pieces):,} pieces")
    options: dict[str, Any] = {"text": column, "features_url": features_url, "scores": scores, "device": device}
    options["features"] = None if features is None else str(features)
    make = Factory.of(PieceWorker, run=str(run), settings=settings, total=len(table), **options)
    has_model = reads_by_model(opened, with_file=features is not None)
    resumed, caution = make_pieces(
        table, output, settings, make, "Predicting", engine=engine, has_model=has_model, quiet=quiet, say=say
    )
    counts, empty = _count(Path(output), [piece.name for piece in table.pieces])
    if empty:
        say(f"{empty:,} without text: no label, as the column {REFINED_MISSING} says")
    order = [str(name) for name in opened.manifest["identity"]["classes"]]
    labels = {name: int(counts[name]) for name in order if name in counts}
    return PredictedPieces(len(table.pieces), resumed, len(table), labels, empty, caution)


@registered
class PieceWorker:
    """Labels one piece after the other with a run that is loaded once."""

    def __init__(
        self, run: str, settings: Json, total: int, *, features: str | None, text: str, scores: bool, **options: Any
    ) -> None:
        self._settings, self._total, self._features, self._text = settings, total, features, text
        self._lines: list[str] = []
        self._predictor = Predictor(run, text=text, scores=scores, say=self._lines.append, **options)
        self._columns = None if features is None else self._predictor.check_features(features)

    def __call__(self, piece: Piece, path: Path, advance: Callable[[int], None]) -> Report:
        """Label the rows of a piece, a part at a time."""
        with kept_in(path.with_name(f".{path.name}.predict.partial")) as folder:
            write_piece(self._labelled(piece, folder, advance), piece, path, self._settings)
        lines = tuple(self._lines)
        self._lines.clear()
        return Report(lines, self._predictor.caution)

    def _labelled(self, piece: Piece, folder: Path, advance: Callable[[int], None]) -> Iterator[pd.DataFrame]:
        import pandas as pd
        import pyarrow as pa

        start, words = 0, pd.ArrowDtype(pa.string())
        for frame in piece.frames():
            frame = frame.drop(columns=[REFINED_LABEL, REFINED_SCORE, REFINED_MISSING], errors="ignore")
            texts = text_column(frame, self._text, piece.path, required=False)
            given = self._given(piece.start + start)
            self._predictor.add_labels(frame, piece.path, texts, given, folder)
            missing = frame.pop(REFINED_MISSING) if REFINED_MISSING in frame else None
            frame[REFINED_LABEL] = frame[REFINED_LABEL].astype(words)
            frame[REFINED_MISSING] = pd.Series(missing, index=frame.index, dtype=words)
            yield frame
            start += len(frame)
            advance(len(frame))

    def _given(self, start: int) -> Given | None:
        """What finds the features of a part of the table that begins at row `start`."""
        if self._features is None:
            return None
        path, columns = self._features, self._columns

        def read(texts: Any, filled: NDArray[np.bool_]) -> NDArray[np.number]:
            rows = features_of_part(path, texts, start, self._total)[filled]
            return rows if columns is None else np.asarray(rows[:, columns])

        return read


def _beside(source: str | Path) -> Path:
    """The hidden states that `silr annotate` left: "texts.features.npy" beside "texts/"."""
    folder = folder_of(source).resolve()
    return folder.with_name(f"{folder.name}.features.npy")


def _digest(*values: object) -> str:
    return blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


def _count(folder: Path, names: list[str]) -> tuple[Counter[str], int]:
    """Rows of each label in the finished pieces, and rows without."""
    counts: Counter[str] = Counter()
    empty = 0
    for name in names:
        labels = read_piece(folder / name, [REFINED_LABEL])[REFINED_LABEL]
        empty += int(labels.isna().sum())
        counts.update({str(label): int(count) for label, count in labels.value_counts().items()})
    return counts, empty
