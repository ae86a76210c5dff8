"""The command line: parses, calls, prints. Heavy imports stay inside the commands, so that `--help` answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from silr import __version__
from silr.cli import warnings as cli_warnings
from silr.cli.align import align, sample
from silr.cli.annotate import annotate
from silr.cli.codebook import app as codebook
from silr.cli.estimate import estimate
from silr.cli.export import export
from silr.cli.help import Command
from silr.cli.init import init
from silr.cli.label import label
from silr.cli.options import AsJson, Classes, Table, TableError, split_classes, spread_classes
from silr.cli.predict import predict
from silr.cli.refine import refine
from silr.cli.report import report
from silr.errors import InputError
from silr.hf.distributed import is_main

app = typer.Typer(
    help="Turn the cheap, biased labels of an LLM into better labels and a better classifier.\n\n"
    "A first look: **silr demo**. On your own table: **init** writes the commands as a script. They **annotate** it, "
    "**label** 50 to 100 texts by hand, and **refine** it (which ends with a **report**). Then **predict** new texts, "
    "**export** the classifier, or **align** a language model with it.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = 130
_UsageError: Any = typer.BadParameter.__base__  # typer's own or click's, as its version has it


def main() -> None:
    """Run the command line: exit code 0 done, 2 bad input or usage (one line on stderr), 130 interrupted."""
    cli_warnings.install()
    try:
        code = app(spread_classes(sys.argv[1:]), standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # here an error can still be said in one line
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _UsageError as error:
        if not error.format_message():  # `silr` alone has printed the help
            sys.exit(2)
        command = error.ctx.command_path if error.ctx else "silr"
        _fail(f"{error.format_message().replace(': Value error, ', ': ')} (see {command} --help)", 2)
    except (InputError, TableError) as error:
        _fail(str(error), 2)
    except BrokenPipeError:
        _drop_output()
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if not _drop_output("\n"):  # an error of something else, which a line more does no harm to
            raise
        _fail(f"cannot write to standard output: {error.strerror or error}", 2)
    if code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt, without a word
        _fail("interrupted; the same command goes on where it stopped", code)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _silr(version: Annotated[bool, Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"silr {__version__}")
        raise typer.Exit


app.command(cls=Command)(init)
app.command(cls=Command)(annotate)
app.command(cls=Command)(label)
app.add_typer(codebook, name="codebook")
app.command(cls=Command)(refine)
app.command(cls=Command)(predict)


@app.command(cls=Command)
def evaluate(
    table: Table,
    truth: Annotated[str | None, Option(help="Column with the true labels; default: the gold labels.")] = None,
    gold_column: Annotated[str, Option(help="Column with labels by hand.")] = "gold",
    classes: Classes = None,
    as_json: AsJson = False,
) -> None:
    """Accuracy, macro-F1 and confusion of the LLMs' labels and of refined_label against a truth column.

    Rows with a gold label are left out: there the refined label is that label, and no merit of the refinement. Without
    --truth the LLMs are compared by the gold labels: accuracy, paired differences, agreement, and what a thousand texts
    cost.
    """
    from silr.report.compare import compare_file, print_comparison
    from silr.report.evaluate import evaluate_file, print_evaluation

    named = split_classes(classes) if classes else None
    if truth is None:
        print_comparison(compare_file(table, gold_column=gold_column, classes=named), as_json=as_json)
        return
    print_evaluation(evaluate_file(table, truth, gold_column=gold_column, classes=named), as_json=as_json)


app.command(cls=Command)(estimate)
app.command(cls=Command)(report)
app.command(cls=Command)(export)
app.command(cls=Command)(sample)
app.command(cls=Command)(align)


@app.command()
def demo(
    output: Annotated[Path, Option("--output", "-o", help="Folder for all that the demo makes.")] = Path("silr-demo"),
) -> None:
    """Watch a small LLM label 3,610 product reviews badly, and silr turn its labels into good ones."""
    from silr.cli.demo import run_demo

    run_demo(output)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _drop_output(more: str = "") -> bool:
    """Whether standard output takes no more; then what is left of it goes nowhere, as Python would try once more."""
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(more)
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False


def _fail(message: str, code: int) -> None:
    _drop_output()
    if is_main():
        _say(f"silr: {' '.join(message.split())}")
    sys.exit(code)
