"""The command `silr refine`: better labels for a table, and every iteration kept."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from silr.cli_options import AsJson, Classes, Device, Quiet, Table, TextColumn, one_of, split_classes
from silr.cli_report import report_of_finished
from silr.errors import InputError
from silr.processes import is_main


def refine(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory.", show_default=False)],
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="annotator (the file that annotate wrote), tfidf (words and characters), a sentence-transformers "
            "folder or name, or a .npy file; given several times, side by side. Default: annotator and tfidf, or what "
            "there is of them, and all-MiniLM-L6-v2 if it is on this machine.",
            autocompletion=one_of("annotator", "tfidf"),
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="silr: the posterior from what the LLM says, the features and the gold labels. uu: sets by label "
            "under the unbiased UU risk. paper: the recipe of Asano et al.",
            autocompletion=one_of("silr", "uu", "paper"),
        ),
    ] = "silr",
    iterations: Annotated[
        int,
        typer.Option(min=1, help="Of methods uu and paper, and of silr where there are scores and no gold labels."),
    ] = 5,
    classifier: Annotated[
        str,
        typer.Option(
            help="frozen: a head on frozen features, in seconds. lora, qlora (in 4 bits) or full: a language model "
            "fine-tuned on the texts.",
            autocompletion=one_of("frozen", "lora", "qlora", "full"),
        ),
    ] = "frozen",
    model: Annotated[
        str | None,
        typer.Option(help="What to fine-tune: model folder, .gguf file or hub name.", show_default=False),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Fine-tuned: words around each text, such as '{text} The sentiment is', or annotator: the prompt that "
            "the labels were asked with, which is the default if the model is the annotator; '{text}': the text alone.",
            show_default=False,
        ),
    ] = None,
    tune_top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fine-tune the last so many layers only: the others read each text once, in all iterations together. "
            "Several times faster, above all without a GPU.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Texts a step, of all processes together; 16 if fine-tuned.", show_default=False),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Default: 1e-3 frozen (method uu or paper), 2e-5 full; lora and qlora by the model's width, 1e-4 with "
            "--method paper.",
            show_default=False,
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=1, help="Fine-tuned: tokens read of a text; default 512.", show_default=False),
    ] = None,
    hidden_units: Annotated[
        int, typer.Option(min=0, help="Method uu or paper. 0: linear head; else one hidden layer.")
    ] = 0,
    loss: Annotated[
        str, typer.Option(help="Method uu or paper: sigmoid or logistic.", autocompletion=one_of("sigmoid", "logistic"))
    ] = "sigmoid",
    correction: Annotated[
        str | None,
        typer.Option(
            help="Method uu or paper: none, leaky, relu or abs; default: the method's.",
            autocompletion=one_of("none", "leaky", "relu", "abs"),
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Method uu or paper: by default about 250 steps; of a fine-tuned model 1, with --method paper 3.",
            show_default=False,
        ),
    ] = None,
    theta: Annotated[
        str | None,
        typer.Option(
            help='Shares of the true classes inside each LLM label, if known: "0.9,0.1;0.4,0.6".', show_default=False
        ),
    ] = None,
    class_prior: Annotated[
        str | None, typer.Option(help='With --theta: shares of the classes, "0.5,0.5".', show_default=False)
    ] = None,
    classes: Classes = None,
    truth: Annotated[
        str | None, typer.Option(help="Column with true labels; they only score.", show_default=False)
    ] = None,
    oracle: Annotated[bool, typer.Option("--oracle", help="Research only: priors from --truth.")] = False,
    text_column: TextColumn = "text",
    label_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with the LLM's labels; given several times, of several LLMs or prompts. Default: llm_label "
            "and every llm_label_NAME.",
            show_default=False,
        ),
    ] = None,
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
    from silr.refine_progress import RefineProgress
    from silr.refine_table import Columns, refine_table
    from silr.summary import print_history, summary

    silent = quiet or as_json or not is_main()
    with warnings.catch_warnings(), RefineProgress(iterations, silent) as shown:
        warnings.simplefilter("always", UserWarning)
        refiner = refine_table(
            table,
            output,
            columns=Columns(text_column, tuple(label_column or ()), gold_column, weight_column, truth),
            features=features or None,
            classes=split_classes(classes) if classes else None,
            on_iteration=shown.on_iteration,
            on_step=shown.on_step,
            say=(lambda line: None) if silent else lambda line: print(line, flush=True),
            classifier=classifier,
            model=model,
            prompt=prompt,
            tune_top=tune_top,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
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
