"""The command `silr init`: five questions about a table, and the commands for it as a script."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer import Argument, Option

from silr.cli.annotate_options import DEFAULT_MODEL
from silr.cli.options import choice, split_classes
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.cli.init_script import Plan

LABELLERS = ("local", "api", "table")
GOALS = ("labels", "classifier", "share")
NUMBER, ENOUGH = 100, 50  # labels by hand that are proposed; so many that are there already will do
INTERRUPTED = 130
FEWEST = 10  # of which a share is estimated
OPENAI = "https://api.openai.com/v1"
LABELLER_HELP = (
    "Who gives the many labels. local: a language model on this machine. api: one behind a server. table: they are in "
    "the table already."
)
GOAL_HELP = "labels of all texts; a classifier, for new texts; or the share of each class, with an interval."

Asked = Annotated[Path | None, Argument(metavar="[TABLE]", help="csv, tsv, jsonl or parquet, gzip or not.")]
Output = Annotated[Path, Option("--output", "-o", help="The script. One that is there is not written over.")]
TextColumn = Annotated[str | None, Option(help="Column with the texts; default: text, if it is there.")]
LabelColumn = Annotated[str | None, Option(help="Column with the labels; default: llm_label and llm_label_NAME.")]
Labeller = Annotated[str | None, choice(LABELLER_HELP, *LABELLERS)]
Model = Annotated[str | None, Option(help="Hub name, model folder or .gguf file, or the server's name for it.")]
BaseUrl = Annotated[str | None, Option(help=f"The server; default {OPENAI}.")]
Question = Annotated[str | None, Option(help='Such as "Is this review positive or negative?".')]
Classes = Annotated[list[str] | None, Option(help="--classes negative positive, or negative,positive.")]
Number = Annotated[int | None, Option("--number", "-n", min=0, help="Labels by hand, those there included.")]
Goal = Annotated[str | None, choice(GOAL_HELP, *GOALS)]
Value = TypeVar("Value")


def init(
    table: Asked = None,
    output: Output = Path("silr.sh"),
    text_column: TextColumn = None,
    annotator: Labeller = None,
    model: Model = None,
    base_url: BaseUrl = None,
    question: Question = None,
    label_column: LabelColumn = None,
    classes: Classes = None,
    number: Number = None,
    want: Goal = None,
) -> None:
    """Write the commands for a table as a small script, after five questions.

    Which table? Who labels its texts? Which classes are there? How many labels by hand? What is wanted? An option
    answers a question beforehand.
    """
    from silr.cli.init_look import look
    from silr.cli.init_script import script
    from silr.io.files import atomic_write

    _check_output(output)
    options = locals() | {"annotator": "api" if base_url is not None and annotator is None else annotator}
    options["classes"] = classes or None
    named = {"TABLE": "table", "--annotator": "annotator", "--classes": "classes", "-n": "number", "--want": "want"}
    missing = [name for name, key in named.items() if options[key] is None]
    if missing and not sys.stdin.isatty():
        if table is not None:
            look(table)  # what is wrong with it comes first
        raise InputError(f"there is no terminal to ask on: give {', '.join(missing)} (see silr init --help)")
    try:
        plan = _plan(options, Asker(bool(missing)))
    except typer.Abort:  # Ctrl-C, or Ctrl-D in the place of an answer
        print("\nsilr: interrupted; nothing is written, and the same command asks again", file=sys.stderr)
        sys.exit(INTERRUPTED)
    with atomic_write(output) as file:
        file.write(script(plan, output).encode())
    print(f"written: {output}\nRead it, change what you like, and run it: sh {shlex.quote(str(output))}")


class Asker:
    """Asks for what no option says; where the options answer all five questions, defaults answer the others."""

    def __init__(self, asks: bool) -> None:
        self.asks = asks

    def __call__(self, given: Any, read: Callable[[Any], Value], question: str, default: str | None) -> Value:
        """What was given, or the answer, as `read` makes it; where that raises an InputError it asks again."""
        if given is not None:
            return read(given)
        if not self.asks:
            return read(default)

        def checked(answer: str) -> Value:
            try:
                return read(answer)
            except InputError as error:
                raise typer.BadParameter(str(error)) from None

        value: Value = typer.prompt(question, default=default, value_proc=checked)
        return value


def _plan(options: dict[str, Any], ask: Asker) -> Plan:
    """The answers."""
    from silr.cli.init_look import TEXT, look
    from silr.cli.init_script import Plan
    from silr.io.class_names import in_commas
    from silr.io.corpus import LABEL

    seen = ask(options["table"], look, "1. Which table?", None)
    text = options["text_column"] or (TEXT if TEXT in seen.frame.columns else None)
    text = ask(text, seen.text_named, "   Which column has the texts?", seen.text if ask.asks else TEXT)
    words = "2. Who labels the texts? A language model on this machine (local) or behind a server (api); or the labels"
    words += " are there already (table)"
    labeller = ask(options["annotator"], _one_of(LABELLERS), words, "table" if seen.labels else None)
    _check_labeller(labeller, options)
    column = None
    if labeller == "table" and (options["label_column"] or not seen.labels):
        likely = seen.likely if ask.asks else LABEL
        column = ask(options["label_column"], seen.labels_named, "   Which column has the labels?", likely)
    labels = [] if labeller != "table" else [column] if column else seen.labels
    known = seen.classes(labels)

    def read_classes(answer: str | Sequence[str]) -> list[str]:
        words = answer if not isinstance(answer, str) else [answer] if "," in answer else answer.split()
        return seen.check_classes(split_classes(words), labels)

    proposed = in_commas(known) if len(known) > 1 else None
    classes = ask(options["classes"], read_classes, "3. Which classes, with commas between?", proposed)
    llm = (None, None, None) if labeller == "table" else _llm(options, ask, labeller == "local", classes)
    included = f", the {seen.n_gold:,} in the table included" if seen.n_gold else ""
    words = f"4. How many labels by hand{included}?"
    number = ask(options["number"], _count, words, str(seen.n_gold if seen.n_gold >= ENOUGH else NUMBER))
    words = "5. What is wanted: labels, a classifier for new texts, or the share of each class for a paper?"
    want = ask(options["want"], _goal_with(max(number, seen.n_gold)), words, GOALS[0])
    return Plan(seen.path, text, labeller, classes, number, want, seen.n_gold, column, *llm)


def _llm(options: dict[str, Any], ask: Asker, is_local: bool, classes: list[str]) -> tuple[str, str | None, str]:
    """Model, server and question of the language model that labels."""
    server = None if is_local else ask(options["base_url"], str, "   At which server?", OPENAI)
    model = ask(options["model"], _named_model, "   Which model?", DEFAULT_MODEL if is_local else None)
    usual = f"Is this text {', '.join(classes[:-1])} or {classes[-1]}?"
    return model, server, ask(options["question"], str, "   What is it asked about a text?", usual)


def _check_output(output: Path) -> None:
    if output.exists():
        raise InputError(f"{output} is there already: move it away, or name another script with -o")
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")


def _check_labeller(labeller: str, options: dict[str, Any]) -> None:
    """InputError if an option would do nothing."""
    others = {
        "local": ("base_url", "label_column"),
        "api": ("label_column",),
        "table": ("base_url", "model", "question"),
    }
    for name in others[labeller]:
        if options[name] is not None:
            raise InputError(f"with --annotator {labeller} leave out --{name.replace('_', '-')}")


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(answer: str) -> str:
        if answer not in words:
            raise InputError(f"the answer must be {', '.join(words[:-1])} or {words[-1]}, not {answer!r}")
        return answer

    return read


def _goal_with(n_gold: int) -> Callable[[str], str]:
    def read(answer: str) -> str:
        if _one_of(GOALS)(answer) == "share" and n_gold < FEWEST:
            raise InputError(f"a share needs at least {FEWEST} labels by hand, better {NUMBER}")
        return answer

    return read


def _named_model(name: str | None) -> str:
    if not name:
        raise InputError("name the server's model with --model")
    return name


def _count(answer: str | int) -> int:
    try:
        number = int(answer)
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(f"the answer must be a number from 0, not {answer!r}")
    return number
