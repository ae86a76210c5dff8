"""Features of an earlier annotation that stay beside the table: the new labels do not say who made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from silr.annotators.embed import EMBEDDINGS
from silr.io.annotator_records import STATES
from silr.io.files import Json

_OF_LABELS = ("counts", STATES)  # in a record


def kept_maker(features: Path, before: Json | None, identity: Mapping[str, object]) -> Json:
    """What a new record keeps of the maker of a features file that the annotation leaves as it is.

    Features belong to texts, whoever labels these. So they stay, and `silr refine` finds their rows by text. New texts
    must be read by the annotator that made them, with its prompt.

    Parameters
    ----------
    features : Path
        The file.
    before : dict or None
        The record of the annotation before, of the same table and name.
    identity : mapping
        That of the annotator now; see `silr.annotators.base.identity_of`.
    """
    if before is None or not features.exists():
        return {}
    if EMBEDDINGS in before:
        return {EMBEDDINGS: before[EMBEDDINGS]}
    maker = before.get(STATES) or (before if before.get("kind") == "local" else None)
    if maker is None or all(maker.get(name) == value for name, value in identity.items()):
        return {}
    return {STATES: {name: value for name, value in maker.items() if name not in _OF_LABELS}}
