"""Texts of the page: labels that changed with most confidence, and texts to check by hand next."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from silr.io.pieced_table import cells_at
from silr.io.words import short, visible
from silr.refine.record import Record

MOST_CHANGED, MOST_UNSURE = 200, 100
LOOKED_AT = 1000  # texts at once, until there are enough different ones
HEAD, LONGEST = 240, 800  # characters that are shown at once, and in all: the page stays below 2 MB


def changed_texts(record: Record) -> list[dict[str, object]]:
    """Texts whose refined label is not the LLM's, the highest score first; equal texts once."""
    scores = record.best.scores
    if scores is None:
        return []
    changed = np.flatnonzero((record.llm >= 0) & (record.llm != record.best.labels))
    top = scores[changed].max(axis=1)
    return _rows(record, changed[np.argsort(-top, kind="stable")], MOST_CHANGED)


def unsure_texts(record: Record) -> list[dict[str, object]]:
    """Texts without gold whose two best classes score nearly alike, the closest first; equal and empty texts left out.

    These are where a look changes most. They are no random draw, so their labels must not become gold labels.
    """
    scores = record.best.scores
    if record.corpus is None or scores is None:
        return []
    texts, gold = record.corpus.texts, record.corpus.gold
    best = np.partition(scores, -2, axis=1)[:, -2:]
    order = np.argsort(best[:, 1] - best[:, 0], kind="stable")
    known = set(cells_at(texts, np.flatnonzero(gold >= 0)))
    return _rows(record, order, MOST_UNSURE, {*known, ""})


def _rows(
    record: Record, order: NDArray[np.int64], most: int, besides: Collection[str] = ()
) -> list[dict[str, object]]:
    """The first rows with different texts, none of them `besides`."""
    corpus, labels, scores = record.corpus, record.best.labels, record.best.scores
    if corpus is None or scores is None:
        return []
    first: dict[str, int] = {}
    for start in range(0, len(order), LOOKED_AT):
        rows = order[start : start + LOOKED_AT].tolist()
        for row, text in zip(rows, cells_at(corpus.texts, rows), strict=True):
            if len(first) < most and (text if text.strip() else "") not in besides:
                first.setdefault(text, row)
        if len(first) == most:
            break

    def name(codes: NDArray[np.integer] | None, row: int) -> str | None:
        return None if codes is None or codes[row] < 0 else short(record.class_names[int(codes[row])])

    shown = list(first.values())
    ids = dict(zip(shown, cells_at(corpus.ids or [], shown if corpus.ids else []), strict=False))
    said = dict(zip(shown, cells_at(corpus.said or [], shown if corpus.said else []), strict=False))
    return [
        {
            "row": row + 1,
            "id": None if (name_of := ids.get(row)) is None else short(name_of),
            "text": cut(text),
            "said": said.get(row, ""),
            "llm": name(record.llm, row),
            "refined": name(labels, row),
            "score": f"{scores[row, labels[row]]:.3f}",
            "gold": name(corpus.gold, row),
            "truth": name(corpus.truth, row),
        }
        for text, row in first.items()
    ]


def cut(text: str) -> dict[str, object]:
    """The beginning of a text, what else is shown of it, and how long it is."""
    shown = visible(text[:LONGEST]).strip()
    end = len(shown) if len(text) <= HEAD + 40 else HEAD
    return {"head": shown[:end], "rest": shown[end:], "cut": len(text) > LONGEST, "length": f"{len(text):,}"}
