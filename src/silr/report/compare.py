"""Several LLMs side by side, by the gold labels: how often each is right, how much they differ, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.annotators.cost import in_words, price_of_thousand, said
from silr.errors import InputError
from silr.io.annotator_columns import label_columns
from silr.io.annotator_records import read_records
from silr.io.corpus import LABEL, label_column, weight_column
from silr.io.files import Json
from silr.io.hub_tables import table_of_record
from silr.io.pieced_table import open_table
from silr.io.words import limits, percent, short
from silr.refine.labels import OUT_OF_FOLD_LABEL, labels_path
from silr.refine.record import Record
from silr.refine.run import TABLE
from silr.report.evaluate import GOLD, REFINED, one_naming, table_of
from silr.stats.annotator_evidence import Annotator, majority
from silr.stats.gold_weights import post_stratified
from silr.stats.intervals import paired_difference, right_share

if TYPE_CHECKING:
    from rich.console import Console

Codes = NDArray[np.integer]
MOST_PAIRS = 10  # that are printed; JSON has all


def compare_labels(
    labels: Mapping[str, Codes], gold: Codes, weight: NDArray[np.float64], records: Mapping[str, Json], n_classes: int
) -> Json:
    """Compare label columns by the gold labels that judge.

    Parameters
    ----------
    labels : mapping of str to int array of shape (n,)
        Classes 0 to K - 1 by column, -1 where there is no label, which counts as wrong.
    gold : int array of shape (n,)
        -1 where there is none.
    weight : array of shape (n,)
        For how many texts each gold label speaks; one without weight does not judge.
    records : mapping of str to dict
        Records of the LLMs by column, for their prices.
    n_classes : int
        K.

    Returns
    -------
    dict, ready for JSON
        `gold` (labels that judge), `labels`: column -> `accuracy`, `accuracy_interval` (95 %, Jeffreys' for Kish's
        effective number of labels), `macro_f1`, `missing`, and of an LLM behind a server `dollars_a_thousand`; the best
        column first. `differences`: of each pair, `first` less `second`, with the `interval` of a paired difference.
        `agreement`: of each pair the share of all texts with the same label, and Cohen's `kappa`.

    Raises
    ------
    InputError
        No gold label has a weight above 0.
    """
    judges = np.flatnonzero((gold >= 0) & (np.nan_to_num(weight) > 0))
    if not len(judges):
        raise InputError("no gold label has a weight above 0, so none judges: label some with `silr label`")
    truth, w = gold[judges], weight[judges]
    right = {name: codes[judges] == truth for name, codes in labels.items()}
    scores = {name: _scores(codes[judges], truth, w, n_classes) for name, codes in labels.items()}
    for name, record in records.items():
        if name in scores and record.get("kind") == "api":
            scores[name]["dollars_a_thousand"] = said(price_of_thousand(record))
    order = sorted(scores, key=lambda name: -scores[name]["accuracy"])
    pairs = list(combinations(order, 2))
    differences = []
    for first, second in pairs:
        found = paired_difference(right[first], right[second], w)
        values = {"difference": found.value, "interval": list(found.interval)}
        counts = {"only_first_right": found.only_first, "only_second_right": found.only_second}
        differences.append({"first": first, "second": second, **values, **counts})
    agreement = [
        {"first": first, "second": second, **_agreement(labels[first], labels[second])} for first, second in pairs
    ]
    ordered = {name: scores[name] for name in order}
    return {"gold": len(judges), "labels": ordered, "differences": differences, "agreement": agreement}


def compare_file(
    path: str | Path, *, gold_column: str = GOLD, weights: str = "gold_weight", classes: Sequence[str] | None = None
) -> Json:
    """Compare the LLMs of a table by its gold labels.

    ``refined_label`` is not compared: it was made with these gold labels, and repeats them. ``out_of_fold_label`` is.

    Parameters
    ----------
    path : str or Path
        A table as `silr.read_table` reads it, or a folder or a glob of parquet files.
    gold_column, weights : str
        Gold labels, and for how many texts each speaks; without weights each speaks for its share of the texts with
        the same label by most LLMs.
    classes : sequence of str, default None
        As in `silr.report.evaluate.evaluate_file`.

    Returns
    -------
    dict, ready for JSON
        `file`, `truth` (the gold column), `classes`, `weighted`, `not_judged` (columns that gold labels cannot judge)
        and what `compare_labels` returns.

    Raises
    ------
    InputError
        The table cannot be read, or has no gold labels, no labels of an LLM, or labels that do not fit together.
    """
    frame = open_table(path)
    if gold_column not in frame.columns:
        raise InputError(
            f"{path} has no gold labels (column {gold_column!r}) that could judge: give --truth COLUMN with true "
            "labels, or label some texts with `silr label`"
        )
    gold = label_column(frame, gold_column, path)
    columns = [name for name in (*label_columns(frame), OUT_OF_FOLD_LABEL) if name in frame.columns]
    if not set(columns) - {OUT_OF_FOLD_LABEL}:
        raise InputError(f"{path} has no column {LABEL!r} or {LABEL}_NAME: nothing to evaluate")
    by_column = {name: label_column(frame, name, path) for name in columns}
    order, by_column, gold = one_naming(frame, path, classes, by_column, gold_column, gold)
    code: dict[str | None, int] = {None: -1} | {name: place for place, name in enumerate(order)}
    labels = {name: np.array([code[label] for label in values]) for name, values in by_column.items()}
    truth = np.array([code[label] for label in gold])
    weight = weight_column(frame, weights, path, truth >= 0)
    records = {column_of(name): record for name, record in records_of(Path(path)).items()}
    about = {"file": str(path), "truth": gold_column, "classes": order, "weighted": weight is not None}
    about["not_judged"] = [name for name in (REFINED,) if name in frame.columns]
    if weight is None:  # as in a run's report
        llms = [codes.astype(np.int16) for name, codes in labels.items() if name != OUT_OF_FOLD_LABEL]
        weight = post_stratified(majority([Annotator(codes) for codes in llms], len(order)), truth >= 0)
    return {**about, **compare_labels(labels, truth, weight, records, len(order))}


def column_of(name: str) -> str:
    """The label column of an LLM: "llm_label_gpt4" of gpt4."""
    return f"{LABEL}_{name}" if name else LABEL


def records_of(table: Path) -> dict[str, Json]:
    """Records of a table's LLMs, or of those of the table that a run's result was made from; none if unreadable."""
    try:
        if table == labels_path(table.parent) and (table.parent / TABLE).is_file() and not read_records(table):
            table = table_of_record(table.parent, json.loads((table.parent / TABLE).read_text())["table"])
        return read_records(table)
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return {}


def print_comparison(result: Json, *, as_json: bool = False, console: Console | None = None) -> None:
    """Print what `compare_file` returned: tables for people, or JSON for scripts."""
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = console or Console(highlight=False)
    say = partial(console.print, markup=False, soft_wrap=True)
    weights = "with their weights" if result["weighted"] else "which speak for as many texts of the LLMs' label each"
    say(f"{result['file']}: compared by {result['gold']:,} gold labels of {result['truth']!r}, {weights}")
    say("a missing label counts as wrong")
    for name in result["not_judged"]:
        say(f"{name} was made with these gold labels, so they cannot judge it; --truth COLUMN can")
    table = table_of(*comparison_table(result))
    table.columns[0].min_width = min(max(map(len, result["labels"])), 40)
    console.print(table)
    for line in difference_lines(result):
        say(line)


def comparison_table(result: Json) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the comparison."""
    priced = any("dollars_a_thousand" in scores for scores in result["labels"].values())
    headings = ["", "right", "95 %", "macro-F1", "missing"]
    rows = []
    for name, scores in result["labels"].items():
        numbers = percent(scores["accuracy"]), limits(scores["accuracy_interval"]), f"{scores['macro_f1']:.3f}"
        price = in_words(scores["dollars_a_thousand"]) if "dollars_a_thousand" in scores else ""
        rows.append([name, *numbers, f"{scores['missing']:,}", *([price.removesuffix(" dollars")] if priced else [])])
    return headings + (["1,000 texts"] if priced else []), rows


