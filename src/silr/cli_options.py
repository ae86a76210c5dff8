"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Table = Annotated[Path, typer.Argument(help="csv, tsv, jsonl or parquet, gzip or not.", show_default=False)]
TextColumn = Annotated[str, typer.Option(help="Column with the texts.")]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, ...; by default the GPU if there is one.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
