"""Who gave the LLM's labels: the record of the annotation, which lies beside the table that was refined."""

from __future__ import annotations

from collections import Counter
from typing import Any

from silr.errors import InputError
from silr.io.annotator_records import read_records
from silr.io.corpus import LABEL
from silr.io.files import Json
from silr.io.words import short
from silr.refine.record import Record

_SHOWN = {  # names in the record, and on the page
    "model": "model",
    "server": "server",
    "api_version": "version of the API",
    "question": "question",
    "prompt": "prompt",
    "samples": "answers a text",
    "parameters": "parameters",
    "left_out": "not taken by the server",
    "headers": "further headers",
}
_MOST_NAMED, _UNKNOWN = 5, "unknown"


def annotation(record: Record) -> Json:
    """Names and values of the annotation as the page shows them; none if there is no record of these labels."""
    several = _several(record)
    about = {} if several else _read(record)
    rows: Json = {shown: about[name] for name, shown in _SHOWN.items() if about.get(name) not in (None, [], {})}
    if snapshots := _snapshots(about):
        rows["answered by"] = "; ".join(f"{name}: {count:,} answers" for name, count in snapshots[:_MOST_NAMED])
        if len(snapshots) > _MOST_NAMED:
            rows["answered by"] += f"; and {len(snapshots) - _MOST_NAMED} more"
    if dates := _dates(about):
        rows["asked"] = " to ".join(dates)
    return rows | {column: in_words for column, each in several.items() if (in_words := _sentence(each))}


def in_a_sentence(record: Record) -> str | None:
    """The same in a few words, where it is known, of a run with one LLM."""
    words = None if _several(record) else _sentence(_read(record))
    return words and f"The LLM's labels are those of {words}."


def _sentence(about: Json) -> str | None:
    """Model, server and dates."""
    if not isinstance(about.get("model"), str):
        return None
    names = [name for name, _ in _snapshots(about) if name != _UNKNOWN]
    words = short(about["model"])
    if len(names) > 1:
        words += f", of which {len(names)} snapshots answered"
    elif names and names[0] != about["model"]:
        words += f" (answered by {short(names[0])})"
    if isinstance(about.get("server"), str):
        words += f" at {short(about['server'])}"
    if dates := _dates(about):
        days = list(dict.fromkeys(date[:10] for date in dates))
        words += f", {' to '.join(days)}"
    return words


def _several(record: Record) -> dict[str, Json]:
    """The records of several LLMs by their label columns; none for a run with one."""
    columns = [] if record.table is None else record.table["columns"]["labels"]
    if record.table_path is None or len(columns) < 2:
        return {}
    try:
        records = read_records(record.table_path)
    except InputError:
        return {}
    return {column: records.get(_llm(column), {}) for column in columns}


def _llm(column: str) -> str:
    """The name of the LLM with this label column."""
    return column.removeprefix(f"{LABEL}_") if column.startswith(f"{LABEL}_") else ""


def _read(record: Record) -> Json:
    """The record, if it can be of the labels that the run had: rows may be gone since, labels cannot be more."""
    if record.table is None or record.table_path is None:
        return {}
    (column,) = record.table["columns"]["labels"] or [LABEL]
    try:
        records = read_records(record.table_path)
        about = records[_llm(column)]
        counted = {str(name): int(count) for name, count in about["counts"]["labels"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return {}
    has = Counter(record.class_names[code] for code in record.llm if code >= 0)
    return about if all(count <= counted.get(name, 0) for name, count in has.items()) else {}


def _snapshots(about: Json) -> list[tuple[str, int]]:
    """What is said of each snapshot that answered, and how many answers it gave."""
    try:
        return [(_name(each), int(each["answers"])) for each in about.get("snapshots", ())]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _name(snapshot: dict[str, Any]) -> str:
    more = ", ".join(str(snapshot[name]) for name in ("system_fingerprint", "provider") if snapshot.get(name))
    return (str(snapshot.get("model") or _UNKNOWN)) + (f" ({more})" if more else "")


def _dates(about: Json) -> list[str]:
    asked = about.get("requests")
    dates = [asked.get(name) for name in ("first", "last")] if isinstance(asked, dict) else []
    return [str(date) for date in dates if date]
