"""Annotating a table in pieces: each piece becomes one with labels; features and record are those of the folder.

A piece is annotated as a table of its own, with its own journal, in ``OUTPUT/_parts/``. What lies beside an annotated
table, hidden states and the description of the annotator, is put together for the folder once all pieces are there.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.annotators.base import Annotator, AroundAnnotator, Scored, annotate_texts, cost_of
from silr.annotators.columns import column, own_columns
from silr.annotators.cost import COUNTS, UNKNOWN, Cost
from silr.annotators.missing import Missing
from silr.annotators.provenance import together
from silr.annotators.table import annotate_file
from silr.errors import InputError
from silr.io import corpus
from silr.io.annotator_records import FEATURES, NAMED, named_features_path
from silr.io.beside import carry
from silr.io.engines import make_pieces
from silr.io.factories import Factory, registered
from silr.io.feature_rows import features_of_texts, text_keys, write_keys
from silr.io.files import Json, atomic_write, make_folder, read_json, write_json
from silr.io.pieces import Piece, Pieces, check_output, open_pieces, read_piece, write_piece
from silr.io.workers import Report

if TYPE_CHECKING:
    import pandas as pd

PARTS = "_parts"  # in the output, until all pieces are there
LABELLED = "labelled.parquet"
CUT = "some texts are longer than the model reads and were cut"
UNFINISHED = {Missing.NOT_ASKED, Missing.OPEN, Missing.SERVER}  # what another run may mend


@dataclass(frozen=True)
class AnnotatedPieces:
    """What became of a table in pieces.

    Pieces, those of them that were there before, and those that are not finished; rows, rows a class, and rows without
    label by reason (those of pieces that were not begun are not asked); the file of hidden states, if there is one; and
    the record of the annotation so far.
    """

    pieces: int
    resumed: int
    unfinished: int
    texts: int
    labels: dict[str, int]
    reasons: dict[str, int]
    features: Path | None
    record: Json


def annotate_pieces(
    source: str | Path,
    output: str | Path,
    make: Callable[[], Annotator],
    settings: Json,
    *,
    text_column: str = "text",
    save_features: bool = True,
    name: str = "",
    worker: Callable[..., Any] | None = None,
    engine: str = "local",
    has_model: bool = True,
    quiet: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> AnnotatedPieces:
    """Annotate a folder or a glob of parquet files, piece by piece; see `silr.annotators.table.annotate_file`.

    Beside the folder `output` come ``OUTPUT.annotator.json`` and, row for row, ``OUTPUT.features.npy``, once all pieces
    are there. A piece of which texts were not asked, or failed at the server, counts as unfinished: the same call asks
    for those again.

    Parameters
    ----------
    source, output : str or Path
    make : callable
        Makes the annotator. With `engine` "ray" a `silr.io.factories.Factory`, which goes to other machines as data:
        ``Factory.of(LocalAnnotator, model="MODEL", classes=["no", "yes"])``.
    settings : dict
        All that decides the labels, as JSON values.
    text_column, save_features, name
        As of `annotate_file`.
    worker : class, default None
        Annotates the pieces; None: `PieceAnnotator`.
    engine, has_model, quiet, say
        As of `silr.io.engines.make_pieces`.

    Raises
    ------
    InputError
        As of `annotate_file` and `make_pieces`; finished pieces stay.
    """
    table, folder = open_texts(source, output, text_column), Path(output)
    settings = settings_of(settings, text_column, save_features, name)
    say(f"{len(table):,} texts in {len(table.pieces):,} pieces")
    workers = Factory.of(worker or PieceAnnotator, make=make, output=str(folder), settings=settings)
    resumed, _ = make_pieces(
        table, folder, settings, workers, "Annotating", engine=engine, has_model=has_model, quiet=quiet, say=say
    )
    labels, reasons, unfinished = _count(table, folder, name)
    record = _record(table, folder, name, labels, reasons)
    features = None if unfinished else _gather(table, folder, settings, record)
    return AnnotatedPieces(len(table.pieces), resumed, unfinished, len(table), labels, reasons, features, record)


def open_texts(source: str | Path, output: str | Path, text_column: str) -> Pieces:
    """Open a table in pieces that has texts, and that `output` can be made of; InputError if it is not so."""
    table = open_pieces(source)
    check_output(table, output)
    if text_column not in table.columns:
        raise InputError(f"{source} has no column {text_column!r}; its columns are {', '.join(table.columns)}")
    return table


def settings_of(settings: Json, text_column: str, save_features: bool, name: str) -> Json:
    """All that decides an annotated piece beside the piece itself."""
    return {"command": "annotate", **settings, "text": text_column, "features": save_features, "name": name}


@registered
class PieceAnnotator:
    """Annotates one piece after the other by an annotator that is made once; `make` may be a factory out of JSON."""

    def __init__(self, make: Callable[[], Annotator] | list[Any], output: str, settings: Json) -> None:
        self._annotator: Annotator = Factory(*make)() if isinstance(make, list) else make()
        self._output, self._settings = Path(output), settings
        self._text, self._name = settings["text"], settings["name"]
        self._missing = column("missing", self._name)
        self._own: list[str] | None = None  # columns that all pieces have
        self._is_stopped = False  # as a budget was spent

    def __call__(self, piece: Piece, path: Path, advance: Callable[[int], None]) -> Report:
        """Annotate a piece; none is begun once a budget was spent."""
        if self._is_stopped:
            return Report()
        work = self._output / PARTS / piece.name
        make_folder(work)
        source = read_piece(piece.path)
        if not any(text.strip() for text in corpus.text_column(source, self._text, piece.path, required=False)):
            frame, reasons, n_cut = self._without_texts(source, work), dict[str, int](), 0
            advance(piece.rows)
        else:
            frame, reasons, n_cut = self._annotated(piece, work, advance)
        self._is_stopped = Missing.NOT_ASKED in reasons
        is_finished = not UNFINISHED & reasons.keys()
        settings = self._settings if is_finished else {**self._settings, "unfinished": True}
        write_piece(self._alike(frame), piece, path, settings)
        (work / LABELLED).unlink(missing_ok=True)
        return Report([CUT] if n_cut else [])

    def _annotated(
        self, piece: Piece, work: Path, advance: Callable[[int], None]
    ) -> tuple[pd.DataFrame, dict[str, int], int]:
        read = 0

        def count(texts: int) -> None:
            nonlocal read
            read += texts
            advance(texts)

        done = annotate_file(
            piece.path,
            work / LABELLED,
            self._annotator if cost_of(self._annotator) is None else _OfPiece(self._annotator),
            text_column=self._text,
            save_features=self._settings["features"],
            quiet=True,
            name=self._name,
            on_texts=count,
        )
        advance(piece.rows - read)  # repeated texts, and those of an earlier session
        frame = read_piece(done.output) if done.unwritten is None else done.unwritten
        return frame, done.reasons, done.n_cut

    def _without_texts(self, frame: pd.DataFrame, work: Path) -> pd.DataFrame:
        """A piece that has nothing to annotate; its hidden states are those of a text without words."""
        frame = frame.drop(columns=own_columns(frame.columns, self._name))
        frame[column("label", self._name)] = None
        frame[column("missing", self._name)] = str(Missing.EMPTY)
        if self._settings["features"] and self._annotator.n_features:
            path, states = _features_in(work, self._name), annotate_texts(self._annotator, [""]).features
            with atomic_write(path) as file:
                np.save(file, np.repeat(states, len(frame), axis=0))
            write_keys(path, text_keys([""] * len(frame)))
        return frame

    def _alike(self, frame: pd.DataFrame) -> pd.DataFrame:
        """With the columns that the finished pieces have, and with types that hold where a column is empty."""
        import pandas as pd
        import pyarrow as pa

        if self._own is None:
            self._own = self._own_of_finished() or own_columns([*frame.columns, self._missing], self._name)
        own = {name: frame.get(name) for name in self._own}
        frame = frame.drop(columns=own_columns(frame.columns, self._name))
        words = {column(kind, self._name) for kind in ("label", "missing", "reason")}
        for name, values in own.items():
            kind = pa.string() if name in words else pa.float64()
            cells = pd.Series(values, index=frame.index, dtype=object)
            frame[name] = cells.where(cells.notna(), None).astype(pd.ArrowDtype(kind))
        return frame

    def _own_of_finished(self) -> list[str]:
        import pyarrow.parquet as pq

        for path in self._output.rglob("*.parquet"):
            if not any(part[0] in "._" for part in path.relative_to(self._output).parts):
                return own_columns(pq.read_schema(path).names, self._name)
        return []


class _CostSince(Cost):
    """What a cost, which grows, was more than at the beginning."""

    def __init__(self, cost: Cost) -> None:
        super().__init__(price=cost.price)
        self._whole, self._before = cost, replace(cost)

    def __getattribute__(self, name: str) -> Any:
        if name in COUNTS and "_before" in self.__dict__:
            return getattr(self._whole, name) - getattr(self._before, name)
        return super().__getattribute__(name)

    def numbers(self) -> list[float]:
        """The counts and the dollars."""
        return replace(self._whole, **{name: getattr(self, name) for name in COUNTS}).numbers()


class _OfPiece(AroundAnnotator):
    """An annotator behind a server, whose cost is that of one piece."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator, self.classes, self.n_features = annotator, annotator.classes, annotator.n_features
        self._cost = _CostSince(cost_of(annotator) or Cost())

    @property
    def cost(self) -> Cost:
        """What was asked since the piece was begun."""
        return self._cost

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Score texts as the annotator does."""
        return self._annotator.score_batches(batches)

    def describe(self) -> dict[str, object]:
        """Describe the annotator."""
        return self._annotator.describe()


def _features_in(work: Path, name: str) -> Path:
    """The hidden states of a piece that was annotated in a folder."""
    return named_features_path(work / f"labelled{FEATURES}", name)


def _count(table: Pieces, folder: Path, name: str) -> tuple[dict[str, int], dict[str, int], int]:
    """Labels and reasons for none in the pieces that are there, and how many pieces are not finished."""
    labels: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unfinished, names = 0, [column("label", name), column("missing", name)]
    for piece in table.pieces:
        if not (folder / piece.name).is_file():
            unfinished += 1
            reasons[Missing.NOT_ASKED] += piece.rows
            continue
        frame = read_piece(folder / piece.name, names)
        counts = [{str(key): int(n) for key, n in frame[each].value_counts().items() if key} for each in names]
        labels.update(counts[0])
        reasons.update(counts[1])
        unfinished += bool(UNFINISHED & counts[1].keys())
    return dict(labels.most_common()), dict(reasons.most_common()), unfinished


def _gather(table: Pieces, folder: Path, settings: Json, record: Json) -> Path | None:
    """Put features and records of the pieces together beside the folder; return the file of features, if any."""
    parts, name = folder / PARTS, settings["name"]
    whole = named_features_path(folder.resolve().with_name(f"{folder.resolve().name}{FEATURES}"), name)
    if not parts.is_dir():  # done before
        return whole if settings["features"] and whole.is_file() else None
    files = [_features_in(parts / piece.name, name) for piece in table.pieces]
    if has_features := any(file.is_file() for file in files):
        _join(table, folder, settings, files, whole)
    carry(Path(table.source), folder, without=name)
    _write_record(folder, name, record)
    shutil.rmtree(parts)
    return whole if has_features else None


def _join(table: Pieces, folder: Path, settings: Json, files: list[Path], whole: Path) -> None:
    """Write the features of all pieces as one file; those of pieces that were there before are in the earlier one."""
    keys, rows = [], 0
    width = next(np.load(file, mmap_mode="r").shape[1] for file in files if file.is_file())
    header = {"descr": "<f2", "fortran_order": False, "shape": (len(table), int(width))}
    with atomic_write(whole) as out:
        np.lib.format.write_array_header_1_0(out, header)
        for piece, file in zip(table.pieces, files, strict=True):
            if not piece.rows:
                continue
            frame = read_piece(piece.path, [settings["text"]])
            texts = corpus.text_column(frame, settings["text"], piece.path, required=False)
            features = features_of_texts(file if file.is_file() else whole, texts)
            out.write(np.ascontiguousarray(features, "<f2").tobytes())
            keys.append(text_keys(texts))
            rows += len(features)
    assert rows == len(table)
    write_keys(whole, np.concatenate(keys))


def _records(folder: Path) -> tuple[Path, Json]:
    """The file beside the folder that describes its annotators, and what it holds so far."""
    here = folder.resolve()
    path = here.with_name(f"{here.name}.annotator.json")
    return path, read_json(path) if path.is_file() else {}


def _record(table: Pieces, folder: Path, name: str, labels: dict[str, int], reasons: dict[str, int]) -> Json:
    """Describe the annotator of the folder: as that of its pieces, with what they count added up."""
    _, every = _records(folder)
    before: Json = every.get(NAMED, {}).get(name, {}) if name else every
    files = [folder / PARTS / piece.name / "labelled.annotator.json" for piece in table.pieces]
    records = [read_json(file) for file in files if file.is_file()]
    records = [record[NAMED][name] if name else record for record in records]
    if not records:
        return before
    record: Json = {**records[-1], "counts": {"rows": len(table), "labels": labels, "missing": sum(reasons.values())}}
    if reasons:
        record["counts"]["missing_reasons"] = reasons
    record |= together([*records, before])
    for kind in ("cost", "answers"):
        costs = [each[kind] for each in (*records, before) if kind in each]
        if costs:
            record[kind] = _added_up(costs)
    return record


def _write_record(folder: Path, name: str, record: Json) -> None:
    """Write the record of an annotation beside the folder; those of other LLMs there stay."""
    if not record:
        return
    path, every = _records(folder)
    others = every.get(NAMED, {})
    unnamed = {key: value for key, value in every.items() if key != NAMED} if name else record
    named = {**others, name: record} if name else others
    write_json(path, {**unnamed, **({NAMED: named} if named else {})})


def _added_up(costs: Sequence[Json]) -> Json:
    """The sums of numbers; one that is unknown makes the sum unknown. Pieces share a session."""
    total: Json = {}
    for cost in costs:
        for key, value in cost.items():
            if key == "sessions":
                total[key] = max(total.get(key, 0), value)
            elif isinstance(value, str) or isinstance(total.get(key), str):
                total[key] = UNKNOWN
            else:
                total[key] = total.get(key, 0) + value
    return total
