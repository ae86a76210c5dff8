"""Score labels against the truth: accuracy, macro-F1 and confusion, before and after refinement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.annotator_columns import label_columns, scored_classes
from silr.cells import sort_classes
from silr.class_names import alike
from silr.corpus import LABEL, check_classes, label_column, read_table
from silr.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def evaluate(
    truth: Sequence[str | None], predictions: Sequence[str | None], classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score predictions against the truth.

    Rows without truth are left out and counted. A missing prediction counts as wrong, and is counted.

    Parameters
    ----------
    truth, predictions : sequences of str or None, of length n
        None is a missing label.
    classes : sequence of str, default None
        The classes in order; by default those that occur in either, sorted.

    Returns
    -------
    dict, ready for JSON
        `rows` (scored), `missing_truth`, `missing_predictions`, `accuracy`, `macro_f1` (mean over the classes that
        occur), `classes` (list of str), `confusion` (K lists of K counts; row: truth, column: prediction; missing
        predictions are in no column) and `per_class` (class -> `precision`, `recall`, `f1`, `support`).

    Raises
    ------
    InputError
        The lengths differ, all truth is missing, or a label is none of `classes`.

    Notes
    -----
    Precision, recall and F1 are scikit-learn's; where one is undefined (0 / 0) it is 0, and a class that occurs in
    neither truth nor predictions has no part in the macro-F1.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    if len(truth) != len(predictions):
        raise InputError(
            f"{len(truth):,} true labels but {len(predictions):,} predictions; they must match row for row"
        )
    scored = [(true, guess) for true, guess in zip(truth, predictions, strict=True) if true is not None]
    if not scored:
        raise InputError(f"the truth of all {len(truth):,} rows is missing")
    found = {label for pair in scored for label in pair if label is not None}
    order = sort_classes(found) if classes is None else list(classes)
    check_classes(found, order, "truth or prediction")

    code = {label: number for number, label in enumerate(order)}
    true = np.array([code[label] for label, _ in scored])
    guess = np.array([-1 if label is None else code[label] for _, label in scored])
    numbers = np.arange(len(order))
    precision, recall, f1, support = precision_recall_fscore_support(true, guess, labels=numbers, zero_division=0)
    confusion = np.zeros((len(order), len(order)), dtype=np.int64)
    np.add.at(confusion, (true[guess >= 0], guess[guess >= 0]), 1)
    occurs = [label in found for label in order]
    return {
        "rows": len(scored),
        "missing_truth": len(truth) - len(scored),
        "missing_predictions": int((guess < 0).sum()),
        "accuracy": float(accuracy_score(true, guess)),
        "macro_f1": float(f1[occurs].mean()),
        "classes": order,
        "confusion": confusion.tolist(),
        "per_class": {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for label, p, r, f, s in zip(order, precision, recall, f1, support, strict=True)
        },
    }


def evaluate_file(path: str | Path, truth_column: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Score the label columns of a table against its truth column.

    Parameters
    ----------
    path : str or Path
        A table as `silr.read_table` reads it.
    truth_column : str
        The column of true labels.
    columns : sequence of str, default ``llm_label``, every ``llm_label_NAME`` and ``refined_label``
        The columns to score; those that the table lacks are skipped.

    Returns
    -------
    dict, ready for JSON
        `file`, `truth` (the column), `rows`, `missing_truth`, `classes` (those of the table's score columns, else all
        that occur) and `labels`: column -> what `evaluate` returns.

    Raises
    ------
    InputError
        The table cannot be read, has no truth column or none of the label columns, or the labels do not fit together.
    """
    frame = read_table(path)
    truth = label_column(frame, truth_column, path)
    columns = columns or [*label_columns(frame), "refined_label"]
    labels = {name: label_column(frame, name, path) for name in columns if name in frame.columns}
    if not labels:
        raise InputError(f"{path} has none of the columns {', '.join(map(repr, columns))}: nothing to evaluate")
    classes = scored_classes(frame, LABEL) or None
    if classes is not None and "refined_label" in labels:  # `refine --classes` may name some that the LLM never scored
        own = {label for label in labels["refined_label"] if label is not None}
        classes += sort_classes(own.difference(classes))
    _, *same, truth = alike(classes or [], *labels.values(), truth)
    labels = dict(zip(labels, same, strict=True))
    for name, column in {truth_column: truth, **labels}.items():
        if not any(column):
            raise InputError(f"{path}: all {len(column):,} labels of column {name!r} are missing")
        if classes is not None:
            check_classes(column, classes, f"{path}: column {name!r}")
        elif not {*column} & {*truth} - {None}:
            raise InputError(f"{path}: columns {truth_column!r} and {name!r} have no label in common")
    if classes is None:
        classes = sort_classes({label for column in (truth, *labels.values()) for label in column if label is not None})
    scores = {name: evaluate(truth, column, classes) for name, column in labels.items()}
    first = next(iter(scores.values()))
    shared = {key: first[key] for key in ("rows", "missing_truth", "classes")}
    return {"file": str(path), "truth": truth_column, **shared, "labels": scores}


def print_evaluation(result: dict[str, Any], *, as_json: bool = False, console: Console | None = None) -> None:
    """Print what `evaluate_file` returned: a table for people, or JSON for scripts.

    `console` is where the tables go, by default standard output. Confusions of more than 12 classes are left to JSON.
    """
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = console or Console(highlight=False)
    left_out = f"; {result['missing_truth']:,} rows without truth left out" if result["missing_truth"] else ""
    console.print(
        f"{result['file']}: {result['rows']:,} rows scored against {result['truth']!r}{left_out}",
        markup=False,
        soft_wrap=True,
    )
    console.print(_summary(result["labels"]))
    for name, scores in result["labels"].items():
        if len(scores["classes"]) <= 12:
            console.print(_confusion(name, scores))


def _summary(labels: dict[str, dict[str, Any]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("")
    for heading in ("accuracy", "macro-F1", "missing (count as wrong)"):
        table.add_column(heading, justify="right")
    for name, scores in labels.items():
        numbers = f"{scores['accuracy']:.4f}", f"{scores['macro_f1']:.4f}", f"{scores['missing_predictions']:,}"
        table.add_row(escape(name), *numbers)
    return table


def _confusion(name: str, scores: dict[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    classes = [escape(label) for label in scores["classes"]]
    table = Table(f"truth \\ {escape(name)}")
    for label in classes:
        table.add_column(label, justify="right")
    for label, counts in zip(classes, scores["confusion"], strict=True):
        table.add_row(label, *(f"{count:,}" for count in counts))
    return table
