"""The commands `silr codebook init` and `silr codebook check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from silr.cli.help import Command
from silr.cli.options import Classes, Quiet, Seed, Table, TextColumn, narrator, split_classes, table_path
from silr.errors import InputError

app = typer.Typer(
    help="Write and check a codebook: what each class means, for the LLM and for people.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
LabelColumn = Annotated[str, Option(help="Column with an LLM's labels; by default also every llm_label_NAME.")]


@app.command(cls=Command)
def init(
    table: Table,
    output: Annotated[Path, Option("--output", "-o", help="Where the codebook goes.")] = Path("codebook.yaml"),
    force: Annotated[bool, Option("--force", help="Overwrite a file that is there.")] = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "llm_label",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Write a first codebook of a table with labels, to be filled in.

    Classes are those of the labels of all LLMs and of the gold labels. Examples are short texts without a gold label.
    """
    from silr.io.codebook_draft import draft_codebook
    from silr.io.files import atomic_write

    if output.exists() and not force:
        raise InputError(f"{output} is there already: --force overwrites it, -o names another file")
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")
    draft = draft_codebook(table, output, text=text_column, label=label_column, seed=seed)
    with atomic_write(output) as file:
        file.write(draft.text.encode())
    say = narrator(quiet)
    say(f"written: {output} with {len(draft.classes)} classes and {draft.n_examples} examples")
    say("to fill in: each definition, and what is in and out; check the examples, whose labels are the LLM's")
    say(f"then: silr codebook check {output} {table}")


@app.command(cls=Command)
def check(
    file: Annotated[Path, Argument(help="The codebook, YAML.")],
    table: Annotated[Path | None, Argument(help="A table that it is for.", parser=table_path)] = None,
    classes: Classes = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "llm_label",
    quiet: Quiet = False,
) -> None:
    """Check a codebook, and show it as the LLM reads it.

    With a table its classes are compared, and no text with a gold label may be an example.
    """
    from silr.io.codebook import Codebook

    codebook = Codebook.read(file)
    named = split_classes(classes) if classes else None
    if named:
        codebook.check_classes(named, "--classes")
    if table is not None:
        _check_table(codebook, table, named, text_column, label_column)
    say = narrator(quiet)
    if codebook.question:
        say(f"{codebook.question}\n")
    say(codebook.text())
    empty = [each.name for each in codebook.classes if not each.definition and not each.is_none]
    if empty:
        from silr.io.class_names import listed

        say(f"\nwithout a definition: {listed(empty)}")


def _check_table(codebook: object, table: Path, classes: list[str] | None, text: str, label: str) -> None:
    """Refuse a codebook with other classes than a table, or with a gold text as an example."""
    from silr.io.codebook import Codebook, check_gold
    from silr.io.codebook_draft import columns_of
    from silr.io.codebook_table import classes_of
    from silr.io.corpus import LABEL, label_column, read_table, text_column

    assert isinstance(codebook, Codebook)
    frame = read_table(table)
    texts = text_column(frame, text, table)
    columns = columns_of(frame, label)
    if label != LABEL:
        label_column(frame, label, table)  # refuses a column that is named but absent
    gold = label_column(frame, "gold", table, required=False)
    if any(name in frame.columns for name in columns) or any(gold):
        classes_of(codebook, frame, columns, table, classes)
    check_gold(codebook, texts, [row for row, each in enumerate(gold) if each is not None], table)
