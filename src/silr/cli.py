"""The command line: parses, calls, prints. Heavy imports stay inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from silr import __version__
from silr.cli_annotate import annotate
from silr.cli_label import label
from silr.cli_options import AsJson, Device, Quiet, Table, TextColumn
from silr.cli_report import report, report_of_finished
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.run import Iteration

app = typer.Typer(
    help="Turn the cheap, biased labels of an LLM into better labels and a better classifier.\n\n"
    "A first look: [bold]silr demo[/bold]. On your own table: [bold]annotate[/bold], label 50 to 100 texts by hand in "
    "a column gold, then [bold]refine[/bold].",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = 130
_UsageError: Any = typer.BadParameter.__base__  # typer's own or click's, as its version has it


def main() -> None:
    """Run the command line: exit code 0 done, 2 bad input or usage (one line on stderr), 130 interrupted."""
    try:
        code = app(_spread(sys.argv[1:]), standalone_mode=False) or 0
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _UsageError as error:
        if not error.format_message():  # `silr` alone has printed the help
            sys.exit(2)
        command = error.ctx.command_path if error.ctx else "silr"
        _fail(f"{error.format_message()} (see {command} --help)", 2)
    except InputError as error:
        _fail(str(error), 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    if code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt, without a word
        _fail("interrupted; the same command goes on where it stopped", code)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _silr(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"silr {__version__}")
        raise typer.Exit


app.command()(annotate)
app.command()(label)
app.command()(report)


@app.command()
def refine(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.", show_default=False)],
    features: Annotated[
        str | None,
        typer.Option(
            help="annotator (the file that annotate wrote; the default if it is there), tfidf, a sentence-transformers "
            "folder or name, or a .npy file.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="silr, or paper: the recipe of Asano et al.")] = "silr",
    iterations: Annotated[int, typer.Option(min=1)] = 5,
    classifier: Annotated[str, typer.Option(help="frozen: a head on frozen features.")] = "frozen",
    hidden_units: Annotated[int, typer.Option(min=0, help="0: linear head; else one hidden layer.")] = 0,
    loss: Annotated[str, typer.Option(help="sigmoid or logistic.")] = "sigmoid",
    correction: Annotated[
        str | None, typer.Option(help="none, leaky, relu or abs; default: the method's.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: about 250 steps.", show_default=False)] = None,
    theta: Annotated[
        str | None,
        typer.Option(
            help='Shares of the true classes inside each LLM label, if known: "0.9,0.1;0.4,0.6".', show_default=False
        ),
    ] = None,
    class_prior: Annotated[
        str | None, typer.Option(help='With --theta: shares of the classes, "0.5,0.5".', show_default=False)
    ] = None,
    truth: Annotated[
        str | None, typer.Option(help="Column with true labels; they only score.", show_default=False)
    ] = None,
    oracle: Annotated[bool, typer.Option("--oracle", help="Research only: priors from --truth.")] = False,
    text_column: TextColumn = "text",
    label_column: Annotated[str, typer.Option(help="Column with the LLM's labels.")] = "llm_label",
    gold_column: Annotated[str, typer.Option(help="Column with labels by hand.")] = "gold",
    weight_column: Annotated[str, typer.Option(help="Column with the gold labels' weights.")] = "gold_weight",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Turn the LLM's labels into better ones, with 50 to 100 gold labels.

    OUTPUT/labels.csv adds refined_label and refined_score; every iteration is kept. A killed run goes on where it
    stopped: run the same command again.
    """
    if oracle and truth is None:
        raise InputError("--oracle needs --truth COLUMN")
    from silr.refine_table import Columns, refine_table
    from silr.summary import print_history, summary

    silent = quiet or as_json
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: _say(f"silr: warning: {message}")
        refiner = refine_table(
            table,
            output,
            columns=Columns(text_column, label_column, gold_column, weight_column, truth),
            features=features,
            on_iteration=None if silent else _progress(iterations),
            say=(lambda line: None) if silent else _note,
            classifier=classifier,
            method=method,
            iterations=iterations,
            hidden_units=hidden_units,
            loss=loss,
            correction=correction,
            epochs=epochs,
            priors="oracle" if oracle else "gold",
            theta=_matrix(theta, "--theta"),
            class_prior=_row(class_prior, "--class-prior"),
            random_state=seed,
            device=device,
        )
    page = report_of_finished(output)
    if as_json:
        print(json.dumps({**summary(refiner), "report": page and str(page)}))
    elif not quiet:
        print_history(refiner)
        print(f"written: {output / 'labels.csv'}" + (f" and {page}" if page else ""))


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Run directory of refine.", show_default=False)],
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the scored table goes.", show_default=False)],
    features: Annotated[
        Path | None,
        typer.Option(help=".npy with one row a text, made like the run's.", show_default=False),
    ] = None,
    text_column: TextColumn = "text",
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Label new texts with a run's classifier."""
    from silr.refine_table import REFINED_LABEL, predict_table

    say = (lambda line: None) if quiet or as_json else _note
    frame = predict_table(run, table, output, text=text_column, features=features, device=device, say=say)
    if as_json:
        labels = frame[REFINED_LABEL].value_counts().sort_index().to_dict()
        print(json.dumps({"output": str(output), "texts": len(frame), "labels": labels}))
    say(f"written: {output}")


