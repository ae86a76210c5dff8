"""What is known of the LLMs that labelled a table: a record of each, in the ``labelled.annotator.json`` beside it.

The record of the LLM without name makes up the file, as of old. Those of LLMs with names are in its `annotators`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from silr.errors import InputError
from silr.io.corpus import annotator_path, features_path
from silr.io.files import Json, write_json

NAMED = "annotators"
STATES = "states_by"  # in a record: the annotator that made the hidden states, where another one gave the labels
FEATURES = ".features.npy"


def read_records(table: str | Path) -> dict[str, Json]:
    """The records of a table's LLMs by their names, "" for the one without; none if there is no file."""
    return _read(annotator_path(table))


def write_records(table: str | Path, records: Mapping[str, Json]) -> None:
    """Write the records of a table's LLMs, atomically."""
    named = {name: record for name, record in records.items() if name}
    write_json(annotator_path(table), {**records.get("", {}), **({NAMED: named} if named else {})})


def named_features_path(features: Path, name: str) -> Path:
    """Where the hidden states of an LLM with a name lie: "labelled.qwen.features.npy"."""
    return features.with_name(features.name.removesuffix(FEATURES) + f".{name}{FEATURES}") if name else features


def states_of(table: str | Path) -> list[Path]:
    """The files of hidden states beside a table: that of the LLM without name, and those of its other LLMs."""
    first = features_path(table)
    names = ["", *(name for name in read_records(table) if name)]
    return [path for name in names if (path := named_features_path(first, name)).exists()]


def record_of_features(features: Path) -> Json | None:
    """The record that ``<stem>.features.npy`` or ``<stem>.NAME.features.npy`` belongs to; None if unknown."""
    if not features.name.endswith(FEATURES):
        return None
    for stem, name in _parts(features.name.removesuffix(FEATURES)):
        record = _read(features.with_name(f"{stem}.annotator.json")).get(name)
        if record is not None:
            return record
    return None


def maker_of_features(features: Path) -> Json | None:
    """The description of the annotator that made a features file, which may be another one than that of the labels."""
    record = record_of_features(features)
    maker: Json | None = None if record is None else record.get(STATES, record)
    return maker


def _parts(stem: str) -> Iterator[tuple[str, str]]:
    """A stem as it is, and divided into stem and name at each of its points."""
    yield stem, ""
    for place, sign in reversed([*enumerate(stem)]):
        if sign == "." and 0 < place < len(stem) - 1:
            yield stem[:place], stem[place + 1 :]


def _read(path: Path) -> dict[str, Json]:
    if not path.is_file():
        return {}
    try:
        record: Json = json.loads(path.read_bytes())
        named = {str(name): dict(each) for name, each in dict(record.pop(NAMED, {})).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; annotate again or delete it") from error
    return ({"": record} if record else {}) | named
