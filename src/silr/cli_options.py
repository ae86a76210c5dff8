"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from silr.cli_warnings import hush


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Let the shell complete an option's value to one of these."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


Run = Annotated[Path, typer.Argument(help="Run directory of refine.", show_default=False)]
Table = Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet, gzip or not.", show_default=False)]
TextColumn = Annotated[str, typer.Option(help="Column with the texts.")]
Device = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, ...; by default the GPU if there is one.",
        autocompletion=one_of("cpu", "cuda", "mps"),
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", callback=hush)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
