"""Texts to decide about: those on which persons disagree, and gold labels that everything else contradicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.errors import InputError
from silr.io import corpus
from silr.io.reviews import read_decisions
from silr.io.votes import Votes, read_votes
from silr.label.gold_table import GoldTable
from silr.label.review import Doubt
from silr.stats.doubtful import disagreement

if TYPE_CHECKING:
    from silr.label.review_columns import ReviewColumns

NO_VOTES = "{} has {}; each person labels with `silr label TABLE --as NAME`, which adds a column vote_NAME"


def votes_of(table: GoldTable, columns: ReviewColumns) -> Votes | None:
    """The persons' votes as codes of the table's classes."""
    return read_votes(columns.frame, table.classes, columns.path)


def disputed_texts(table: GoldTable, columns: ReviewColumns, llm: bool = False) -> list[Doubt]:
    """The texts on which persons disagree and nobody has decided, the most disputed first; of equal ones most votes.

    With `llm` the LLM's label stands among what is said. InputError without columns of votes.
    """
    votes = votes_of(table, columns)
    if votes is None or len(votes.persons) < 2:
        what = "no votes of several people" if votes is None else f"votes of one person, {votes.persons[0]}, alone"
        raise InputError(NO_VOTES.format(columns.path, what))
    share = disagreement(votes.codes, len(table.classes))
    count = (votes.codes >= 0).sum(axis=1)
    order = np.lexsort((np.arange(len(share)), -count, -share))
    found = []
    for row in order[share[order] > 0].tolist():
        cells = columns.cells(row, {})
        if cells.adjudicated is None and row not in table.barred:
            present = table.code(cells.gold) if cells.gold is not None else -1
            said = _voters(votes, row)
            if llm and table.codes[row] >= 0:
                said.setdefault(int(table.codes[row]), []).append("the LLM")
            found.append(Doubt(row, said, present if present >= 0 else None))
    return found


def _voters(votes: Votes, row: int) -> dict[int, list[str]]:
    """The persons by the class that they gave a text."""
    said: dict[int, list[str]] = {}
    for person, code in zip(votes.persons, votes.codes[row].tolist(), strict=True):
        if code >= 0:
            said.setdefault(code, []).append(person)
    return said


def doubtful_texts(table: GoldTable, columns: ReviewColumns, run: Path) -> list[Doubt]:
    """The gold labels that a run's probabilities contradict, the most doubtful first, with all that is said of them.

    InputError if `run` is no run of these texts, or has no probabilities.
    """
    from silr.refine.doubtful import decided_of, doubtful_of, unseen_scores
    from silr.refine.run import Run

    opened = Run(run)
    result = opened.result()
    result.check_finished(run)
    names, scores = result.class_names, unseen_scores(result)
    _check_texts(table, run, len(result.iterations[0].labels))
    if scores is None:
        raise InputError(f"the run {run} has no probabilities to judge gold labels by")
    to_table = np.array([table.code(name) for name in names])
    of_table = {code: place for place, code in enumerate(to_table.tolist()) if code >= 0}
    gold = np.full(len(table.texts), -1)
    for row, code in table.gold.items():
        gold[row] = of_table.get(code, -1)
    votes = votes_of(table, columns)
    recode = np.array([*(of_table.get(code, -1) for code in range(len(table.classes))), -1])
    settled = decided_of(run, table.texts) | read_decisions([table.table, table.output], table.texts)
    found = doubtful_of(result, gold, None if votes is None else recode[votes.codes], settled)
    llm, whose, doubts = result.iterations[0].labels, result.iterations[0].whose, []
    for row in [] if found is None else found.rows.tolist():
        said: dict[int, list[str]] = {table.gold[row]: ["the gold label"]}
        for code, who in ({} if votes is None else _voters(votes, row)).items():
            said.setdefault(code, []).extend(who)
        if llm[row] >= 0 and to_table[llm[row]] >= 0:
            said.setdefault(int(to_table[llm[row]]), []).append(whose)
        for place in [*np.argsort(-scores[row])[:2].tolist(), int(gold[row])]:
            says = f"the model: {scores[row, place]:.0%}"
            if to_table[place] >= 0 and says not in (known := said.setdefault(int(to_table[place]), [])):
                known.append(says)
        doubts.append(Doubt(row, said, table.gold[row]))
    return doubts


def _check_texts(table: GoldTable, run: Path, n: int) -> None:
    """Refuse a run of other texts."""
    from silr.refine.doubtful import table_of
    from silr.refine.labels import labels_path

    source, labels = table_of(run), labels_path(run)
    same = n == len(table.texts)
    if same and source is not None and labels.exists():
        texts = corpus.text_column(corpus.open_table(labels), source.text, labels)
        same = corpus.corpus_hash(texts) == table.hash
    if not same:
        raise InputError(
            f"{run} is a run of other texts than {table.table}: give the run that was made from this table"
        )
