"""What an exported folder is, for its model card and for the user."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Parts:
    """An exported folder.

    Attributes
    ----------
    library : {"transformers", "peft", "sentence-transformers", "sklearn"}
        In the words of the Hugging Face hub.
    usage : str
        Python code that labels texts with the folder, DIR being its path.
    base_model : str or None
        Hub name or path of the model under it.
    reads : str
        What it reads, as a sentence.
    notes : list of str
        What the user should know.
    """

    library: str
    usage: str
    base_model: str | None
    reads: str
    notes: list[str] = field(default_factory=list)
