"""What an LLM says beside its label: how sure it is, and why."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.io.files import Json

LONGEST_REASON = 300  # characters


@dataclass(frozen=True)
class Said:
    """A confidence from 0 to 1, None if none could be read, and a reason in one line, "" if there is none."""

    confidence: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, answers: Sequence[Said]) -> Said:
        """What several answers with the same label say: the mean of their confidences, and the first reason."""
        known = [answer.confidence for answer in answers if answer.confidence is not None]
        reasons = (answer.reason for answer in answers if answer.reason)
        return cls(round(sum(known) / len(known), 4) if known else None, next(reasons, ""))


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """A text in one line, without control characters, cut at a word where it is too long."""
    printable = "".join(" " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text)
    line = " ".join(printable.split())
    if len(line) <= longest:
        return line
    head = line[: longest - 1]
    return (head.rpartition(" ")[0] if " " in head[longest // 2 :] else head).rstrip(" ,;:") + "…"


class SaidFile:
    """What was said of texts, and in which form, as it comes: an object of JSON a line.

    A line that a kill tore is taken away when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._form = path, ""
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                with path.open("r+b") as file:
                    file.truncate(whole)

    def add(self, said: Mapping[int, Said | None], form: str | None) -> None:
        """Add what was said of texts by their numbers; the form of the answers is kept where it is new."""
        lines: list[dict[str, object]] = []
        if form is not None and form != self._form:
            lines.append({"form": form})
            self._form = form
        for number, one in said.items():
            if one is not None:
                lines.append({"text": number, "confidence": one.confidence, "reason": one.reason})
        if lines:
            with self._path.open("ab") as file:
                file.write("".join(f"{json.dumps(line)}\n" for line in lines).encode())

    def read(self) -> dict[int, Said]:
        """Return what was said of each text; the later counts."""
        return {line["text"]: Said(line["confidence"], line["reason"]) for line in self._lines() if "text" in line}

    def form(self) -> str | None:
        """Return the form of the answers, None if it is not known."""
        return next((str(line["form"]) for line in reversed(self._lines()) if "form" in line), None)

    def _lines(self) -> list[Json]:
        return [json.loads(line) for line in self._path.read_bytes().splitlines()] if self._path.exists() else []


def said_columns(
    said: Mapping[int, Said], where: NDArray[np.int64], labelled: NDArray[np.bool_]
) -> dict[str, NDArray[np.object_] | NDArray[np.float64]]:
    """Columns "confidence" and "reason", each only if something is in it, row for row.

    `where` (n,) has the number of each row's text, and `labelled` (n,) whether it has a label.
    """
    rows = [said.get(int(number), Said()) if known else Said() for number, known in zip(where, labelled, strict=True)]
    confidence = np.array([np.nan if row.confidence is None else row.confidence for row in rows])
    reason = np.array([row.reason or None for row in rows], dtype=object)
    columns: Iterable[tuple[str, NDArray[np.object_] | NDArray[np.float64], bool]] = (
        ("confidence", confidence, bool(np.isfinite(confidence).any())),
        ("reason", reason, any(row.reason for row in rows)),
    )
    return {name: values for name, values, is_there in columns if is_there}
