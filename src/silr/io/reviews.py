"""What persons decided about gold labels that were in doubt: a journal beside the table, which stays.

Its lines name a text by a hash, so they survive rows that were added or sorted.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from silr.io.files import os_errors


def reviews_path(table: Path) -> Path:
    """Return where the decisions lie: "labelled.csv.reviews.jsonl" beside "labelled.csv"."""
    return table.with_name(f"{table.name}.reviews.jsonl")


def text_key(text: str) -> str:
    """Return the name of a text in the journal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Places:
    """Where the texts of a journal's events stand in a table now."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._keys = [text_key(text) for text in texts]
        self._first: dict[str, int] = {}
        for row, key in enumerate(self._keys):
            self._first.setdefault(key, row)

    def row(self, event: Mapping[str, Any]) -> int | None:
        """Return the row of an event's text; of equal texts its own row. None if the text is gone."""
        row, key = event.get("row"), event.get("text")
        if isinstance(row, int) and 0 <= row < len(self._keys) and self._keys[row] == key:
            return row
        return self._first.get(str(key))


def decisions(events: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> dict[int, str]:
    """Return the class that was decided last, by row."""
    found: dict[int, str] = {}
    if not events:
        return found
    places = Places(texts)
    for event in events:
        if (row := places.row(event)) is None:
            continue
        if event.get("do") == "label":
            found[row] = str(event.get("gold"))
        elif event.get("do") == "undo":
            found.pop(row, None)
    return found


def read_decisions(tables: Sequence[Path], texts: Sequence[str]) -> dict[int, str]:
    """Return the decisions beside one of several tables of the same texts; {} where there are none.

    A damaged line is passed over: this only keeps texts from being listed twice.
    """
    events: list[dict[str, Any]] = []
    for path in map(reviews_path, tables):
        if not path.is_file():
            continue
        with os_errors(f"cannot read {path}"):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
    return decisions(events, texts)