def difference_lines(result: Json) -> list[str]:
    """Differences and agreement in words, those of the best first."""
    lines = []
    for pair, both in zip(result["differences"][:MOST_PAIRS], result["agreement"], strict=False):
        low, high = pair["interval"]
        verdict = "" if low > 0 or high < 0 else "; the gold labels cannot tell them apart"
        kappa = "" if both["kappa"] is None else f", kappa {both['kappa']:.2f}"
        lines.append(
            f"{pair['first']} minus {pair['second']}: {100 * pair['difference']:+.1f} points ({100 * low:+.1f} to "
            f"{100 * high:+.1f}, 95 %){verdict}; they agree on {both['share']:.1%} of {both['texts']:,} texts{kappa}"
        )
    if left := len(result["differences"]) - MOST_PAIRS:
        lines += [f"{left:,} further pairs are in --json"] if left > 0 else []
    return lines


def comparison(record: Record) -> Json | None:
    """The section of a run's report; None with one LLM, or without gold labels that judge."""
    corpus = record.corpus
    if corpus is None or record.table is None or len(corpus.llms) < 2:
        return None
    try:
        records = {column_of(name): each for name, each in records_of(labels_path(record.run.folder)).items()}
        result = compare_labels(corpus.llms, corpus.gold, corpus.weight, records, len(record.class_names))
    except InputError:
        return None
    headings, rows = comparison_table(result)
    shown = [[short(name), *values] for name, *values in rows]
    return {"gold": f"{result['gold']:,}", "headings": headings, "rows": shown, "lines": difference_lines(result)}


def _scores(guess: Codes, truth: Codes, weight: NDArray[np.float64], n_classes: int) -> Json:
    from sklearn.metrics import f1_score

    share = right_share(guess == truth, weight)
    assert share is not None
    occurring = np.intersect1d(np.arange(n_classes), np.concatenate([guess, truth]))
    options = {"labels": occurring, "average": "macro", "sample_weight": weight, "zero_division": 0}
    macro_f1 = float(f1_score(truth, guess, **options))
    values = {"accuracy": share.share, "accuracy_interval": list(share.interval), "macro_f1": macro_f1}
    return {**values, "missing": int((guess < 0).sum())}


def _agreement(first: Codes, second: Codes) -> Json:
    """Share of the texts labelled by both where the labels are the same, and Cohen's kappa, None where undefined."""
    both = (first >= 0) & (second >= 0)
    a, b = first[both], second[both]
    if not len(a):
        return {"texts": 0, "share": 0.0, "kappa": None}
    n_classes = int(max(a.max(), b.max())) + 1
    share = float((a == b).mean())
    chance = float((np.bincount(a, minlength=n_classes) / len(a)) @ (np.bincount(b, minlength=n_classes) / len(b)))
    kappa = None if chance > 1 - 1e-12 else (share - chance) / (1 - chance)
    return {"texts": len(a), "share": share, "kappa": kappa}
