"""Who gave the LLM's labels: the record of the annotation, which lies beside the table that was refined."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from silr.errors import InputError
from silr.io.corpus import annotator_path
from silr.io.files import Json
from silr.io.words import short
from silr.report.record import Record

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
    about = _read(record)
    rows: Json = {shown: about[name] for name, shown in _SHOWN.items() if about.get(name) not in (None, [], {})}
    if snapshots := _snapshots(about):
        rows["answered by"] = "; ".join(f"{name}: {count:,} answers" for name, count in snapshots[:_MOST_NAMED])
        if len(snapshots) > _MOST_NAMED:
            rows["answered by"] += f"; and {len(snapshots) - _MOST_NAMED} more"
    if dates := _dates(about):
        rows["asked"] = " to ".join(dates)
    return rows


def in_a_sentence(record: Record) -> str | None:
    """The same in a few words, where it is known."""
    about = _read(record)
    if not isinstance(about.get("model"), str):
        return None
    names = [name for name, _ in _snapshots(about) if name != _UNKNOWN]
    words = f"The LLM's labels are those of {short(about['model'])}"
    if len(names) > 1:
        words += f", of which {len(names)} snapshots answered"
    elif names and names[0] != about["model"]:
        words += f" (answered by {short(names[0])})"
    if isinstance(about.get("server"), str):
        words += f" at {short(about['server'])}"
    if dates := _dates(about):
        days = list(dict.fromkeys(date[:10] for date in dates))
        words += f", {' to '.join(days)}"
    return f"{words}."


def _read(record: Record) -> Json:
    """The record, if it can be of the labels that the run had: rows may be gone since, labels cannot be more."""
    if record.table is None:
        return {}
    try:
        about = json.loads(annotator_path(record.run.folder / record.table["table"]).read_text(encoding="utf-8"))
        counted = {str(name): int(count) for name, count in about["counts"]["labels"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return {}
    has = Counter(record.class_names[code] for code in record.llm if code >= 0)
    one = len(record.run.manifest["identity"].get("annotators", [""])) == 1
    return about if not one or all(count <= counted.get(name, 0) for name, count in has.items()) else {}


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
