"""What an exported folder is, for its model card and for the user."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Parts:
    """Description of an exported folder."""

    library: str  # "transformers", "peft", "sentence-transformers" or "sklearn": in the words of the Hugging Face hub
    usage: str  # Python code that labels texts with the folder, DIR being its path
    base_model: str | None  # hub name or path of the model under it
    reads: str  # its input, as a sentence
    notes: list[str] = field(default_factory=list)  # for the user
