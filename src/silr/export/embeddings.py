"""Embeddings of a server in an exported folder: the record that names it, and the lines that ask it."""

from __future__ import annotations

from pathlib import Path

from silr.features.api import ApiFeatures, file_name
from silr.features.base import Features
from silr.features.file import server_of


class Asked:
    """A kind of features that a server computes, as the card of an exported folder tells of it."""

    def __init__(self, features: ApiFeatures, folder: Path) -> None:
        """Write the record into an existing folder."""
        features.save(folder)
        record = features.record
        self.file, self.model, server = file_name(record), record["model"], record["server"]
        width = f", dimensions={record['dimensions']}" if "dimensions" in record else ""
        self.imports = "from openai import OpenAI\n"
        self.call = (
            f"[e.embedding for e in sorted(OpenAI(base_url={server!r}).embeddings.create(model={self.model!r}, "
            f"input=texts{width}).data, key=lambda e: e.index)]"
        )
        self.reads = f"It reads plain texts; {self.model} at {server} is asked for their embeddings."
        self.note = f"{self.model} at {server} is asked for embeddings whenever the folder labels texts"

    @classmethod
    def of(cls, part: Features | None, folder: Path) -> Asked | None:
        """None of features that no server computes."""
        features = server_of(part)
        return None if features is None else cls(features, folder)
