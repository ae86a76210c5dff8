"""A first codebook of a table: its classes, the question of its annotation, examples of texts without gold label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.annotator_columns import label_columns, read_annotators, scored_classes
from silr.io.cells import is_placeholder, label_key, sort_classes
from silr.io.class_names import ClassNames
from silr.io.codebook import recorded_classes, recorded_codebook, recorded_question, text_key
from silr.io.corpus import LABEL, label_column, read_table, text_column

if TYPE_CHECKING:
    import pandas as pd

N_EXAMPLES, SHORT = 2, 240  # examples a class, and characters of one at most
HEAD = """\
# The codebook: what each class means. The LLM reads it in its prompt, and people read it beside the texts.
#
# Fill in every definition: one or two sentences that decide a case. Under `in` go cases that belong to the class
# although one may doubt it, under `out` those that look alike and belong elsewhere. Check the examples: their labels
# are the LLM's. Texts with a gold label must not be examples. Then:
#
#     silr codebook check {file} {table}
#     silr annotate ... --codebook {file}

"""
NONE = """
  # A class for texts that fit none of the others; without the marks (#) the LLM and people may choose it.
  # - name: none of these
  #   none: true
"""


class Draft(NamedTuple):
    """The text of a first codebook, its classes, and how many examples it has."""

    text: str
    classes: list[str]
    n_examples: int


def draft_codebook(
    table: str | Path, file: str | Path, *, text: str = "text", label: str = LABEL, seed: int = 0
) -> Draft:
    """Make the text of a first codebook.

    The classes are those of the labels of all LLMs, of their scores, of the annotation's record and of the gold labels.
    The examples are short texts without a gold label: those whose class the most LLMs give, of these the most certain
    by their scores, else drawn by the `seed`. The question is that of the annotation, or the one that `silr annotate`
    asks by default.

    Raises
    ------
    InputError
        The table cannot be read, lacks a column that was named, or has fewer than two classes.
    """
    table = Path(table)
    frame = read_table(table)
    texts = text_column(frame, text, table)
    columns = columns_of(frame, label)
    gold = label_column(frame, "gold", table, required=False)
    labels = [label_column(frame, name, table, required=name != LABEL) for name in columns]
    classes = _classes(frame, columns, [each for column in labels for each in column] + gold, table)
    codes, agreeing = _majority(labels, classes)
    order = _order(agreeing, _margins(frame, columns, classes, table), seed)
    examples = _examples(texts, codes, gold, len(classes), order)
    question, recorded = recorded_question(table), recorded_codebook(table)
    none = {label_key(each.name) for each in recorded.classes if each.is_none} if recorded else set()
    lines = [HEAD.format(file=file, table=table).rstrip(), ""]
    if question is None:
        question = f"Is this text {', '.join(classes[:-1])} or {classes[-1]}?"
        lines.append("# No question is recorded. This is what silr annotate then asks; put it in your own words.")
    lines.append(f"question: {_quoted(question)}")
    lines.append("classes:")
    for name, chosen in zip(classes, examples, strict=True):
        lines += [f"  - name: {_quoted(name)}", *["    none: true"] * (label_key(name) in none)]
        lines += ['    definition: ""  # what makes a text one of this class', "    in: []", "    out: []"]
        lines += ["    examples:" if chosen else "    examples: []  # short texts of this class"]
        lines += [f"      - {_quoted(each)}" for each in chosen]
    written = "\n".join(lines) + "\n" + ("" if none else NONE)
    return Draft(written, classes, sum(map(len, examples)))


def columns_of(frame: pd.DataFrame, label: str) -> list[str]:
    """The label columns: of all LLMs by default, else the one that is named."""
    return label_columns(frame, () if label == LABEL else (label,))


def _classes(frame: pd.DataFrame, columns: Sequence[str], labels: Sequence[str | None], table: Path) -> list[str]:
    """The classes in order; one that is written in several ways counts once."""
    scored = [each for name in columns for each in scored_classes(frame, name)]
    known: dict[str, str] = {}
    for label in [*recorded_classes(table), *scored, *labels]:
        if label is not None and not is_placeholder(label):
            known.setdefault(label_key(label), label)
    if len(known) < 2:
        found = f"one only, {next(iter(known.values()))!r}" if known else "none"
        raise InputError(
            f"{table} needs labels of two classes at least, in llm_label or gold; it has {found}: annotate it first "
            "(silr annotate), or write the codebook by hand"
        )
    recorded = [name for name in recorded_classes(table) if not is_placeholder(name)]
    return recorded if {label_key(name) for name in recorded} == set(known) else sort_classes(known.values())


def _majority(
    labels: Sequence[Sequence[str | None]], classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class that the most LLMs give each text, -1 where two classes have as many or none gives one; by how many."""
    names = ClassNames(classes)
    votes = np.zeros((len(labels[0]), len(classes)), np.int64)
    for column in labels:
        for row, label in enumerate(column):
            if label is not None and (code := names.code(label)) >= 0:
                votes[row, code] += 1
    most = votes.max(axis=1)
    codes = np.where((votes == most[:, None]).sum(axis=1) == 1, votes.argmax(axis=1), -1)
    return codes, most


def _margins(frame: pd.DataFrame, columns: Sequence[str], classes: list[str], table: Path) -> NDArray[np.float64]:
    """How much an LLM's best score exceeds the next one, shape (n,): the mean of those LLMs that have scores."""
    margins = np.zeros(len(frame))
    if not any(scored_classes(frame, column) for column in columns):
        return margins
    try:
        scores = [each for each in read_annotators(frame, table, columns, classes=classes).scores if each is not None]
    except InputError:
        return margins
    for each in scores:
        best = np.sort(each, axis=1)[:, -2:]
        margins += np.nan_to_num(best[:, 1] - best[:, 0], nan=-1.0, posinf=-1.0) / len(scores)
    return margins


def _order(agreeing: NDArray[np.int64], margins: NDArray[np.float64], seed: int) -> NDArray[np.intp]:
    """Rows as examples are taken from: those with the most LLMs first, then the surest, equal ones by chance."""
    by_chance = np.random.default_rng(seed).permutation(len(agreeing))
    return by_chance[np.lexsort((-margins[by_chance], -agreeing[by_chance]))]


def _examples(
    texts: Sequence[str],
    codes: NDArray[np.int64],
    gold: Sequence[str | None],
    n_classes: int,
    order: NDArray[np.intp],
) -> list[list[str]]:
    """A few short texts of each class that the LLMs give, none of them with a gold label in any row."""
    used = {text_key(text) for text, label in zip(texts, gold, strict=True) if label is not None}
    chosen: list[list[str]] = [[] for _ in range(n_classes)]
    for row in order.tolist():
        code, key = codes[row], text_key(texts[row])
        if code >= 0 and len(chosen[code]) < N_EXAMPLES and key and len(texts[row]) <= SHORT and key not in used:
            chosen[code].append(texts[row].strip())
            used.add(key)
    return chosen


def _quoted(text: str) -> str:
    """A text as YAML writes it in double quotes, in one line."""
    import yaml

    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31)
    return quoted.strip()
