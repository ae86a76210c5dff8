"""What turns texts into inputs of a graph: the lines of Python that do it, beside the nodes that read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from silr.io.files import atomic_write

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZERS = "onnx_tokenizer*.json"


@dataclass(frozen=True)
class Source:
    """One kind of input, and what the graph makes of it."""

    value: str  # in the graph, shape (n, T): what the first layer of the head makes of it, or logits
    entries: dict[str, str]  # of each input, the Python that makes it of `texts`
    words: dict[str, str]  # of each input, shape and type | what it is, as cells of a table
    setup: str = ""  # Python, run once
    encode: str = ""  # Python, run for each batch of `texts`
    is_network: bool = False  # reads few texts at once


def numbered(names: list[str], number: int) -> list[str]:
    """Names of inputs: with a number, where others have them already."""
    return names if number == 1 else [f"{name}_{number}" for name in names]


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> tuple[str, int]:
    """Write a tokenizer beside others into an existing folder; the line that reads it, and its number."""
    number = len([*folder.glob(TOKENIZERS)]) + 1
    path = folder / TOKENIZERS.replace("*", f"_{number}" if number > 1 else "")
    with atomic_write(path) as file:
        file.write(tokenizer.to_str().encode())
    (name,) = numbered(["tokenizer"], number)
    return f'{name} = Tokenizer.from_file(str(HERE / "{path.name}"))', number
