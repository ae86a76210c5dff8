"""Texts of the page: labels that changed with most confidence, and texts to check by hand next."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from silr.io.words import short, visible
from silr.refine.record import Record

MOST_CHANGED, MOST_UNSURE = 200, 100
HEAD, LONGEST = 240, 800  # characters that are shown at once, and in all: the page stays below 2 MB


def changed_texts(record: Record) -> list[dict[str, object]]:
    """Texts whose refined label is not the LLM's, the highest score first; equal texts once."""
    scores = record.best.scores
    if scores is None:
        return []
    changed = np.flatnonzero((record.llm >= 0) & (record.llm != record.best.labels))
    top = scores[changed].max(axis=1)
    return _rows(record, changed[np.argsort(-top, kind="stable")].tolist(), MOST_CHANGED)


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
    known = {texts[row] for row in np.flatnonzero(gold >= 0)}
    wanted = (row for row in order.tolist() if texts[row].strip() and texts[row] not in known)
    return _rows(record, wanted, MOST_UNSURE)


def _rows(record: Record, order: Iterable[int], most: int) -> list[dict[str, object]]:
    """The first rows with different texts."""
    corpus, labels, scores = record.corpus, record.best.labels, record.best.scores
    if corpus is None or scores is None:
        return []
    first: dict[str, int] = {}
    for row in order:
        first.setdefault(corpus.texts[row], row)
        if len(first) == most:
            break

    def name(codes: NDArray[np.integer] | None, row: int) -> str | None:
        return None if codes is None or codes[row] < 0 else short(record.class_names[int(codes[row])])

    return [
        {
            "row": row + 1,
            "id": short(corpus.ids[row]) if corpus.ids and corpus.ids[row] is not None else None,
            "text": cut(text),
            "said": corpus.said[row] if corpus.said else "",
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
