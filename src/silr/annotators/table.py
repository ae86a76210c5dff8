"""Annotating a table: the same table with labels and scores, and beside it the features and the annotator."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.annotators.base import Annotator, Plan, Remarks, blank, check_any, has_scores, plan_for, remarks_of
from silr.annotators.gold_check import GoldCheck
from silr.annotators.journal import Journal
from silr.annotators.missing import COLUMN as MISSING
from silr.annotators.missing import Missing
from silr.io.corpus import (
    LABEL,
    SCORE_PREFIX,
    TextCounts,
    annotator_path,
    corpus_hash,
    features_path,
    read_table,
    text_counts,
    write_table,
)
from silr.io.corpus import text_column as read_texts
from silr.io.feature_rows import write_record
from silr.io.files import write_json
from silr.io.progress import progress
from silr.io.texts import distinct
from silr.stats.intervals import Right

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AnnotationSummary:
    """Counts and files of an annotation."""

    texts: TextCounts  # rows, rows that repeat an earlier text (read once), rows without text (no label)
    n_cut: int  # rows whose text was longer than the model reads; the end was left out
    n_resumed: int  # distinct texts that an earlier, interrupted session had annotated
    labels: dict[str, int]  # rows a class
    reasons: dict[str, int]  # rows without label by reason, the most frequent first; see `missing.Missing`
    n_scored: int  # rows with scores of the annotator's own
    right: Right | None  # share of right labels by the table's gold labels; None if it has none
    gold_outside: dict[str, int]  # gold labels that are none of the classes; the LLM's labels count as wrong there
    seconds: float  # of this session, the model's loading not counted
    output: Path
    annotator: Path  # the annotator's description
    features: Path | None  # the hidden states, None if they were not saved

    @property
    def n_missing(self) -> int:
        """Rows without label."""
        return sum(self.reasons.values())


def annotate_file(
    source: str | Path,
    output: str | Path,
    annotator: Annotator,
    *,
    text_column: str = "text",
    save_features: bool = True,
    quiet: bool = False,
) -> AnnotationSummary:
    """Annotate the texts of a table and write the table with `llm_label` and `llm_score_<class>` to `output`.

    A label that comes without scores has empty ones; if all do, there are no such columns. If a text has no label, the
    column `llm_missing` says why.

    Beside `labelled.csv` come `labelled.annotator.json` and, row for row, `labelled.features.npy` with a record of the
    texts that its rows are of (`silr.io.feature_rows`). Rows and other columns stay as they are; columns of an earlier
    annotation are replaced. Results are kept in `labelled.csv.partial/` as they come: if the process ends early, the
    same call goes on from there and annotates no text twice.

    Parameters
    ----------
    source, output : str or Path
        Tables as in `silr.io.corpus.read_table`.
    annotator : Annotator
    text_column : str, default "text"
    save_features : bool, default True
        Write the hidden states, if the annotator has any.
    quiet : bool, default False
        Show no progress.

    Raises
    ------
    InputError
        The table cannot be read, `output` cannot be written, an unfinished annotation of something else is there, or a
        server gave no text a label.
    KeyboardInterrupt
        Passed on after what is done is safe on the disk.
    """
    output = Path(output)
    features = features_path(output)  # refuses an unknown suffix before any work
    frame = read_table(source)
    texts = read_texts(frame, text_column, source)
    unique, where = distinct(texts)
    meta = {"texts": corpus_hash(unique), "features": save_features, "annotator": _identity(annotator)}
    n_features = annotator.n_features if save_features else 0
    check = GoldCheck(frame, annotator.classes, where, str(source))
    began = time.monotonic()
    with Journal(partial_path(output), meta, len(annotator.classes), n_features) as journal:
        plan = plan_for(annotator, unique, n_features > 0)
        n_resumed = _annotate(annotator, unique, plan, journal, check, quiet)
        record, scores = _in_order(journal, where)
        scores[blank(texts)] = np.nan
        labelled = ~np.isnan(scores[:, 0])
        remarks = remarks_of(annotator)
        check_any(remarks, labelled)
        if n_features:
            journal.write_features(features, record)
            write_record(features, texts)
        best = np.where(labelled, scores.argmax(axis=1), -1)
        cut = plan.cut.copy()
        cut[journal.cut()] = True
        cut[[text in remarks.cut for text in unique]] = True
        reasons = [None if known else _reason(remarks, text) for text, known in zip(texts, labelled, strict=True)]
        summary = AnnotationSummary(
            texts=text_counts(texts),
            n_cut=int(cut[where].sum()),
            n_resumed=n_resumed,
            labels={name: int((best == column).sum()) for column, name in enumerate(annotator.classes)},
            reasons={str(reason): n for reason, n in Counter(filter(None, reasons)).most_common()},
            n_scored=int(has_scores(scores).sum()),
            right=check.right(),
            gold_outside=check.outside,
            seconds=time.monotonic() - began,
            output=output,
            annotator=annotator_path(output),
            features=features if n_features else None,
        )
        _write_description(annotator, summary)
        write_table(_with_columns(frame, annotator.classes, scores, reasons), output)
        journal.remove()
    return summary


def partial_path(output: str | Path) -> Path:
    """Return the folder that keeps an unfinished annotation: "labelled.csv.partial" for "labelled.csv"."""
    output = Path(output)
    return output.with_name(f"{output.name}.partial")


def _identity(annotator: Annotator) -> dict[str, object]:
    return {key: value for key, value in annotator.describe().items() if key != "versions"}


def _annotate(
    annotator: Annotator, texts: list[str], plan: Plan, journal: Journal, check: GoldCheck, quiet: bool
) -> int:
    """Annotate what the journal lacks; return how many texts it had.

    A batch of which a full disk or a kill left a part is read whole, so that the result is the same to the last bit.
    """
    missing, empty = np.ones(len(texts), np.bool_), blank(texts)
    known, known_scores = journal.read()
    missing[known] = False
    check.add(known, known_scores)
    left = [(batch, tokens) for batch, tokens in zip(plan.batches, plan.tokens, strict=True) if missing[batch].any()]
    total, done, wanted = sum(plan.tokens), len(known), sum(map(len, plan.batches))

    def state() -> tuple[str, str]:
        right = check.right()
        return f"{done:,} of {wanted:,} texts", str(right) if right else ""

    remarks = remarks_of(annotator)
    remarks.labelled |= bool(len(known))
    done_tokens = total - sum(tokens for _, tokens in left)
    with progress("Annotating", total, "texts", done=done_tokens, state=state()[0], quiet=quiet) as advance:
        for number, scores, features in annotator.score_batches([[texts[row] for row in batch] for batch, _ in left]):
            batch, tokens = left[number]
            new = missing[batch]
            rows, scores = batch[new], np.where(empty[batch, None], np.float32(np.nan), scores)[new]
            journal.note_cut(np.array([row for row in rows if texts[row] in remarks.cut], np.int64))
            journal.append(rows, scores, features[new])
            check.add(rows, scores)
            done += len(rows)
            advance(tokens, len(rows), *state())
    return len(known)


def _in_order(journal: Journal, where: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each row's record in the journal and its scores."""
    texts, scores = journal.read()
    record = np.full(where.max() + 1, len(texts))
    record[texts] = np.arange(len(texts))
    scores = np.vstack([scores, np.full(scores.shape[1], np.nan, np.float32)])  # of texts without label
    return record[where], scores[record[where]]


