"""The bill of a table in pieces: that of each piece which is not finished, added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from silr.annotators.dry_run import DryRun
from silr.annotators.pieces import LABELLED, PARTS, open_texts, settings_of
from silr.errors import InputError
from silr.io import corpus
from silr.io.files import Json
from silr.io.pieces import missing_pieces, read_piece
from silr.io.progress import progress

COUNTS = ("asked", "known", "finished", "cut", "prompt_tokens", "answer_tokens")


def dry_run_pieces(
    source: str | Path,
    output: str | Path,
    reckon: Callable[[Path, Path], DryRun],
    settings: Json,
    *,
    text_column: str,
    save_features: bool,
    name: str,
    quiet: bool,
) -> DryRun:
    """Go through the annotation of a folder or a glob of parquet files; one piece is in memory at a time.

    Parameters
    ----------
    source, output, settings, text_column, save_features, name
        As of `silr.annotators.pieces.annotate_pieces`.
    reckon : callable
        Takes a piece and the table that it would become, and makes its bill.
    quiet : bool
        Whether no progress is shown.

    Raises
    ------
    InputError
        As of `silr.annotators.dry_run.dry_run`, or if no piece that is left has a text.
    """
    table, folder = open_texts(source, output, text_column), Path(output)
    left = missing_pieces(table, folder, settings_of(settings, text_column, save_features, name))
    bills, empty = [], 0
    with progress("Counting", sum(piece.rows for piece, _ in left), "texts", quiet=quiet) as advance:
        for piece, _ in left:
            texts = corpus.text_column(read_piece(piece.path, [text_column]), text_column, piece.path, required=False)
            if any(text.strip() for text in texts):
                bills.append(reckon(piece.path, folder / PARTS / piece.name / LABELLED))
            else:
                empty += piece.rows
            advance(piece.rows, piece.rows, "")
    whole = _added_up(bills)
    whole.texts = whole.texts._replace(total=whole.texts.total + empty, empty=whole.texts.empty + empty)
    if finished := len(table.pieces) - len(left):
        whole.notes.append(f"{finished:,} of {len(table.pieces):,} pieces are finished: their texts are not counted")
    if len(bills) > 1:
        whole.notes.append("a text that several pieces have is counted in each")
    if not bills and not finished:
        raise InputError(f"column {text_column!r} of {source} has no text: all {len(table):,} rows are empty")
    return whole


def _added_up(bills: Sequence[DryRun]) -> DryRun:
    """The sums; the prompt is that of the first piece, and the words are those of the piece that is known best."""
    if not bills:
        return DryRun(corpus.TextCounts(0, 0, 0))
    sums: Json = {name: sum(getattr(bill, name) for bill in bills) for name in COUNTS}
    sums["requests"] = None if bills[0].requests is None else sum(bill.requests or 0 for bill in bills)
    return replace(
        bills[0],
        texts=corpus.TextCounts(*map(sum, zip(*(bill.texts for bill in bills), strict=True))),
        exact=all(bill.exact for bill in bills),
        assumed=max(bills, key=lambda bill: bill.known).assumed,
        notes=list(dict.fromkeys(note for bill in bills for note in bill.notes)),
        **sums,
    )
