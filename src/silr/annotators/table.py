"""Annotating a table: the same table with labels and scores, and beside it the features and the annotator."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from silr.annotators.base import (
    Annotator,
    Plan,
    Remarks,
    blank,
    check_any,
    cost_of,
    has_scores,
    identity_of,
    plan_for,
    prepared,
    remarks_of,
)
from silr.annotators.columns import check_name, column, score_column
from silr.annotators.cost import added_up
from silr.annotators.earlier_features import kept_maker
from silr.annotators.examples import check_examples
from silr.annotators.feature_blocks import as_begun
from silr.annotators.journal import Journal, begun_in
from silr.annotators.missing import Missing
from silr.annotators.provenance import Provenance, total
from silr.annotators.said import said_columns
from silr.annotators.side_by_side import Table
from silr.io import corpus
from silr.io.annotator_records import named_features_path, write_records
from silr.io.class_names import ClassNames
from silr.io.feature_rows import write_record
from silr.io.files import Json
from silr.io.progress import progress
from silr.io.texts import distinct
from silr.stats.intervals import Right, right_share


@dataclass(frozen=True)
class AnnotationSummary:
    """Counts and files of an annotation."""

    texts: corpus.TextCounts  # rows, rows that repeat an earlier text (read once), rows without text (no label)
    n_cut: int  # rows whose text was longer than the model reads; the end was left out
    n_resumed: int  # distinct texts that an earlier, interrupted session had annotated
    labels: dict[str, int]  # rows a class
    reasons: dict[str, int]  # rows without label by reason, the most frequent first; see `missing.Missing`
    n_scored: int  # rows with scores of the annotator's own
    n_said: dict[str, int]  # rows with a "confidence" and a "reason" in the LLM's words
    right: Right | None  # share of right labels by the table's gold labels; None if it has none
    gold_outside: dict[str, int]  # gold labels that are none of the classes; the LLM's labels count as wrong there
    seconds: float  # of this session, the model's loading not counted
    output: Path
    annotator: Path  # the annotator's description
    features: Path | None  # the hidden states, None if they were not saved
    provenance: Provenance = field(default_factory=Provenance)  # who answered; empty for a model on this machine
    name: str = ""  # of the LLM among several, "" for none
    kept: list[str] = field(default_factory=list)  # columns that the output had and the source has not
    record: Json = field(default_factory=dict)  # what the annotator's description says of this LLM
    n_there: int = 0  # labels of the table that the output had, where this annotation stopped before its end
    unwritten: pd.DataFrame | None = field(default=None, repr=False, compare=False)  # see `annotate_file`

    @property
    def n_missing(self) -> int:
        """Rows without label."""
        return sum(self.reasons.values())

    def kept_table(self) -> str:
        """Say that the table at the output stays."""
        n_labels = sum(self.labels.values())
        return (
            f"kept as it is: {self.output} has {self.n_there:,} labels, and this annotation stopped at {n_labels:,}; "
            "run again to go on"
        )


class GoldCheck:
    """Compares labels with a table's columns `gold` and `gold_weight` as they come.

    `where` is the position of each row's text among the distinct texts. Gold labels that are none of the classes,
    counted in `outside`, judge the LLM's label as wrong. A weight that is negative or no number is an InputError.
    """

    def __init__(self, frame: pd.DataFrame, classes: tuple[str, ...], where: NDArray[np.int64], source: str) -> None:
        names = ClassNames(classes, named=True)
        labels = corpus.label_column(frame, "gold", source, required=False)
        gold = np.array([-1 if label is None else names.code(label) for label in labels])
        known = np.array([label is not None for label in labels])
        weight = corpus.weight_column(frame, "gold_weight", source, known)
        rows = np.flatnonzero(known if weight is None else known & (weight > 0))
        self.outside = dict(Counter(str(labels[row]) for row in rows if gold[row] < 0).most_common())
        self._gold, self._where = gold[rows], where[rows]
        self._weight = np.ones(len(rows)) if weight is None else weight[rows]
        self._labels = np.full(where.max() + 1, -1)

    def add(self, texts: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Take the scores (m, K) of distinct texts; a row of NaN is no label."""
        self._labels[texts] = np.where(np.isnan(scores[:, 0]), -1, scores.argmax(axis=1))

    def right(self) -> Right | None:
        """The share of labels that are right, by the gold labels of texts labelled so far; None if there is none."""
        labels = self._labels[self._where]
        known = labels >= 0
        return right_share(labels[known] == self._gold[known], self._weight[known])


