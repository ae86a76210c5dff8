"""Score labels against the truth: accuracy, macro-F1 and confusion, before and after refinement."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.annotator_columns import label_columns, scored_classes
from silr.io.cells import number_of, sort_classes
from silr.io.class_names import ClassNames, alike, class_names, listed, of_table
from silr.io.corpus import label_column, open_table
from silr.io.files import Json
from silr.io.pieced_table import Frame
from silr.stats.intervals import LEVEL, paired_standard_error, share_interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GOLD, REFINED = "gold", "refined_label"


def evaluate(
    truth: Sequence[str | None], predictions: Sequence[str | None], classes: Sequence[str] | None = None
) -> Json:
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
        `rows` (scored), `missing_truth`, `missing_predictions`, `accuracy`, `accuracy_interval` (95 %, Jeffreys', of
        all texts like these), `macro_f1` (mean over the classes that occur), `classes` (list of str), `confusion` (K
        lists of K counts; row: truth, column: prediction; missing predictions are in no column) and `per_class` (class
        -> `precision`, `recall`, `f1`, `support`).

    Raises
    ------
    InputError
        The lengths differ, all truth is missing, or a label is none of `classes`.

    Notes
    -----
    Precision, recall and F1 are scikit-learn's; where one is undefined (0 / 0) it is 0, and a class that occurs in
    neither truth nor predictions has no part in the macro-F1.

    Examples
    --------
    >>> scores = evaluate(["no", "no", "yes", None], ["no", "yes", "yes", "no"])
    >>> scores["rows"], round(scores["accuracy"], 3), scores["confusion"]
    (3, 0.667, [[1, 1], [0, 1]])
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    if len(truth) != len(predictions):
        raise InputError(
            f"{len(truth):,} true labels but {len(predictions):,} predictions; they must match row for row"
        )
    scored = [(true, guess) for true, guess in zip(truth, predictions, strict=True) if true is not None]
    if not scored:
        raise InputError(f"the truth of all {len(truth):,} rows is missing")
    occurring = {label for pair in scored for label in pair if label is not None}
    order = sort_classes(occurring) if classes is None else list(classes)
    if strange := sort_classes(occurring.difference(order)):
        raise InputError(f"truth or prediction has {listed(strange, 5)}, outside the classes {listed(order)}")
    code = {label: number for number, label in enumerate(order)}
    true = np.array([code[label] for label, _ in scored])
    guess = np.array([-1 if label is None else code[label] for _, label in scored])
    numbers = np.arange(len(order))
    precision, recall, f1, support = precision_recall_fscore_support(true, guess, labels=numbers, zero_division=0)
    occurs = [label in occurring for label in order]
    accuracy = float(accuracy_score(true, guess))
    low, high = share_interval(np.array(accuracy), np.array(float(len(scored))), LEVEL)
    return {
        "rows": len(scored),
        "missing_truth": len(truth) - len(scored),
        "missing_predictions": int((guess < 0).sum()),
        "accuracy": accuracy,
        "accuracy_interval": [float(low), float(high)],
        "macro_f1": float(f1[occurs].mean()),
        "classes": order,
        "confusion": confusion_matrix(true, guess, labels=numbers).tolist(),
        "per_class": {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for label, p, r, f, s in zip(order, precision, recall, f1, support, strict=True)
        },
    }


def evaluate_file(
    path: str | Path,
    truth_column: str,
    columns: Sequence[str] | None = None,
    *,
    gold_column: str = GOLD,
    classes: Sequence[str] | None = None,
) -> Json:
    """Score the label columns of a table against its truth column; where it is refined, on the rows without gold label.

    In a row with a gold label the refined label is that label: it would be scored as if somebody had guessed it.

    Parameters
    ----------
    path : str or Path
        A table as `silr.read_table` reads it.
    truth_column : str
        The column of true labels.
    columns : sequence of str, default ``llm_label``, every ``llm_label_NAME`` and ``refined_label``
        The columns to score; those that the table lacks are skipped.
    gold_column : str, default "gold"
        The column of gold labels; it need not be there.
    classes : sequence of str, default None
        The classes; then a label may differ from its class in case. None: those of the table's score columns, else
        those of the label columns, and what the truth has beside them, unless it looks like one of them.

    Returns
    -------
    dict, ready for JSON
        `file`, `truth` (the column), `rows`, `missing_truth`, `gold_rows` (left out), `classes`, `only_in_truth`
        (class that no label column has -> rows, which all count as wrong), `labels`: column -> what `evaluate`
        returns, and `gains`: for each column of an LLM what `refined_label` gains over it, see `gain`.

    Raises
    ------
    InputError
        The table cannot be read, has no truth column or none of the label columns, the labels do not fit together, or
        the truth is the gold column.
    """
    if truth_column == gold_column:
        raise InputError(
            f"--truth {truth_column}: these labels were given to the refinement, so they cannot judge it; name a "
            "column of true labels that it has not seen, or --gold-column if the gold labels are in another one. "
            "Without --truth the LLMs are compared by the gold labels"
        )
    frame = open_table(path)
    truth = label_column(frame, truth_column, path)
    gold = label_column(frame, gold_column, path, required=gold_column != GOLD)
    if REFINED not in frame.columns:
        gold = [None] * len(gold)  # an LLM's labels repeat nothing
    columns = columns or [*label_columns(frame), REFINED]
    labels = {name: label_column(frame, name, path) for name in columns if name in frame.columns}
    if not labels:
        raise InputError(f"{path} has none of the columns {', '.join(map(repr, columns))}: nothing to evaluate")
    classes, labels, truth = one_naming(frame, path, classes, labels, truth_column, truth)
    kept = [row for row, label in enumerate(gold) if label is None]
    gold_rows = sum(label is not None and true is not None for label, true in zip(gold, truth, strict=True))
    if not any(truth[row] is not None for row in kept):
        raise InputError(
            f"{path}: all {gold_rows:,} rows with a true label have a gold label too, which the refined labels repeat; "
            "true labels of other rows are wanted"
        )
    truth = [truth[row] for row in kept]
    labels = {name: [column[row] for row in kept] for name, column in labels.items()}
    scores = {name: evaluate(truth, column, classes) for name, column in labels.items()}
    first = next(iter(scores.values()))
    shared = {key: first[key] for key in ("rows", "missing_truth", "classes")}
    gains = {
        name: gain(truth, labels[name], labels[REFINED]) for name in labels if name != REFINED and REFINED in labels
    }
    predicted = {label for column in labels.values() for label in column}
    unseen = Counter(label for label in truth if label is not None and label not in predicted)
    result = {"file": str(path), "truth": truth_column, **shared, "gold_rows": gold_rows, "only_in_truth": dict(unseen)}
    return {**result, "labels": scores, "gains": gains}


def one_naming(
    frame: Frame,
    path: str | Path,
    classes: Sequence[str] | None,
    labels: dict[str, list[str | None]],
    truth_column: str,
    truth: list[str | None],
) -> tuple[list[str], dict[str, list[str | None]], list[str | None]]:
    """The classes in order, and label columns and truth with one name for each; InputError if they do not fit."""
    for name, column in {truth_column: truth, **labels}.items():
        if not any(column):
            raise InputError(f"{path}: all {len(column):,} labels of column {name!r} are missing")
    named, wording = classes is not None, of_table(path)
    order = list(classes or scored_classes(frame) or ())
    closed = bool(order)
    _, *same, truth = alike(order, *labels.values(), truth)
    labels = dict(zip(labels, same, strict=True))
    if not closed:
        order = class_names(labels, wording, gold=truth)
    elif not named and REFINED in labels:  # `refine --classes` may name some that the LLM never scored
        known = ClassNames(order)
        order += sort_classes({label for label in labels[REFINED] if label is not None and known.code(label) < 0})
    known = ClassNames(order, named=named)
    renamed = {name: _named(known, known.codes(column, name, wording)) for name, column in labels.items()}
    meant = {label: _same_number(label, order) or label for label in truth if label is not None}
    truth = [None if label is None else meant[label] for label in truth]
    outside = [label for label in dict.fromkeys(truth) if label is not None and known.code(label) < 0]
    if strange := [label for label in outside if closed or _looks_like(label, known)]:
        raise known.strange(strange, truth, truth_column, wording)
    every = ClassNames([*order, *outside], named=named)
    truth = _named(every, every.codes(truth, truth_column, wording))
    if not closed:
        for name, column in renamed.items():
            if not {*column} & {*truth} - {None}:
                raise InputError(f"{path}: columns {truth_column!r} and {name!r} have no label in common")
    return (order if closed else sort_classes([*order, *outside])), renamed, truth


def _named(classes: ClassNames, codes: NDArray[np.integer]) -> list[str | None]:
    return [None if code < 0 else classes.names[code] for code in codes]


def _same_number(label: str, classes: Sequence[str]) -> str | None:
    """The class that is the same number, written otherwise: 1e0 is 1."""
    try:
        value = float(label)
    except ValueError:
        return None
    return next((name for name in classes if number_of(name) == value), None)


def _looks_like(label: str, classes: ClassNames) -> bool:
    """Whether a class was probably meant: another case or form of Unicode, or a letter that is wrong."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    same = folded in {unicodedata.normalize("NFKC", name).casefold() for name in classes.names}
    return same or (classes.nearest(label) is not None and number_of(label) is None)


