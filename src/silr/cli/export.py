"""The command `silr export`: a run as a folder that other tools read."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson, Quiet, Run
from silr.cli.warnings import warn


def export(
    run: Run,
    folder: Annotated[Path, Argument(help="New folder.")],
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
    from silr.export import export_run
    from silr.refine.classifier_caution import caution_of_run

    notes = export_run(run, folder, adapter, reward, distill=distill, onnx=onnx)
    caution = caution_of_run(run)
    if caution and not quiet:
        warn(caution)
    if as_json:
        print(json.dumps({"folder": str(folder), "notes": notes, "warning": caution}))
    elif not quiet:
        for note in notes:
            print(note)
        print(f"written: {folder}, described in {folder / 'README.md'}")
