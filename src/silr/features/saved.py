"""The features of a run, as they were saved."""

from pathlib import Path

from silr.features.api import KIND as API
from silr.features.api import load_api
from silr.features.base import Features
from silr.features.file import FileFeatures
from silr.features.joined import JoinedFeatures
from silr.features.sentence import SentenceFeatures
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.hf.fingerprint import WEIGHTS
from silr.io.files import Json


def load_saved(record: Json, folder: Path) -> Features:
    """The features of a run, from its record and its folder."""
    if record["kind"] == "joined":
        joined = JoinedFeatures([load_saved(part, folder) for part in record["parts"]])
        joined.read_widths(folder)
        return joined
    if record["kind"] == "tfidf":
        return TfidfFeatures.load(folder)
    if record["kind"] == "tokens":
        from silr.hf.tokens import TokenFeatures

        return TokenFeatures(record["model"], record["max_length"], record.get("prompt"), record.get(WEIGHTS))
    if record["kind"] == "static":
        return StaticFeatures(record["model"], record.get(WEIGHTS))
    if record["kind"] == API:
        return load_api(record, folder)
    if record["kind"] == "file":
        return FileFeatures(None, record)
    return SentenceFeatures(record["model"], record.get(WEIGHTS))