def annotate_file(
    source: str | Path,
    output: str | Path,
    annotator: Annotator,
    *,
    text_column: str = "text",
    save_features: bool = True,
    quiet: bool = False,
    name: str = "",
    on_texts: Callable[[int], None] = lambda count: None,
) -> AnnotationSummary:
    """Annotate the texts of a table and write the table with `llm_label` and `llm_score_<class>` to `output`.

    A label that comes without scores has empty ones; if all do, there are no such columns. If a text has no label, the
    column `llm_missing` says why.

    Beside `labelled.csv` come `labelled.annotator.json` and, row for row, `labelled.features.npy` with a record of the
    texts that its rows are of (`silr.io.feature_rows`). Rows and other columns stay as they are; columns of an earlier
    annotation are replaced. Results are kept in `labelled.csv.partial/` as they come: if the process ends early, the
    same call goes on from there and annotates no text twice.

    An annotation that stopped before its end, as its budget was spent, is not written over a table with more labels of
    this `name`. It is the summary's `unwritten` then, and the same call goes on.

    With a `name` the columns are ``llm_label_NAME``, ``llm_score_NAME_CLASS`` and so on, beside those of other LLMs.
    Hidden states go to `labelled.NAME.features.npy`. Columns that `output` has already, and `source` has not, stay; see
    `silr.annotators.side_by_side.Table`.

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
    name : str, default ""
        Of the LLM, where several label one table.
    on_texts : callable
        Called with the number of texts that were read.

    Raises
    ------
    InputError
        The table cannot be read, `output` cannot be written, the `name` cannot be one, an unfinished annotation of
        something else is there, or a server gave no text a label.
    KeyboardInterrupt
        Passed on after what is done is safe on the disk.
    """
    source, output = Path(source), Path(output)
    features = named_features_path(corpus.features_path(output), name)  # refuses an unknown suffix before any work
    table = Table(source, output, text_column, name)
    check_name(name, annotator.classes, table.frame.columns)
    texts, (unique, where) = table.texts, distinct(table.texts)
    identity = identity_of(annotator)
    check_examples(identity, table.frame, texts, source)
    meta: Json = {"texts": corpus.corpus_hash(unique), "features": save_features, "annotator": identity}
    meta = as_begun(annotator, meta, begun_in(partial_path(output, name)))
    n_features = annotator.n_features if save_features else 0
    check, began = GoldCheck(table.frame, annotator.classes, where, str(source)), time.monotonic()
    journal = Journal(partial_path(output, name), meta, len(annotator.classes), n_features)
    session = journal.session(cost_of(annotator))
    with journal, session, prepared(annotator, unique, meta, output, name, journal.note_cost):
        plan = plan_for(annotator, unique, n_features > 0)
        n_resumed = _annotate(annotator, unique, plan, journal, check, on_texts, quiet)
        record, scores = _in_order(journal, where)
        scores[blank(texts)] = np.nan
        labelled, remarks = ~np.isnan(scores[:, 0]), remarks_of(annotator)
        check_any(remarks, labelled)
        table.refresh()
        reasons = _reasons(texts, labelled, remarks)
        n_there = table.count_labels() if {Missing.NOT_ASKED, Missing.OPEN} & {*reasons} else 0
        said = said_columns(journal.said(), where, labelled)
        frame = _with_columns(table, annotator.classes, scores, reasons, said)
        unwritten = None if labelled.sum() >= n_there else frame
        summary = AnnotationSummary(
            texts=corpus.text_counts(texts),
            n_cut=int(_cut(plan, journal, [text in remarks.cut for text in unique])[where].sum()),
            n_resumed=n_resumed,
            labels=_counts(scores[labelled], annotator.classes),
            reasons={str(reason): n for reason, n in Counter(filter(None, reasons)).most_common()},
            n_scored=int(has_scores(scores).sum()),
            n_said={kind: int(pd.notna(values).sum()) for kind, values in said.items()},
            right=check.right(),
            gold_outside=check.outside,
            seconds=time.monotonic() - began,
            output=output,
            annotator=corpus.annotator_path(output),
            features=features if n_features and unwritten is None else None,
            provenance=_provenance(journal, unique, remarks.provenance),
            name=name,
            kept=table.kept,
            n_there=n_there,
            unwritten=unwritten,
        )
        summary.record.update(_description(annotator, summary, table, journal))
        _store(summary, table, frame, journal, record)
    return summary


def _store(
    summary: AnnotationSummary, table: Table, frame: pd.DataFrame, journal: Journal, record: NDArray[np.int64]
) -> None:
    """Write the annotated table and what stands beside it, unless the table there stays; end the journal."""
    if summary.unwritten is None:
        if summary.features is not None:
            journal.write_features(summary.features, record)
            write_record(summary.features, table.texts)
        write_records(summary.output, {**table.others(), summary.name: summary.record})
        corpus.write_table(frame, summary.output)
    if summary.unwritten is None or journal.is_empty():
        journal.remove()


