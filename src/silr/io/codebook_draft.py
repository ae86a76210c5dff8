"""A first codebook of a table: its classes, the question of its annotation, examples of texts without gold label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.annotator_columns import label_columns, read_annotators, scored_classes
from silr.io.cells import is_placeholder, label_key, sort_classes
from silr.io.class_names import ClassNames
from silr.io.codebook import recorded_classes, recorded_codebook, text_key
from silr.io.corpus import LABEL, annotator_path, label_column, read_table, text_column

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

    The classes are those of the LLM's labels, of its scores, of the annotation's record and of the gold labels. The
    examples are short texts without a gold label: those that the LLM's scores make the most certain, else drawn by the
    `seed`.

    Raises
    ------
    InputError
        The table cannot be read, or has fewer than two classes.
    """
    table = Path(table)
    frame = read_table(table)
    texts = text_column(frame, text, table)
    columns = [label] if label in frame.columns or label != LABEL else label_columns(frame)
    columns = [name for name in columns if name in frame.columns]
    gold = label_column(frame, "gold", table, required=False)
    labels = label_column(frame, columns[0], table) if columns else [None] * len(frame)
    classes = _classes(frame, columns, [*labels, *gold], table)
    margins = _margins(frame, columns, classes, table)
    examples = _examples(texts, labels, gold, classes, margins, seed)
    question, recorded = _question(table), recorded_codebook(table)
    none = {label_key(each.name) for each in recorded.classes if each.is_none} if recorded else set()
    lines = [HEAD.format(file=file, table=table).rstrip(), ""]
    lines.append(f"question: {_quoted(question)}" if question else "# question: Is this text A or B?")
    lines.append("classes:")
    for name, chosen in zip(classes, examples, strict=True):
        lines += [f"  - name: {_quoted(name)}", *["    none: true"] * (label_key(name) in none)]
        lines += ['    definition: ""  # what makes a text one of this class', "    in: []", "    out: []"]
        lines += ["    examples:" if chosen else "    examples: []  # short texts of this class"]
        lines += [f"      - {_quoted(each)}" for each in chosen]
    written = "\n".join(lines) + "\n" + ("" if none else NONE)
    return Draft(written, classes, sum(map(len, examples)))


def _classes(frame: pd.DataFrame, columns: Sequence[str], labels: Sequence[str | None], table: Path) -> list[str]:
    """The classes in order; one that is written in several ways counts once."""
    more = [label for name in columns[1:] for label in label_column(frame, name, table)]
    scored = [each for name in columns for each in scored_classes(frame, name)]
    known: dict[str, str] = {}
    for label in [*recorded_classes(table), *scored, *labels, *more]:
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


def _margins(
    frame: pd.DataFrame, columns: Sequence[str], classes: list[str], table: Path
) -> NDArray[np.float64] | None:
    """How much the LLM's best score exceeds the next one, shape (n,); None without scores."""
    if len(columns) != 1 or not scored_classes(frame, columns[0]):
        return None
    try:
        scores = read_annotators(frame, table, columns, classes=classes).scores[0]
    except InputError:
        return None
    if scores is None:
        return None
    best = np.sort(scores, axis=1)[:, -2:]
    return np.nan_to_num(best[:, 1] - best[:, 0], nan=-1.0, posinf=-1.0)


def _examples(
    texts: Sequence[str],
    labels: Sequence[str | None],
    gold: Sequence[str | None],
    classes: Sequence[str],
    margins: NDArray[np.float64] | None,
    seed: int,
) -> list[list[str]]:
    """A few short texts of each class that the LLM gives, none of them with a gold label in any row."""
    names = ClassNames(classes)
    order = np.random.default_rng(seed).permutation(len(texts))
    if margins is not None:
        order = order[np.argsort(-margins[order], kind="stable")]
    used = {text_key(text) for text, label in zip(texts, gold, strict=True) if label is not None}
    chosen: list[list[str]] = [[] for _ in classes]
    for row in order.tolist():
        label, key = labels[row], text_key(texts[row])
        code = -1 if label is None else names.code(label)
        if code >= 0 and len(chosen[code]) < N_EXAMPLES and key and len(texts[row]) <= SHORT and key not in used:
            chosen[code].append(texts[row].strip())
            used.add(key)
    return chosen


def _question(table: Path) -> str | None:
    try:
        question = json.loads(annotator_path(table).read_text(encoding="utf-8")).get("question")
    except (OSError, ValueError, AttributeError):
        return None
    return question if isinstance(question, str) and question.strip() else None


def _quoted(text: str) -> str:
    """A text as YAML writes it in double quotes, in one line."""
    import yaml

    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31)
    return quoted.strip()