def _reason(remarks: Remarks, text: str) -> Missing:
    return remarks.missing.get(text, Missing.NOT_ASKED) if text.strip() else Missing.EMPTY


def _with_columns(
    frame: pd.DataFrame, classes: tuple[str, ...], scores: NDArray[np.float32], reasons: list[Missing | None]
) -> pd.DataFrame:
    """Return the table with labels, scores and reasons, without those of an earlier annotation."""
    old = [name for name in frame.columns if name in (LABEL, MISSING) or str(name).startswith(SCORE_PREFIX)]
    frame = frame.drop(columns=old)
    labelled, scored = ~np.isnan(scores[:, 0]), has_scores(scores)
    labels = np.array(classes, dtype=object)[scores.argmax(axis=1)]
    labels[~labelled] = None
    frame[LABEL] = labels
    if scored.any() or not labelled.any():
        for column, name in enumerate(classes):
            values = scores[:, column].astype(str).astype(np.float64)  # float32's digits, no more
            frame[SCORE_PREFIX + name] = np.where(scored, values, np.nan)
    if any(reasons):
        frame[MISSING] = [str(reason) if reason else "" for reason in reasons]
    return frame


def _write_description(annotator: Annotator, summary: AnnotationSummary) -> None:
    rows, duplicates, empty = summary.texts.total, summary.texts.duplicates, summary.texts.empty
    counts: dict[str, object] = {"rows": rows, "duplicates": duplicates, "empty": empty, "cut": summary.n_cut}
    counts |= {"labels": summary.labels, "missing": summary.n_missing}
    if summary.reasons:
        counts["missing_reasons"] = summary.reasons
    write_json(summary.annotator, {**annotator.describe(), "counts": counts})
