"""Gold labels to look at again, by the probabilities of a finished refinement."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.corpus import read_table, text_column
from silr.io.hub_tables import table_of_record
from silr.io.reviews import read_decisions, reviews_path
from silr.io.votes import read_votes
from silr.refine.run import TABLE, Run
from silr.refine.table import LABELS
from silr.stats.doubtful import DoubtfulGold, doubtful_gold

if TYPE_CHECKING:
    import pandas as pd

    from silr.refine.refinement import Refinement


def unseen_scores(result: Refinement) -> NDArray[np.float32] | None:
    """Class probabilities (n, K) that never saw the gold label of their own text; None if there are none.

    Those of the posterior's gold texts are out of fold. A classifier of the methods "uu" and "paper" is fitted to the
    LLM's labels; of several iterations it is the last one whose labels kept the signal.
    """
    refined = [each for each in result.iterations[1:] if each.scores is not None and not each.notes.stopped]
    posterior = [each for each in refined if each.notes.kind == "posterior"]
    last = (posterior or refined)[-1:]
    return last[0].scores if last else None


def doubtful_of(
    result: Refinement,
    gold: NDArray[np.integer],
    votes: NDArray[np.integer] | None = None,
    decided: dict[int, str] | None = None,
) -> DoubtfulGold | None:
    """The gold labels (n,) to look at again, without those that a person has decided to keep; None without scores.

    `votes` (n, R) are those of R persons, as codes of the run's classes. `decided` has a class by row; a gold label
    that has become another one since then is no longer decided.
    """
    scores = unseen_scores(result)
    if scores is None or len(scores) != len(gold):
        return None
    settled = np.zeros(len(gold), dtype=bool)
    for row, name in (decided or {}).items():
        settled[row] = gold[row] >= 0 and result.class_names[int(gold[row])] == name
    llm = None if result.is_posterior else result.iterations[0].labels
    return doubtful_gold(gold, scores, votes, llm=llm, settled=settled)


@dataclass(frozen=True)
class Table:
    """The table behind a run, as the run's record names it."""

    path: Path  # of the table that was refined; it need not be there any more
    text: str  # name of the column


def table_of(run: Path) -> Table | None:
    """The table that a run was made from; None of a run made in Python."""
    try:
        record = json.loads((run / TABLE).read_text())
        return Table(Path(os.path.normpath(table_of_record(run, record["table"]))), str(record["columns"]["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def decided_of(run: Path, texts: Sequence[str] | Callable[[], Sequence[str]]) -> dict[int, str]:
    """What persons decided about the texts of a run, beside its table or its own labels.csv.

    Texts that have to be read first are a function, which is called if there are decisions.
    """
    table = table_of(run)
    tables = [path for path in (run / LABELS, *([table.path] if table else [])) if reviews_path(path).is_file()]
    if not tables:
        return {}
    return read_decisions(tables, texts() if callable(texts) else texts)


def vote_codes(frame: pd.DataFrame, classes: Sequence[str], path: Path | str) -> NDArray[np.int16] | None:
    """The persons' votes (n, R) as codes of the run's classes; None if there are none, or of other classes."""
    try:
        votes = read_votes(frame, classes, path, named=True)
    except InputError:
        return None
    return None if votes is None else votes.codes


def doubtful_line(run: Path) -> str | None:
    """The line about gold labels to look at again that ends a refinement; None if there are none.

    A line that cannot be made is none: the labels are written.
    """
    try:
        opened, table = Run(run), table_of(run)
        gold, result, labels = opened.gold(), opened.result(), run / LABELS
        if table is None or gold is None or not _any(doubtful_of(result, gold)):
            return None
        frame = read_table(labels)
        votes = vote_codes(frame, result.class_names, labels)
        found = doubtful_of(result, gold, votes, decided_of(run, lambda: text_column(frame, table.text, labels)))
    except (InputError, OSError):
        return None
    if not _any(found):
        return None
    what = "1 gold label" if len(found.rows) == 1 else f"{len(found.rows):,} gold labels"
    command = f"silr label {shlex.quote(str(table.path))} --again {shlex.quote(str(run))}"
    return f"All else speaks against {what}. Look again: {command}"


def _any(found: DoubtfulGold | None) -> TypeGuard[DoubtfulGold]:
    return found is not None and len(found.rows) > 0
