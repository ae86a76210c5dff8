"""What estimates are made from: gold labels with their weights, and what a model expects of every text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.estimates.commands import label_command
from silr.estimates.from_gold import from_gold
from silr.estimates.groups import EXAMPLES, Groups, group_codes, likely_columns
from silr.io.annotator_columns import label_columns, read_annotators
from silr.io.class_names import ClassNames, of_table
from silr.io.corpus import label_column, read_table, weight_column
from silr.io.hub_tables import address_of, local_table, table_of_record
from silr.refine.record import Record, read_record
from silr.refine.table import OUT_OF_FOLD_LABEL, REFINED_LABEL, Columns, column_codes
from silr.stats.annotator_evidence import Annotator, majority
from silr.stats.gold_accuracy import Accuracy
from silr.stats.gold_weights import given_weights, post_stratified
from silr.stats.label_table import expected_by_label

if TYPE_CHECKING:
    import pandas as pd

Codes = NDArray[np.int64]
Probabilities = NDArray[np.float32] | NDArray[np.float64]
CLASSIFIER = "classifier"  # its labels, among those that are judged
FEWEST_OF_GROUP = 5  # gold labels; a group with fewer borrows the correction of all texts
FEWEST_GOLD = 10  # gold labels that judge; with fewer there is no estimate
OF_RUN = "the run's cross-fitted probabilities"
OF_LABELS = "how often each label was right among the other gold labels"
ASSUMED = (
    "nothing says how the gold labels were drawn; they are taken as drawn at random among the texts of each LLM label"
)

NOT_JUDGED = "the fine-tuned classifier has learned from the gold labels, so they do not judge it here"


@dataclass(frozen=True)
class Evidence:
    """A corpus of n texts with gold labels for some.

    A gold label of weight 0 is known and judges nothing.
    """

    name: str  # of the table
    frame: pd.DataFrame  # its rows are the texts
    class_names: list[str]  # K
    gold: Codes  # shape (n,), -1 where there is no gold label
    weights: NDArray[np.float64]  # shape (n,), for how many texts a gold label speaks; only rows with gold count
    # shape (n, K), the classes' probabilities; those of a gold text from a fit that did not know its gold label
    probabilities: Probabilities
    labels: dict[str, Codes]  # what is judged, by column, shape (n,), -1 where there is no label
    predictor: str = OF_RUN  # where the probabilities come from
    assumptions: list[str] = field(default_factory=list)  # a sentence each
    texts_column: str = "text"
    learned: tuple[str, ...] = ()  # columns whose labels come from the gold labels, those of gold texts out-of-fold
    accuracies: dict[str, Accuracy] = field(default_factory=dict)  # by column, as the run estimated them
    gold_column: str = "gold"
    label_command: str | None = None  # the beginning of the command that adds gold labels to the table

    def __post_init__(self) -> None:
        _check_gold(self.name, len(self.rows), len(self.frame))

    def __len__(self) -> int:
        return len(self.gold)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows whose gold label judges."""
        return np.flatnonzero((self.gold >= 0) & (self.weights > 0))

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Texts, shape (n,), whose gold label counts as it is, since nobody knows how likely it was to be drawn."""
        return np.asarray((self.gold >= 0) & ~(self.weights > 0))

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """Probabilities, shape (n, K), where the texts of `known` have their gold label."""
        p = np.asarray(self.probabilities, dtype=np.float64).copy()
        p[self.known] = np.eye(len(self.class_names))[self.gold[self.known]]
        return p


def read_evidence(
    source: str | Path | pd.DataFrame, gold_column: str = Columns.gold, columns: Sequence[str] = ()
) -> Evidence:
    """Read a run, or a table with LLM labels and gold labels.

    Parameters
    ----------
    source : str, Path or DataFrame
        A run's folder: its out-of-fold probabilities are what is expected of each text. A table: what is expected is
        how often its labels (``out_of_fold_label`` or else the LLMs') were right.
    gold_column : str, default "gold"
        Of a table.
    columns : sequence of str, default ()
        Label columns of a table; none: ``llm_label`` and every ``llm_label_NAME``.

    Raises
    ------
    InputError
        The source cannot be read, its texts are no longer there, or it has fewer than 10 gold labels that judge.
    """
    if isinstance(source, (str, Path)):
        source = local_table(source)
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        if columns or gold_column != Columns.gold:
            raise InputError(f"{source} is a run, which knows its own columns of labels and of gold labels: name none")
        record = read_record(source)
        record.check_finished(source)
        return of_record(record)
    if isinstance(source, (str, Path)) and not Path(source).exists():
        raise InputError(f"{source} does not exist; give the folder of a run of `silr refine`, or a table")
    frame = source if not isinstance(source, (str, Path)) else read_table(source)
    name = "the table" if not isinstance(source, (str, Path)) else address_of(source) or str(source)
    evidence = _of_table(frame, name, gold_column, columns)
    if isinstance(source, (str, Path)):
        return replace(evidence, label_command=label_command(Path(source), gold=gold_column, labels=columns))
    return evidence


def of_record(record: Record, name: str | None = None) -> Evidence:
    """Evidence of a run that was read; `name` is that of its table in messages, None: with its folder."""
    corpus, result = record.corpus, record
    if corpus is None or corpus.frame is None or record.table is None:
        reasons = "; ".join(record.problems) or "it was made in Python, without a table"
        raise InputError(
            f"{name or record.run.folder}: its texts and gold labels cannot be found ({reasons}); `silr estimate` also "
            "takes a table with the columns llm_label and gold"
        )
    name = name or str(record.run.folder / corpus.name)
    weights = np.where(corpus.gold >= 0, np.nan_to_num(corpus.weight), 0.0)
    _check_gold(name, int((weights > 0).sum()), len(weights))
    best, last = result.best, result.iterations[result.classifier_iteration]
    assumptions = [] if corpus.weighted else [ASSUMED]
    labels = dict(corpus.llms)
    refined = np.where(best.labels < 0, last.labels, best.labels).astype(np.int64)
    classifier = last.labels if not result.is_posterior else last.classifier_labels  # runs of 0.1 do not have these
    if result.best_iteration > 0:
        labels[REFINED_LABEL] = refined
    if last.notes.kind == "tuned":
        assumptions.append(NOT_JUDGED)
    elif classifier is not None:
        labels[CLASSIFIER] = classifier.astype(np.int64)
    scores: Probabilities | None = None
    if result.is_posterior:  # also where the verdict keeps the LLM's labels
        posterior = result.iterations[1]
        scores = posterior.scores if posterior.cross_fitted is None else posterior.cross_fitted
    predictor = OF_RUN
    if scores is None:
        rows = np.flatnonzero((corpus.gold >= 0) & (weights > 0))
        scores = expected_by_label(refined, corpus.gold, weights, rows, len(result.class_names))
        predictor = OF_LABELS
    return Evidence(
        name,
        corpus.frame,
        result.class_names,
        corpus.gold.astype(np.int64),
        weights,
        scores,
        labels,
        predictor,
        assumptions,
        record.table["columns"]["text"],
        learned=(REFINED_LABEL, CLASSIFIER) if result.is_posterior else (),
        accuracies=_accuracies(record) if result.is_posterior else {},
        gold_column=record.table["columns"]["gold"],
        label_command=label_command(
            table_of_record(record.run.folder, record.table["table"]), **record.table["columns"]
        ),
    )


def _accuracies(record: Record) -> dict[str, Accuracy]:
    """What the run's summary says of labels that come from the gold labels."""
    known = {}
    priors, notes = record.best.priors, record.iterations[record.classifier_iteration].notes
    if record.best_iteration > 0 and priors is not None:
        low, high = priors.accuracy_interval.tolist()
        known[REFINED_LABEL] = Accuracy(priors.accuracy, (low, high))
    if notes.classifier_accuracy is not None and notes.classifier_accuracy_interval is not None:
        low, high = notes.classifier_accuracy_interval
        known[CLASSIFIER] = Accuracy(notes.classifier_accuracy, (low, high))
    return known


def _check_gold(name: str, count: int, n_texts: int) -> None:
    """InputError if there are too few gold labels for any estimate."""
    if count < FEWEST_GOLD:
        advice = "`silr label` draws texts, asks for their labels, and keeps how likely each was to be drawn"
        if n_texts < FEWEST_GOLD:
            advice = f"of {n_texts:,} texts label all, and count"
        raise InputError(
            f"{name} has {count:,} gold labels that judge; estimates need at least {FEWEST_GOLD}, and 50 to 100 are "
            f"better: {advice}"
        )


def _of_table(frame: pd.DataFrame, name: str, gold_column: str, asked: Sequence[str]) -> Evidence:
    columns = label_columns(frame, asked)
    by_hand = label_column(frame, gold_column, name, required=gold_column != Columns.gold)
    llm = read_annotators(frame, name, columns, by_hand)
    gold = column_codes(frame, gold_column, llm.classes, name, required=gold_column != Columns.gold)
    if gold is None:
        _check_gold(name, 0, len(frame))
    drawn = gold >= 0
    _check_gold(name, int(drawn.sum()), len(frame))
    weights = weight_column(frame, Columns.weight, name, drawn)
    majority_of = majority([Annotator(codes.astype(np.int16)) for codes in llm.codes], len(llm.classes))
    assumptions = []
    if weights is None:
        weights, assumptions = post_stratified(majority_of, drawn), [ASSUMED]
    else:
        rows = np.flatnonzero(drawn)
        filled = np.zeros(len(frame))
        filled[rows] = given_weights(weights, rows, len(frame))
        weights = filled
    labels = dict(zip(llm.columns, llm.codes, strict=True))
    predicted = majority_of.astype(np.int64)
    if OUT_OF_FOLD_LABEL in frame.columns:
        refined = label_column(frame, OUT_OF_FOLD_LABEL, name)
        predicted = ClassNames(llm.classes, named=True).codes(refined, OUT_OF_FOLD_LABEL, of_table(name))
        labels[REFINED_LABEL] = predicted
    weights = np.where(drawn, weights, 0.0)
    rows = np.flatnonzero(drawn & (weights > 0))
    expected = expected_by_label(predicted, gold, weights, rows, len(llm.classes))
    return Evidence(
        name,
        frame,
        list(llm.classes),
        gold.astype(np.int64),
        weights,
        expected,
        labels,
        OF_LABELS,
        assumptions,
        gold_column=gold_column,
    )


def column_of(evidence: Evidence, name: str) -> pd.Series[Any]:
    """A column of the table that somebody named; InputError if there is none, with those that there are."""
    frame = evidence.frame
    if name not in frame.columns:
        shown = ", ".join(map(str, [each for each in frame.columns if each != evidence.texts_column][:12]))
        raise InputError(f"{evidence.name} has no column {name!r}; its columns are {shown}")
    return frame[name]


def groups_of(evidence: Evidence, by: Sequence[str]) -> Groups:
    """The group of each text, shape (n,), -1 where a column is empty, and what each group has in the columns.

    InputError if a column cannot make groups; see `silr.estimates.groups.group_codes`.
    """
    return group_codes([_group_column(evidence, name) for name in by], evidence.rows, FEWEST_OF_GROUP)


def _group_column(evidence: Evidence, name: str) -> pd.Series[Any]:
    """A column that may make groups."""
    if name == evidence.texts_column:
        reason: str | None = "is the column of the texts"
    else:
        in_table = name in evidence.frame.columns
        reason = from_gold(evidence.frame, name, evidence.gold_column, evidence.class_names) if in_table else None
    if reason is None:
        return column_of(evidence, name)
    besides = [evidence.texts_column]
    besides += [
        each
        for each in map(str, evidence.frame.columns)
        if each.startswith("llm_") or from_gold(evidence.frame, each, evidence.gold_column, evidence.class_names)
    ]
    others = likely_columns(evidence.frame, besides)[:EXAMPLES]
    hint = f"; columns of groups may be {', '.join(others)}" if others else ""
    raise InputError(f"{name!r} {reason}; --by takes a column of groups{hint}")
