"""The command `silr refine`: better labels for a table, and every iteration kept."""

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from silr.cli.options import (
    AsJson,
    Classes,
    Device,
    Engine,
    Quiet,
    Seed,
    TableOrPieces,
    TextColumn,
    choice,
    narrator,
    split_classes,
)
from silr.cli.report import report_of_finished
from silr.errors import InputError
from silr.hf.distributed import is_main

FEATURES_HELP = (
    "annotator (the file that annotate wrote), tfidf (words and characters), api:MODEL (embeddings of a server), a "
    "sentence-transformers folder or name, static:MODEL (model2vec, folder or name), or a .npy file; given several "
    "times, side by side. Default: annotator and tfidf, or what there is of them, and a sentence encoder: SILR_ENCODER "
    "of the environment, or all-MiniLM-L6-v2 if it is on this machine or, without annotator, on the hub."
)
URL_HELP = "Of api:MODEL: the server, such as http://127.0.0.1:8000/v1; default: OPENAI_BASE_URL, or OpenAI's own."
DIMENSIONS_HELP = "Of api:MODEL: width to ask for, of models that have several."
METHOD_HELP = (
    "silr: the posterior from what the LLM says, the features and the gold labels. uu: sets by label under the "
    "unbiased UU risk. paper: the recipe of Asano et al."
)
ITERATIONS_HELP = "Of methods uu and paper, and of silr where there are scores and no gold labels."
CLASSIFIER_HELP = (
    "frozen: a head on frozen features, in seconds. lora, qlora (in 4 bits) or full: a language model fine-tuned on "
    "the texts."
)
PROMPT_HELP = (
    "Fine-tuned: words around each text, such as '{text} The sentiment is', or annotator: the prompt that the labels "
    "were asked with, which is the default if the model is the annotator; '{text}': the text alone."
)
TUNE_TOP_HELP = (
    "Fine-tune the last so many layers only: the others read each text once, in all iterations together. Several times "
    "faster, above all without a GPU."
)
BATCH_SIZE_HELP = "Texts a step, of all processes together; 16 if fine-tuned."
LEARNING_RATE_HELP = (
    "Default: 1e-3 frozen (method uu or paper), 2e-5 full; lora and qlora by the model's width, 1e-4 with --method "
    "paper."
)
LOSS_HELP = "Method uu or paper: sigmoid or logistic."
CORRECTION_HELP = "Method uu or paper: none, leaky, relu or abs; default: the method's."
EPOCHS_HELP = "Method uu or paper: by default about 250 steps; of a fine-tuned model 1, with --method paper 3."
THETA_HELP = 'Shares of the true classes inside each LLM label, if known: "0.9,0.1;0.4,0.6".'
LABEL_COLUMN_HELP = (
    "Column with the LLM's labels; given several times, of several LLMs or prompts. Default: llm_label and every "
    "llm_label_NAME."
)

OF_METHOD = (  # options that `silr.LabelRefiner.from_options` takes as they are
    *("method", "classifier", "model", "prompt", "tune_top", "batch_size", "learning_rate", "max_length"),
    *("iterations", "hidden_units", "loss", "correction", "epochs", "device"),
)