@app.command()
def evaluate(
    table: Table,
    truth: Annotated[str, typer.Option(help="Column with the true labels.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Accuracy, macro-F1 and confusion of llm_label and refined_label against a truth column."""
    from silr.evaluate import evaluate_file, print_evaluation

    print_evaluation(evaluate_file(table, truth), as_json=as_json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all that the demo makes.")] = Path(
        "silr-demo"
    ),
) -> None:
    """Watch a small LLM label 3,610 product reviews badly, and silr turn its labels into good ones."""
    from silr.demo import run_demo

    run_demo(output)


def _spread(arguments: list[str]) -> list[str]:
    """Let one --classes take several names: ``--classes a b`` becomes ``--classes a --classes b``."""
    spread: list[str] = []
    inside = first = False
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            inside = first = argument == "--classes"
        elif inside and not first:
            spread.append("--classes")
        else:
            first = False
        spread.append(argument)
    return spread


def _row(value: str | None, option: str) -> list[float] | None:
    try:
        return None if value is None else [float(number) for number in value.split(",")]
    except ValueError:
        raise InputError(f"{option} must be numbers with commas between them, got {value!r}") from None


def _matrix(value: str | None, option: str) -> list[list[float]] | None:
    rows = None if value is None else [_row(row, option) or [] for row in value.split(";")]
    if rows is not None and any(len(row) != len(rows) for row in rows):
        raise InputError(f"{option} must have as many rows (;) as numbers in a row (,), got {value!r}")
    return rows


def _progress(total: int) -> Any:
    """A line for each finished iteration, with the time left."""
    began = time.monotonic()
    finished = 0

    def report(iteration: Iteration) -> None:
        nonlocal finished
        accuracy = "estimated accuracy unknown"
        if iteration.priors is not None:
            low, high = iteration.priors.accuracy_interval
            accuracy = f"estimated accuracy {iteration.priors.accuracy:.1%} ({low:.0%} to {high:.0%})"
        if iteration.number == 0:
            _note(f"the LLM's labels: {accuracy}")
            return
        finished += 1
        seconds = time.monotonic() - began
        left = seconds / finished * (total - iteration.number)
        changed = f"{iteration.metrics['changed']:,} labels changed"
        _note(
            f"iteration {iteration.number} of {total}: {accuracy}, {changed}, {seconds:.0f} s, about {left:.0f} s left"
        )

    return report


def _note(line: str) -> None:
    print(line, flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> None:
    _say(f"silr: {' '.join(message.split())}")
    sys.exit(code)