def gain(truth: Sequence[str | None], before: Sequence[str | None], after: Sequence[str | None]) -> Json:
    """How much more often some labels are right than others of the same texts, with Wald's interval at 95 %, for JSON.

    Rows without truth are left out; a missing label is wrong. `difference` is that of the accuracies; `mended` and
    `spoilt` count labels. For the width see `silr.stats.intervals.paired_standard_error`.

    Examples
    --------
    >>> change = gain(["no", "no", "yes", "yes"], before=["yes", "yes", "yes", "no"], after=["no", "no", "yes", "no"])
    >>> change["difference"], change["mended"], change["spoilt"]
    (0.5, 2, 0)
    """
    rows = [row for row in zip(truth, before, after, strict=True) if row[0] is not None]
    mended = sum(old != true == new for true, old, new in rows)
    spoilt = sum(old == true != new for true, old, new in rows)
    n = len(rows)
    middle = (mended - spoilt) / (n + 2)
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * paired_standard_error(mended, spoilt, n)
    interval = [max(middle - half, -1.0), min(middle + half, 1.0)]
    return {"difference": (mended - spoilt) / n, "interval": interval, "mended": mended, "spoilt": spoilt}


def print_evaluation(result: Json, *, as_json: bool = False, console: Console | None = None) -> None:
    """Print what `evaluate_file` returned: a table for people, or JSON for scripts.

    `console` is where the tables go, by default standard output. Confusions of more than 12 classes are left to JSON.
    """
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = console or Console(highlight=False)
    say = partial(console.print, markup=False, soft_wrap=True)
    left_out = f"; {result['missing_truth']:,} rows without truth left out" if result["missing_truth"] else ""
    if gold_rows := result.get("gold_rows"):
        left_out += f"; {gold_rows:,} rows with a gold label left out, which the refined labels repeat"
    say(f"{result['file']}: {result['rows']:,} rows scored against {result['truth']!r}{left_out}")
    if unseen := result.get("only_in_truth"):
        say(
            f"{sum(unseen.values()):,} true labels are of a class that no label column has ({listed(list(unseen), 5)}) "
            "and count as wrong"
        )
    console.print(_summary(result["labels"]))
    for name, change in result.get("gains", {}).items():
        low, high = change["interval"]
        say(
            f"{REFINED} minus {name}: {100 * change['difference']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, "
            f"95 %); {change['mended']:,} labels mended, {change['spoilt']:,} spoilt"
        )
    for name, scores in result["labels"].items():
        if len(scores["classes"]) <= 12:
            console.print(_confusion(name, scores))


def _summary(labels: dict[str, Json]) -> Table:
    rows = []
    for name, scores in labels.items():
        low, high = scores["accuracy_interval"]
        numbers = f"{scores['accuracy']:.4f}", f"{low:.3f} to {high:.3f}", f"{scores['macro_f1']:.4f}"
        rows.append([name, *numbers, f"{scores['missing_predictions']:,}"])
    return table_of(["", "accuracy", "95 %", "macro-F1", "missing (count as wrong)"], rows)


def _confusion(name: str, scores: Json) -> Table:
    counts = zip(scores["classes"], scores["confusion"], strict=True)
    rows = [[label, *map("{:,}".format, row)] for label, row in counts]
    return table_of([f"truth \\ {name}", *scores["classes"]], rows)


def table_of(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table for the terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(escape(headings[0]))
    for heading in headings[1:]:
        table.add_column(escape(heading), justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
