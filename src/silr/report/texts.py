"""Which texts the page shows: labels that changed with most confidence, and texts to check by hand next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from silr.report.record import Corpus, Record
from silr.report.words import short, visible

MOST_CHANGED, MOST_UNSURE = 200, 100
HEAD, LONGEST = 240, 800  # characters that are shown at once, and in all: the page stays below 2 MB


def changed_texts(record: Record) -> list[dict[str, Any]]:
    """Texts whose refined label is not the LLM's, the highest score first; equal texts once."""
    scores = record.best.scores
    if record.corpus is None or scores is None:
        return []
    changed = np.flatnonzero((record.llm >= 0) & (record.llm != record.best.labels))
    top = scores[changed].max(axis=1)
    return _rows(record, record.corpus, changed[np.argsort(-top, kind="stable")], MOST_CHANGED)


def unsure_texts(record: Record) -> list[dict[str, Any]]:
    """Texts without gold whose two best classes score nearly alike, the closest first; equal and empty texts left out.

    These are where a look changes most. They are no random draw, so their labels must not become gold labels.
    """
    scores = record.best.scores
    if record.corpus is None or scores is None:
        return []
    texts, gold = record.corpus.texts, record.corpus.gold
    best = np.partition(scores, -2, axis=1)[:, -2:]
    order = np.argsort(best[:, 1] - best[:, 0], kind="stable")
    known = {texts[row] for row in np.flatnonzero(gold >= 0)}
    wanted = (row for row in order.tolist() if texts[row].strip() and texts[row] not in known)
    return _rows(record, record.corpus, wanted, MOST_UNSURE)


def _rows(record: Record, corpus: Corpus, order: Iterable[int], most: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    scores = record.best.scores
    assert scores is not None
    for row in order:
        text = corpus.texts[row]
        if text in seen:
            continue
        seen.add(text)
        rows.append(
            {
                "row": int(row) + 1,
                "id": short(corpus.ids[row]) if corpus.ids and corpus.ids[row] is not None else None,
                "text": cut(text),
                "llm": _name(record, record.llm[row]),
                "refined": _name(record, record.best.labels[row]),
                "score": f"{scores[row, record.best.labels[row]]:.3f}",
                "gold": _name(record, corpus.gold[row]),
                "truth": None if corpus.truth is None else _name(record, corpus.truth[row]),
            }
        )
        if len(rows) == most:
            break
    return rows


def cut(text: str) -> dict[str, Any]:
    """The beginning of a text, what else is shown of it, and how long it is."""
    shown = visible(text[:LONGEST]).strip()
    if len(text) <= HEAD + 40:
        return {"head": shown, "rest": "", "cut": False, "length": f"{len(text):,}"}
    return {"head": shown[:HEAD], "rest": shown[HEAD:], "cut": len(text) > LONGEST, "length": f"{len(text):,}"}


def _name(record: Record, code: Any) -> str | None:
    return short(record.classes[int(code)]) if code >= 0 else None
