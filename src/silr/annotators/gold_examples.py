"""Texts that the LLM reads with their label must not be gold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.errors import InputError
from silr.io import corpus
from silr.io.codebook import check_gold, codebook_of_record, text_key

if TYPE_CHECKING:
    import pandas as pd


def check_examples(identity: Mapping[str, Any], frame: pd.DataFrame, texts: list[str], source: str | Path) -> None:
    """Refuse gold texts that are examples in the prompt: their labels would judge answers that the LLM was given."""
    labels = corpus.label_column(frame, "gold", source, required=False)
    known = [row for row, label in enumerate(labels) if label is not None]
    check_gold(codebook_of_record(identity.get("codebook")), texts, known, source)
    shown = {text_key(str(text)) for text, _ in identity.get("examples") or ()}
    if rows := [row for row in known if shown and text_key(texts[row]) in shown]:
        raise InputError(
            f"{source}, row {rows[0] + 1:,}: this text has a gold label and is an example in the prompt (--few-shot); "
            "take another example, or clear its gold label"
        )
