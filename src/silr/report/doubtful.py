"""Gold labels to look at again: those that all else in the run contradicts."""

from __future__ import annotations

import shlex

from silr.errors import InputError
from silr.io.pieced_table import PiecedTable
from silr.io.words import percent, short
from silr.refine.doubtful import decided_of, doubtful_of, vote_codes
from silr.refine.record import Record
from silr.report.texts import cut


def doubtful_texts(record: Record) -> dict[str, object] | None:
    """The rows of the section and the command that opens them; None if there are none."""
    corpus = record.corpus
    if corpus is None or not (corpus.gold >= 0).any():
        return None
    folder = record.run.folder
    votes = None if corpus.frame is None else vote_codes(corpus.frame, record.class_names, corpus.name)
    try:
        decided = decided_of(folder, corpus.texts)
    except InputError:
        decided = {}
    found = doubtful_of(record, corpus.gold, votes, decided)
    if found is None or not len(found.rows):
        return None
    names, rows = record.class_names, []
    for place, row in enumerate(found.rows.tolist()):
        llm = int(record.llm[row])
        rows.append(
            {
                "row": row + 1,
                "id": short(corpus.ids[row]) if corpus.ids and corpus.ids[row] is not None else None,
                "text": cut(corpus.texts[row]),
                "gold": short(names[int(corpus.gold[row])]),
                "gold_probability": percent(float(found.gold_probability[place])),
                "llm": short(names[llm]) if llm >= 0 else None,
                "other": short(names[int(found.other[place])]),
                "other_probability": percent(float(found.other_probability[place])),
            }
        )
    command = None
    if record.table and not isinstance(corpus.frame, PiecedTable):
        command = f"silr label {shlex.quote(str(record.table['table']))} --again ."  # inside the run's folder
    return {"rows": rows, "gold": f"{int((corpus.gold >= 0).sum()):,}", "command": command}
