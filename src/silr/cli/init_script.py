"""The script that `silr init` writes: commands with comments, for any POSIX shell."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from silr.io.class_names import in_commas
from silr.io.corpus import table_stem

WIDTH = 100  # of a line, where names allow
HEAD = """\
#!/bin/sh
# Written by silr init. Run it: sh {name}
# It stops at a command that fails, and at Ctrl-C. Run it again, and it goes on there.
# It needs: pip install {package}
set -eu
cd -- "$(dirname -- "$0")"
"""
KEY = "Its key goes into the environment: export OPENAI_API_KEY=..."
DRY_RUN = "With --dry-run the command says what it asks and costs, and sends nothing."
LABEL = """\
You label {number:,} of the texts by hand, on a page in the browser; over ssh add --terminal.
The labels go into {where}, columns gold and gold_weight."""
THERE = "The table has {n_gold:,} labels by hand (column gold). More of them: silr label {table} -n NUMBER"
NO_GOLD = "Without labels by hand nobody can tell whether refined labels are better: 50 to 100 are worth the time."
REFINE = """\
Better labels: {run}/labels.csv, column refined_label. {run}/report.html says how good they are.
After more labels by hand refine into another folder: a finished run stays as it is."""
EXPORT = "The classifier, as a folder that needs no silr; {folder}/README.md says how to load it."
PREDICT = """\
New texts, in a table with the same column of texts:
{command}"""
SHARES = "The share of each class with its 95 % interval. By groups: add --by COLUMN."


@dataclass(frozen=True)
class Plan:
    """The answers to the questions of `silr init`.

    `number` labels by hand are wanted, those in the table (`n_gold`) included. `label_column` is None for the usual
    columns. The last three are for labellers "local" and "api".
    """

    table: Path
    text_column: str
    labeller: str
    classes: list[str]
    number: int
    goal: str
    n_gold: int = 0
    label_column: str | None = None
    model: str | None = None
    base_url: str | None = None
    question: str | None = None


def script(plan: Plan, output: Path) -> str:
    """The text of a script that lies at `output`; paths in it go from there, and what it makes lies beside it."""
    table = _from(output.parent, plan.table)
    stem = _word(table_stem(plan.table))
    run, labelled = f"{stem}-run", f"{stem}-labelled{plan.table.name.removeprefix(table_stem(plan.table))}"
    texts = [] if plan.text_column == "text" else ["--text-column", plan.text_column]
    columns = [*texts, *([] if plan.label_column is None else ["--label-column", plan.label_column])]
    classes = ["--classes", in_commas(plan.classes)]
    steps, extras = [], []
    if plan.labeller != "table":
        steps.append(_annotate(plan, table, labelled, [*classes, *texts], output.parent))
        extras.append(plan.labeller)
        table = labelled
    if plan.number > plan.n_gold:
        words = LABEL.format(number=plan.number, where=shlex.quote(table))
        steps.append((words, _command(["silr", "label", table, "-n", str(plan.number)], [*classes, *columns])))
        extras.append("label")
    refine = _command(["silr", "refine", table, "-o", run], [*classes, *columns])
    steps.append((_gold(plan, table) + REFINE.format(run=shlex.quote(run)), refine))
    if plan.goal == "classifier":
        steps += _classifier(run, f"{stem}-classifier")
        extras.append("export")
    if plan.goal == "share":
        shares = shlex.quote(f"{stem}-shares.tex")
        estimate = _command(["silr", "estimate", run])
        steps.append((SHARES, f"{estimate}\n{estimate} --latex >{shares}"))
    package = f"'silr[{','.join(extras)}]'" if extras else "silr"
    parts = [HEAD.format(name=shlex.quote(output.name), package=package)]
    for number, (words, command) in enumerate(steps, start=1):
        parts.append(f"{_comment(f'{number}. {words}')}\n{command}\n")
    if plan.goal == "classifier":
        new = [*texts, "-o", "scored.csv"]
        parts.append(_comment(PREDICT.format(command=_command(["silr", "predict", run, "new.csv", *new]))) + "\n")
    return "\n".join(parts)


def _annotate(plan: Plan, table: str, labelled: str, options: list[str], folder: Path) -> tuple[str, str]:
    model = str(plan.model)
    words = f"The LLM labels every text. {DRY_RUN}"
    if plan.labeller == "api":
        words += f"\n{KEY}"
        asked = ["--base-url", str(plan.base_url), "--model", model]
    else:
        asked = ["--model", _from(folder, Path(model)) if Path(model).exists() else model]
    command = _command(["silr", "annotate", table, "-o", labelled], asked, options, ["--question", str(plan.question)])
    return words, _unless(labelled, command)


def _classifier(run: str, folder: str) -> list[tuple[str, str]]:
    command = _command(["silr", "export", run, folder])
    return [(EXPORT.format(folder=shlex.quote(folder)), _unless(folder, command))]


def _gold(plan: Plan, table: str) -> str:
    """What is said of labels by hand where the script asks for none."""
    if plan.number > plan.n_gold:
        return ""
    words = THERE.format(n_gold=plan.n_gold, table=shlex.quote(table)) if plan.n_gold else NO_GOLD
    return f"{words}\n"


def _unless(path: str, command: str) -> str:
    """A command that is passed over where what it makes is there."""
    return f"[ -e {shlex.quote(path)} ] ||\n    " + command.replace(" \\\n", " \\\n    ")


def _command(*lines: list[str]) -> str:
    """A command, on one line where that is short, else with some of its words on each."""
    parts = [shlex.join(words) for words in lines]
    return " ".join(parts) if sum(map(len, parts)) + len(parts) <= WIDTH else " \\\n    ".join(parts)


def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def _from(folder: Path, path: Path) -> str:
    """The path of a file as seen from a folder."""
    return _word(str(path) if path.is_absolute() else os.path.relpath(path, folder))


def _word(name: str) -> str:
    """A file name that no command takes for an option."""
    return f"./{name}" if name.startswith("-") else name
