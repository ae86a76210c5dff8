"""The command `silr export`: a run as a folder that other tools read."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson, Quiet, Run
from silr.cli.warnings import warn
from silr.io.files import Json

PUSH_HELP = (
    "Upload the folder to the Hugging Face hub as a model, OWNER/NAME; private, with the token of `hf auth login`."
)
PUSH_LABELS_HELP = "Upload the run's labels.csv as a dataset, texts and all; private."


def export(
    run: Run,
    folder: Annotated[Path | None, Argument(help="New folder; not needed with --push-labels alone.")] = None,
    adapter: Annotated[
        bool, Option("--adapter", help="Fine-tuned by lora or qlora: the adapter alone, a few megabytes.")
    ] = False,
    reward: Annotated[
        str | None,
        Option(help="Fine-tuned: a reward model for TRL, with one score that is high where a text is of this class."),
    ] = None,
    distill: Annotated[
        bool,
        Option(
            "--distill",
            help="A small, fast classifier: TF-IDF and a sentence encoder, taught the refined labels of the corpus. "
            "Its loss of accuracy is estimated on gold labels. Default where the run's features cannot be carried.",
        ),
    ] = False,
    license: Annotated[
        str | None, Option(help="For the card, such as mit. Default: the base model's, if known.")
    ] = None,
    language: Annotated[
        list[str] | None, Option(help="Of the texts, for the card, such as en. Again for more.")
    ] = None,
    push: Annotated[str | None, Option(metavar="NAME", help=PUSH_HELP)] = None,
    push_labels: Annotated[str | None, Option(metavar="NAME", help=PUSH_LABELS_HELP)] = None,
    public: Annotated[bool, Option("--public", help="With --push or --push-labels: readable for everybody.")] = False,
    onnx: Annotated[
        bool, Option("--onnx", help="One ONNX graph too, model.onnx: from texts, or their tokens, to labels.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a run as a folder that reads texts, with a model card and requirements.txt.

    A fine-tuned run becomes a Hugging Face folder that `transformers.pipeline("text-classification", FOLDER)` reads
    (adapter merged, safetensors). A run with frozen features becomes a head of scikit-learn, without pickle, with
    its TF-IDF, its encoder, or its annotator and prompt beside it; `silr.load(FOLDER).predict(texts)` reads it. The
    labels are those of `silr predict`. What it cannot carry, such as an annotator of more than 1 GiB, is distilled.
    """
    from silr.cli.export_push import check_pushes, push_all
    from silr.export import export_run
    from silr.refine.classifier_caution import caution_of_run

    languages = language or []
    check_pushes(folder, push, push_labels, public, quiet)
    values: Json = {"folder": folder and str(folder)}
    if folder is not None:
        notes = export_run(run, folder, adapter, reward, license, languages, distill=distill, onnx=onnx)
        caution = caution_of_run(run)
        if caution and not quiet:
            warn(caution)
        values |= {"notes": notes, "warning": caution}
        if not quiet and not as_json:
            for note in notes:
                print(note)
            print(f"written: {folder}, described in {folder / 'README.md'}")
    values["pushed"] = push_all(run, folder, push, push_labels, public, license, languages, quiet or as_json)
    if as_json:
        print(json.dumps(values))
