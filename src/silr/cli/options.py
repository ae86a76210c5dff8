"""Options that several commands share."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.warnings import silence
from silr.errors import InputError

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")


def split_classes(values: Sequence[str]) -> list[str]:
    """The classes that ``--classes`` names: ``a,b``, ``a b``, ``a, b``; a name with a comma stands in double quotes."""
    from silr.io.cells import label_key

    rows = csv.reader(values, skipinitialspace=True)
    names = [name.strip() for row in rows for name in row if name.strip()]
    if len(names) < 2:
        raise InputError(f"--classes must name at least two classes, got {', '.join(map(repr, names)) or 'none'}")
    twice = [name for name, count in Counter(map(label_key, names)).items() if count > 1]
    if twice:
        raise InputError(f"--classes must name the classes each once, not {twice[0]!r} twice")
    return names


def spread_classes(arguments: Sequence[str]) -> list[str]:
    """Let one --classes take several names, ``--classes a b`` for ``--classes a --classes b``; a table's path is none.

    A number below 0 is a name, too.
    """
    spread: list[str] = []
    inside = first = False
    for argument in arguments:
        if argument.startswith("-") and argument != "-" and not argument[1:2].isdigit():
            inside = argument == "--classes" or argument.startswith("--classes=")
            first = argument == "--classes"
        elif inside and not first and not _is_table(argument):
            spread.append("--classes")
        else:
            inside, first = inside and first, False
        spread.append(argument)
    return spread


def _is_table(argument: str) -> bool:
    name = argument.lower().removesuffix(".gz")
    return name.endswith(TABLES) or name.startswith("hf://") or ("." in name and Path(argument).is_file())


def choice(text: str, *values: str) -> object:
    """An option, with its help, whose value the shell completes to one of these."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return Option(help=text, autocompletion=complete)


def narrator(silent: bool) -> Callable[[str], None]:
    """A function that prints a line at once, or does nothing."""
    return (lambda line: None) if silent else partial(print, flush=True)


class TableError(Exception):
    """A table that cannot be had; no ValueError, which typer takes for a mistake in the command."""


def table_path(given: str) -> Path:
    """A table that is named on the command line; one of the hub is fetched into the cache."""
    if not given.startswith("hf:/"):
        return Path(given)
    from silr.io.hub_tables import local_table

    try:
        return local_table(given)
    except InputError as error:
        raise TableError(str(error)) from error


TABLE_HELP = "csv, tsv, jsonl or parquet, gzip or not; or hf://datasets/OWNER/NAME of the Hugging Face hub."
PIECES_HELP = (
    "csv, tsv, jsonl or parquet, gzip or not; a folder or a glob of parquet files; or hf://datasets/OWNER/NAME."
)
Run = Annotated[Path, Argument(help="Run directory of refine.")]
Table = Annotated[Path, Argument(help=TABLE_HELP, parser=table_path, metavar="TABLE")]
TableOrPieces = Annotated[Path, Argument(help=PIECES_HELP, parser=table_path, metavar="TABLE")]
TextColumn = Annotated[str, Option(help="Column with the texts.")]
Device = Annotated[str | None, choice("cpu, cuda, ...; by default the GPU if there is one.", "cpu", "cuda", "mps")]
Engine = Annotated[
    str,
    choice(
        "Who works on the pieces of a folder: local, one process; ray, the machines of the Ray cluster at RAY_ADDRESS, "
        "or the processors of this one.",
        *("local", "ray"),
    ),
]
Seed = Annotated[int, Option(min=0)]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.", callback=silence)]
Classes = Annotated[
    list[str] | None,
    Option(
        help="The classes, where a person may give one that no LLM gave: --classes negative,neutral,positive, or with "
        "blanks between. Then labels may differ from them in case. Default: those of the LLM."
    ),
]
By = Annotated[
    list[str] | None,
    Option(metavar="COLUMN", help="Column of groups: shares by group, and differences. Again for further ones."),
]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
