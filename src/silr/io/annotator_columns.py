"""Columns of a table with labels, scores and confidences of one LLM or of several.

``llm_label``, ``llm_score_CLASS`` and ``llm_confidence`` are those of the only LLM; ``llm_label_NAME``,
``llm_score_NAME_CLASS`` and ``llm_confidence_NAME`` those of one of several, or of one of several prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.cells import label_key, sort_classes
from silr.io.class_names import ClassNames, class_names, listed, of_table
from silr.io.corpus import LABEL, SCORE_PREFIX, label_column, score_columns
from silr.io.pieced_table import Frame

CONFIDENCE = "llm_confidence"
REASON = "llm_reason"  # why, in the LLM's words; nothing is computed from it
SURE = 0.999  # a confidence of 1 counts as this, and 0 as its opposite: nobody is certain


@dataclass(frozen=True)
class AnnotatorColumns:
    """Labels and scores of a table's texts by LLMs."""

    columns: list[str]  # names of the label columns
    names: list[str]  # of the LLMs, "" for the only one of column `llm_label`
    classes: list[str]  # all that occur, and those of score columns
    codes: list[NDArray[np.int64]]  # for each LLM, shape (n,), -1 where it gave no label
    scores: list[NDArray[np.float64] | None]  # for each LLM, shape (n, K)

    @property
    def has_scores(self) -> bool:
        """Whether any LLM has scores."""
        return any(values is not None for values in self.scores)


def label_columns(frame: Frame, asked: Sequence[str] = ()) -> list[str]:
    """Names of the label columns: those that are asked for, else ``llm_label`` and every ``llm_label_NAME``."""
    if asked:
        return list(dict.fromkeys(asked))
    names = map(str, frame.columns)
    return [name for name in names if name == LABEL or name.startswith(f"{LABEL}_")] or [LABEL]


def read_annotators(
    frame: Frame,
    table: str | Path,
    asked: Sequence[str] = (),
    gold: Sequence[str | None] = (),
    say: Callable[[str], None] = lambda line: None,
    classes: Sequence[str] | None = None,
    finished: bool = True,
) -> AnnotatorColumns:
    """Read the labels and scores of the LLMs.

    An LLM may share its classes with the `gold` labels alone. `classes` are those that somebody has named; None: those
    of the score columns of one LLM, else those that occur. `finished` says that the named classes are those of a
    finished run, for new texts, which may all lack labels.

    Raises InputError if a column is missing, LLMs have no class in common, or a label is none of the known classes; if
    two classes differ in case only, or one looks like no label; or if a score or a confidence cannot be one.
    """
    columns = label_columns(frame, asked)
    names = [_name(column, len(columns)) for column in columns]
    if len(set(names)) < len(names):
        names = list(columns)
    labels = [label_column(frame, column, table) for column in columns]
    named = classes is not None
    finished &= named
    wording = of_table(table, option=not finished)
    if not finished and all(label is None for column in labels for label in column):
        raise InputError(f"{' and '.join(columns)}: all {len(frame):,} labels are missing")
    if classes is None:
        classes = [name for column in columns for name in scored_classes(frame, column)]
        if len(columns) > 1 or not classes:
            by_column = dict(zip(columns, labels, strict=True))
            classes = class_names(by_column, wording, gold=gold, say=say, known=classes)
        _check_alike(columns, labels, gold, say)
    names_of = ClassNames(classes, named=named)
    codes = [names_of.codes(column, name, wording) for column, name in zip(labels, columns, strict=True)]
    if not finished and len(classes) < 2:
        raise InputError(
            f"{' and '.join(columns)} has one class only, {classes[0]!r}; at least two must occur, or --classes names "
            "those that no LLM gave"
        )
    for column, name in zip(labels, columns, strict=True):
        if not finished and (count := names_of.folded(column)):
            say(f"{count:,} labels of {name} differ from a class in case only, and count as it")
    scores = [
        scores_of(frame, column, code, classes, table, classes if named else ())
        for column, code in zip(columns, codes, strict=True)
    ]
    without = [column for column, values in zip(columns, scores, strict=True) if values is None]
    if len(columns) > 1:
        say(f"{len(columns)} LLMs: {', '.join(columns)}")
        if 0 < len(without) < len(columns):
            say(f"no scores for {', '.join(without)}, which count by their labels")
    return AnnotatorColumns(columns, names, list(classes), codes, scores)


def _name(column: str, count: int) -> str:
    if column == LABEL:
        return "" if count == 1 else "llm"
    return column.removeprefix(f"{LABEL}_")


def score_prefix(column: str) -> str | None:
    """What the score columns of a label column begin with; None of a column with another name."""
    if column == LABEL:
        return SCORE_PREFIX
    return f"{SCORE_PREFIX}{column.removeprefix(f'{LABEL}_')}_" if column.startswith(f"{LABEL}_") else None


