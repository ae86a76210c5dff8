"""The command `silr refine`: better labels for a table, and every iteration kept."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from silr.cli.options import AsJson, Classes, Device, Quiet, Table, TextColumn, narrator, one_of, split_classes
from silr.cli.report import report_of_finished
from silr.errors import InputError
from silr.hf.distributed import is_main

option = partial(typer.Option, show_default=False)  # the help tells the default, or there is none

Run = Annotated[Path, option("--output", "-o", help="Run directory.")]
KINDS = (
    "annotator (the file that annotate wrote), tfidf (words and characters), a sentence-transformers folder or name, "
    "or a .npy file; given several times, side by side. Default: annotator and tfidf, or what there is of them, and "
    "all-MiniLM-L6-v2 if it is on this machine."
)
Features = Annotated[list[str] | None, option(help=KINDS, autocompletion=one_of("annotator", "tfidf"))]
METHODS = (
    "silr: the posterior from what the LLM says, the features and the gold labels. uu: sets by label under the "
    "unbiased UU risk. paper: the recipe of Asano et al."
)
Method = Annotated[str, typer.Option(help=METHODS, autocompletion=one_of("silr", "uu", "paper"))]
Iterations = Annotated[
    int, typer.Option(min=1, help="Of methods uu and paper, and of silr where there are scores and no gold labels.")
]
CLASSIFIERS = (
    "frozen: a head on frozen features, in seconds. lora, qlora (in 4 bits) or full: a language model fine-tuned on "
    "the texts."
)
Classifier = Annotated[str, typer.Option(help=CLASSIFIERS, autocompletion=one_of("frozen", "lora", "qlora", "full"))]
Model = Annotated[str | None, option(help="What to fine-tune: model folder, .gguf file or hub name.")]
AROUND = (
    "Fine-tuned: words around each text, such as '{text} The sentiment is', or annotator: the prompt that the labels "
    "were asked with, which is the default if the model is the annotator; '{text}': the text alone."
)
Prompt = Annotated[str | None, option(help=AROUND)]
TOP = (
    "Fine-tune the last so many layers only: the others read each text once, in all iterations together. Several times "
    "faster, above all without a GPU."
)
TuneTop = Annotated[int | None, option(min=1, help=TOP)]
BatchSize = Annotated[int | None, option(min=1, help="Texts a step, of all processes together; 16 if fine-tuned.")]
RATE = (
    "Default: 1e-3 frozen (method uu or paper), 2e-5 full; lora and qlora by the model's width, 1e-4 with --method "
    "paper."
)
LearningRate = Annotated[float | None, option(help=RATE)]
MaxLength = Annotated[int | None, option(min=1, help="Fine-tuned: tokens read of a text; default 512.")]
HiddenUnits = Annotated[int, typer.Option(min=0, help="Method uu or paper. 0: linear head; else one hidden layer.")]
Loss = Annotated[
    str, typer.Option(help="Method uu or paper: sigmoid or logistic.", autocompletion=one_of("sigmoid", "logistic"))
]
Correction = Annotated[
    str | None,
    option(
        help="Method uu or paper: none, leaky, relu or abs; default: the method's.",
        autocompletion=one_of("none", "leaky", "relu", "abs"),
    ),
]
EPOCHS = "Method uu or paper: by default about 250 steps; of a fine-tuned model 1, with --method paper 3."
Epochs = Annotated[int | None, option(min=1, help=EPOCHS)]
Theta = Annotated[
    str | None, option(help='Shares of the true classes inside each LLM label, if known: "0.9,0.1;0.4,0.6".')
]
ClassPrior = Annotated[str | None, option(help='With --theta: shares of the classes, "0.5,0.5".')]
Truth = Annotated[str | None, option(help="Column with true labels; they only score.")]
Oracle = Annotated[bool, typer.Option("--oracle", help="Research only: priors from --truth.")]
LLMS = (
    "Column with the LLM's labels; given several times, of several LLMs or prompts. Default: llm_label and every "
    "llm_label_NAME."
)
LabelColumn = Annotated[list[str] | None, option(help=LLMS)]
GoldColumn = Annotated[str, typer.Option(help="Column with labels by hand.")]
WeightColumn = Annotated[str, typer.Option(help="Column with the gold labels' weights.")]
Seed = Annotated[int, typer.Option(min=0)]

OF_METHOD = (  # options that `silr.LabelRefiner.from_options` takes as they are
    *("method", "classifier", "model", "prompt", "tune_top", "batch_size", "learning_rate", "max_length"),
    *("iterations", "hidden_units", "loss", "correction", "epochs", "device"),
)


def refine(
    table: Table,
    output: Run,
    features: Features = None,
    method: Method = "silr",
    iterations: Iterations = 5,
    classifier: Classifier = "frozen",
    model: Model = None,
    prompt: Prompt = None,
    tune_top: TuneTop = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    hidden_units: HiddenUnits = 0,
    loss: Loss = "sigmoid",
    correction: Correction = None,
    epochs: Epochs = None,
    theta: Theta = None,
    class_prior: ClassPrior = None,
    classes: Classes = None,
    truth: Truth = None,
    oracle: Oracle = False,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    gold_column: GoldColumn = "gold",
    weight_column: WeightColumn = "gold_weight",
    seed: Seed = 0,
    device: Device = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Turn the LLM's labels into better ones, with 50 to 100 gold labels.

    OUTPUT/labels.csv adds refined_label and refined_score; every iteration is kept. A killed run goes on where it
    stopped: run the same command again.
    """
    given = locals()
    if oracle and truth is None:
        raise InputError("--oracle needs --truth COLUMN")
    options: dict[str, Any] = {name: given[name] for name in OF_METHOD}
    options |= {"priors": "oracle" if oracle else "gold", "random_state": seed}
    options |= {"theta": _matrix(theta, "--theta"), "class_prior": _row(class_prior, "--class-prior")}
    columns = (text_column, tuple(label_column or ()), gold_column, weight_column, truth)
    _refine(table, output, columns, features, split_classes(classes) if classes else None, options, quiet, as_json)


def _refine(
    table: Path,
    output: Path,
    columns: tuple[Any, ...],
    features: list[str] | None,
    classes: list[str] | None,
    options: dict[str, Any],
    quiet: bool,
    as_json: bool,
) -> None:
    from silr.cli.refine_progress import RefineProgress
    from silr.refine.table import Columns, refine_table
    from silr.report.summary import print_history, summary

    silent = quiet or as_json or not is_main()
    with warnings.catch_warnings(), RefineProgress(options["iterations"], silent) as shown:
        warnings.simplefilter("always", UserWarning)
        refiner = refine_table(
            table,
            output,
            columns=Columns(*columns),
            features=features or None,
            classes=classes,
            on_iteration=shown.on_iteration,
            on_step=shown.on_step,
            say=narrator(silent),
            **options,
        )
    if not is_main():
        return
    page = report_of_finished(output)
    if as_json:
        print(json.dumps({**summary(refiner.result_), "report": page and str(page)}))
    elif not quiet:
        print_history(refiner.result_)
        print(f"written: {output / 'labels.csv'}" + (f" and {page}" if page else ""))


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