def _counts(scores: NDArray[np.float32], classes: tuple[str, ...]) -> dict[str, int]:
    """How many rows of scores have each class as the best."""
    counts = np.bincount(scores.argmax(axis=1), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def _reasons(texts: list[str], labelled: NDArray[np.bool_], remarks: Remarks) -> list[Missing | None]:
    """Why each text has no label; None where it has one."""
    causes = [remarks.missing.get(text, Missing.NOT_ASKED) if text.strip() else Missing.EMPTY for text in texts]
    return [None if known else cause for cause, known in zip(causes, labelled, strict=True)]


def partial_path(output: str | Path, name: str = "") -> Path:
    """Return the folder that keeps an unfinished annotation: "labelled.csv.partial" for "labelled.csv"."""
    output = Path(output)
    return output.with_name(f"{output.name}{f'.{name}' if name else ''}.partial")


def _annotate(
    annotator: Annotator,
    texts: list[str],
    plan: Plan,
    journal: Journal,
    check: GoldCheck,
    on_texts: Callable[[int], None],
    quiet: bool,
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
    remarks.form = remarks.form or journal.form()
    done_tokens = total - sum(tokens for _, tokens in left)
    with progress("Annotating", total, "texts", done=done_tokens, state=state()[0], quiet=quiet) as advance:
        for number, scores, features in annotator.score_batches([[texts[row] for row in batch] for batch, _ in left]):
            batch, tokens = left[number]
            new = missing[batch]
            rows, scores = batch[new], np.where(empty[batch, None], np.float32(np.nan), scores)[new]
            journal.note_cut(np.array([row for row in rows if texts[row] in remarks.cut], np.int64))
            for row in rows:
                if (answered := remarks.provenance.pop(texts[row], None)) is not None:
                    journal.note_provenance(int(row), answered)
            journal.note_said({int(row): remarks.said.pop(texts[row], None) for row in rows}, remarks.form)
            journal.append(rows, scores, features[new])
            check.add(rows, scores)
            done += len(rows)
            advance(tokens, len(rows), *state())
            on_texts(len(rows))
    journal.note_cost()
    return len(known)


def _cut(plan: Plan, journal: Journal, by_server: list[bool]) -> NDArray[np.bool_]:
    """Of which distinct texts the end was left out, in this session or before."""
    cut = plan.cut.copy()
    cut[journal.cut()] = True
    return cut | np.array(by_server, dtype=np.bool_)


def _provenance(journal: Journal, texts: list[str], others: Mapping[str, Provenance]) -> Provenance:
    """Who answered, about the texts of the journal and about others, which got no label."""
    noted = (answered for row, answered in journal.provenance() if row < len(texts) and texts[row] not in others)
    return total(chain(noted, others.values()))


def _in_order(journal: Journal, where: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each row's record in the journal and its scores."""
    texts, scores = journal.read()
    record = np.full(where.max() + 1, len(texts))
    record[texts] = np.arange(len(texts))
    scores = np.vstack([scores, np.full(scores.shape[1], np.nan, np.float32)])  # of texts without label
    return record[where], scores[record[where]]


def _with_columns(
    table: Table,
    classes: tuple[str, ...],
    scores: NDArray[np.float32],
    reasons: list[Missing | None],
    said: dict[str, NDArray[Any]],
) -> pd.DataFrame:
    """Return the table with the annotation's columns, without those of an earlier annotation."""
    frame, name = table.without_own(), table.name
    labelled, scored = ~np.isnan(scores[:, 0]), has_scores(scores)
    labels = np.array(classes, dtype=object)[scores.argmax(axis=1)]
    labels[~labelled] = None
    frame[column("label", name)] = labels
    if scored.any() or not labelled.any():
        for place, class_name in enumerate(classes):
            values = scores[:, place].astype(str).astype(np.float64)  # float32's digits, no more
            frame[score_column(class_name, name)] = np.where(scored, values, np.nan)
    for kind, values in said.items():
        frame[column(kind, name)] = values
    if any(reasons):
        frame[column("missing", name)] = [str(reason) if reason else "" for reason in reasons]
    return frame


def _description(annotator: Annotator, summary: AnnotationSummary, table: Table, journal: Journal) -> Json:
    """What is kept of the annotator, of what it did, and of what it cost."""
    rows, duplicates, empty = summary.texts
    counts: Json = {"rows": rows, "duplicates": duplicates, "empty": empty, "cut": summary.n_cut}
    counts |= {"labels": summary.labels, "missing": summary.n_missing}
    if summary.reasons:
        counts["missing_reasons"] = summary.reasons
    counts |= {f"with_{kind}": n for kind, n in summary.n_said.items()}
    remarks = remarks_of(annotator)
    about = {**annotator.describe(), **({"parameters": remarks.parameters} if remarks.parameters else {})}
    about |= {} if remarks.form is None else {"answer_form": remarks.form}
    record: Json = {**about, **summary.provenance.describe(), "counts": counts}
    if summary.features is None:
        path = named_features_path(corpus.features_path(summary.output), table.name)
        record |= kept_maker(path, table.own(), identity_of(annotator))
    if (cost := cost_of(annotator)) is not None:
        before, identity = table.own(), identity_of(annotator)
        same = before is not None and all(before.get(key) == value for key, value in identity.items())
        asked = rows - duplicates - empty - summary.reasons.get(str(Missing.NOT_ASKED), 0)
        record |= added_up(journal.costs(), cost, before if same else None, asked, journal.costs(recorded=True))
    return record