def scored_classes(frame: Frame, column: str = LABEL) -> list[str]:
    """The classes that the score columns of a label column name; fewer than two are none."""
    every = [str(name) for name in frame.columns]
    prefix = score_prefix(column)
    if prefix is None:
        return []
    others = [score_prefix(name) for name in every if name.startswith(f"{LABEL}_") and name != column]
    longer = tuple(other for other in others if other is not None and other.startswith(prefix))
    classes = [name.removeprefix(prefix) for name in every if name.startswith(prefix) and not name.startswith(longer)]
    return classes if len(classes) > 1 else []


def scores_of(
    frame: Frame,
    column: str,
    codes: NDArray[np.int64],
    classes: Sequence[str],
    table: str | Path,
    named: Sequence[str] = (),
) -> NDArray[np.float64] | None:
    """Log-probabilities, (n, K), from score columns or from a confidence; None if there are neither.

    A class that was `named` and has no score column, as the LLM was not asked for it, has the mean of the others:
    the LLM speaks neither for it nor against it.
    """
    prefix = score_prefix(column)
    if prefix is None:
        return None
    confidence = CONFIDENCE if column == LABEL else f"{CONFIDENCE}_{column.removeprefix(f'{LABEL}_')}"
    known = {label_key(name) for name in scored_classes(frame, column)}
    asked = [place for place, name in enumerate(classes) if name not in named or label_key(name) in known]
    if known and 1 < len(asked) < len(classes):
        some = score_columns(frame, [classes[place] for place in asked], table, column, prefix)
        assert some is not None
        scores: NDArray[np.float64] = np.repeat(some.mean(axis=1, keepdims=True), len(classes), axis=1)
        scores[:, asked] = some
        return scores
    own = score_columns(frame, classes, table, column, prefix)
    if own is None and confidence in frame.columns:
        return _from_confidence(frame, confidence, codes, len(classes), table)
    return own


def _from_confidence(
    frame: Frame, name: str, codes: NDArray[np.int64], n_classes: int, table: str | Path
) -> NDArray[np.float64]:
    """Log-probabilities of a label with confidence c: log c of its class, the rest shared by the others.

    Where a label has no confidence it is the median of the others.
    """
    values = frame[name].tolist()
    empty = frame[name].isna().to_numpy() | np.array([str(value).strip() == "" for value in values])
    numbers = np.full(len(values), np.nan)
    for row in np.flatnonzero(~empty & (codes >= 0)):
        with suppress(TypeError, ValueError):
            numbers[row] = float(values[row])
        if not 0 <= numbers[row] <= 1:
            raise InputError(
                f"{table}, row {row + 1:,}: {name!r} is {str(values[row])[:40]!r}; a confidence is a number from 0 to 1"
            )
    known = np.isfinite(numbers)
    if not known.any() and (codes >= 0).any():
        raise InputError(f"column {name!r} of {table} has no confidence; leave the column out")
    numbers[~known] = np.median(numbers[known]) if known.any() else SURE
    sure = np.clip(numbers, 1 - SURE, SURE)
    scores = np.repeat(np.log((1 - sure) / (n_classes - 1))[:, None], n_classes, axis=1)
    rows = np.flatnonzero(codes >= 0)
    scores[rows, codes[rows]] = np.log(sure[rows])
    scores[codes < 0] = np.nan
    return scores


def _check_alike(
    columns: Sequence[str],
    labels: Sequence[Sequence[str | None]],
    gold: Sequence[str | None],
    say: Callable[[str], None],
) -> None:
    """Refuse LLMs that have no class in common with the others, and say which classes only one of them has."""
    sets = [{label_key(label) for label in column if label is not None} for column in labels]
    by_hand = {label_key(label) for label in gold if label is not None}
    for place, (column, mine) in enumerate(zip(columns, sets, strict=True)):
        others = by_hand.union(*sets[:place], *sets[place + 1 :])
        if len(columns) < 2 or not mine or not others:
            continue
        if not mine & others:
            raise InputError(
                f"{column} has the classes {_listed(mine)}, the other labels {_listed(others)}: none in common"
            )
        if alone := mine - others:
            say(f"only {column} has {_listed(alone)}; if that is another spelling, mend it first")


def _listed(names: set[str]) -> str:
    return listed(sort_classes(names), 5)


def for_new_texts(
    frame: Frame, table: str | Path, columns: Sequence[str], classes: Sequence[str], scored: Sequence[bool]
) -> tuple[dict[str, NDArray[np.object_]], dict[str, NDArray[np.float64]]] | str:
    """Labels and scores of new texts by LLM name, as `silr.LabelRefiner.predict` takes them, or why there are none.

    `columns` are the label columns of the run, and `scored` says which LLMs had scores.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        return f"there is no column {', '.join(missing)}"
    llms = read_annotators(frame, table, columns, classes=classes)
    wanted = list(zip(columns, llms.names, llms.scores, scored, strict=True))
    if without := [column for column, _, values, had_scores in wanted if had_scores and values is None]:
        return f"there are no scores of {', '.join(without)}, which the run had"
    names = np.array([*classes, None], dtype=object)
    labels = {name: names[codes] for name, codes in zip(llms.names, llms.codes, strict=True)}
    scores = {name: values for _, name, values, had_scores in wanted if had_scores and values is not None}
    return labels, scores