def refine(
    table: TableOrPieces,
    output: Annotated[Path, Option("--output", "-o", help="Run directory.")],
    features: Annotated[list[str] | None, choice(FEATURES_HELP, "annotator", "tfidf")] = None,
    features_url: Annotated[str | None, Option(help=URL_HELP)] = None,
    features_dimensions: Annotated[int | None, Option(min=1, help=DIMENSIONS_HELP)] = None,
    max_requests: Annotated[int | None, Option(min=1, help="Of api:MODEL: stop after so many requests.")] = None,
    max_tokens_total: Annotated[int | None, Option(min=1, help="Of api:MODEL: stop after so many tokens.")] = None,
    rpm: Annotated[int | None, Option(min=1, help="Of api:MODEL: requests a minute, at most.")] = None,
    tpm: Annotated[int | None, Option(min=1, help="Of api:MODEL: tokens a minute, at most.")] = None,
    method: Annotated[str, choice(METHOD_HELP, "silr", "uu", "paper")] = "silr",
    iterations: Annotated[int, Option(min=1, help=ITERATIONS_HELP)] = 5,
    classifier: Annotated[str, choice(CLASSIFIER_HELP, "frozen", "lora", "qlora", "full")] = "frozen",
    model: Annotated[str | None, Option(help="What to fine-tune: model folder, .gguf file or hub name.")] = None,
    prompt: Annotated[str | None, Option(help=PROMPT_HELP)] = None,
    tune_top: Annotated[int | None, Option(min=1, help=TUNE_TOP_HELP)] = None,
    batch_size: Annotated[int | None, Option(min=1, help=BATCH_SIZE_HELP)] = None,
    learning_rate: Annotated[float | None, Option(help=LEARNING_RATE_HELP)] = None,
    max_length: Annotated[int | None, Option(min=1, help="Fine-tuned: tokens read of a text; default 512.")] = None,
    hidden_units: Annotated[int, Option(min=0, help="Method uu or paper. 0: linear head; else one hidden layer.")] = 0,
    loss: Annotated[str, choice(LOSS_HELP, "sigmoid", "logistic")] = "sigmoid",
    correction: Annotated[str | None, choice(CORRECTION_HELP, "none", "leaky", "relu", "abs")] = None,
    epochs: Annotated[int | None, Option(min=1, help=EPOCHS_HELP)] = None,
    theta: Annotated[str | None, Option(help=THETA_HELP)] = None,
    class_prior: Annotated[str | None, Option(help='With --theta: shares of the classes, "0.5,0.5".')] = None,
    classes: Classes = None,
    truth: Annotated[str | None, Option(help="Column with true labels; they only score.")] = None,
    oracle: Annotated[bool, Option("--oracle", help="Research only: priors from --truth.")] = False,
    text_column: TextColumn = "text",
    label_column: Annotated[list[str] | None, Option(help=LABEL_COLUMN_HELP)] = None,
    gold_column: Annotated[str, Option(help="Column with labels by hand.")] = "gold",
    weight_column: Annotated[str, Option(help="Column with the gold labels' weights.")] = "gold_weight",
    seed: Seed = 0,
    device: Device = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Turn the LLM's labels into better ones, with 50 to 100 gold labels.

    OUTPUT/labels.csv adds refined_label and refined_score; of a folder of parquet files OUTPUT/labels/ has as many.
    Every iteration is kept. A killed run goes on where it stopped: run the same command again.
    """
    values = locals()
    if oracle and truth is None:
        raise InputError("--oracle needs --truth COLUMN")
    options: dict[str, Any] = {name: values[name] for name in OF_METHOD} | {"features": features or None}
    options["engine"] = engine
    options |= {"priors": "oracle" if oracle else "gold", "random_state": seed}
    options |= {"theta": _matrix(theta, "--theta"), "class_prior": _row(class_prior, "--class-prior")}
    options["classes"] = split_classes(classes) if classes else None
    options["server"] = {"base_url": features_url, "dimensions": features_dimensions}
    options["server"] |= {"max_requests": max_requests, "max_tokens_total": max_tokens_total, "rpm": rpm, "tpm": tpm}
    options["columns"] = (text_column, tuple(label_column or ()), gold_column, weight_column, truth)
    _refine(table, output, options, quiet, as_json)


def _refine(table: Path, output: Path, options: dict[str, Any], quiet: bool, as_json: bool) -> None:
    from silr.cli.refine_progress import RefineProgress
    from silr.refine.doubtful import doubtful_line
    from silr.refine.labels import labels_path
    from silr.refine.table import Columns, refine_table
    from silr.report.summary import print_history, summary

    silent = quiet or as_json or not is_main()
    with warnings.catch_warnings(), RefineProgress(options["iterations"], silent) as shown:
        warnings.simplefilter("always", UserWarning)
        options |= {
            "on_iteration": shown.on_iteration,
            "on_step": shown.on_step,
            "say": narrator(silent),
            "quiet": silent,
        }
        options["columns"] = Columns(*options["columns"])
        refiner = refine_table(table, output, **options)
    if not is_main():
        return
    page = report_of_finished(output)
    if as_json:
        print(json.dumps({**summary(refiner.result_), "report": page and str(page)}))
    elif not quiet:
        print_history(refiner.result_)
        if line := doubtful_line(output):
            print(line)
        print(f"written: {labels_path(output)}" + (f" and {page}" if page else ""))


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
