"""The refined table of a run as a dataset of the hub: one parquet file, and a card that explains its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from silr import __version__
from silr.errors import InputError
from silr.export.card import code, table_name
from silr.export.card_metadata import check_languages, license_fields
from silr.io.corpus import read_table, write_table
from silr.io.words import limits, percent
from silr.refine.classifier_caution import of_priors
from silr.refine.labels import LABELS, LABELS_IN_PIECES
from silr.refine.record import Record, read_record

if TYPE_CHECKING:
    import pandas as pd

DATA = "data/train-00000-of-00001.parquet"  # as the hub names the files of a split
COLUMNS = {  # regular expressions of names that silr writes or reads
    r"refined_label": "the result: the most probable class, and the gold label on rows that have one",
    r"refined_score": "the probability that `refined_label` is right; 1 for a gold label",
    r"out_of_fold_label": "the label of the row without its own gold label",
    r"out_of_fold_score": "the probability that `out_of_fold_label` is right",
    r"llm_label(_.*)?": "the label of an LLM",
    r"llm_score_.*": "the LLM's log-probability of the class",
    r"llm_confidence(_.*)?": "the LLM's own certainty of its label, from 0 to 1",
    r"llm_reason(_.*)?": "why, in the LLM's words",
    r"llm_missing(_.*)?": "the reason why the LLM gave the text no label",
    r"gold_weight": "for how many texts the gold label speaks",
    r"gold_draw|gold_probability": "how the text was drawn for a label by hand",
    r"vote_.*": "the label that one of several people gave",
    r"adjudicated": "the decision about a text on which people disagree",
}
NUMBERS = re.compile(r"(refined|out_of_fold)_score|llm_score_.*|llm_confidence(_.*)?|gold_(weight|draw|probability)")
PRIVACY = (
    "The texts are those of the table, word for word. The licence above says nothing of rights that others have in "
    "them, or of what they tell about people: see to both before this dataset is public."
)
SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]


def write_labels(run: str | Path, folder: Path, license: str | None, languages: Sequence[str]) -> None:
    """Write ``labels.csv`` of a run into an existing folder as the hub wants a dataset.

    Raises InputError if the run is not finished or has no such table.
    """
    check_languages(languages)
    record = read_record(run)
    path = Path(run) / LABELS
    if record.table is None or not path.is_file():
        in_pieces = (Path(run) / LABELS_IN_PIECES).is_dir()
        pieces = f"its labels lie in pieces in {LABELS_IN_PIECES}/; `hf upload` takes that folder"
        raise InputError(f"{run} has no {LABELS} to push: {pieces if in_pieces else '`silr refine` writes it'}")
    names = record.table["columns"]
    frame = _typed(read_table(path), names["gold"])
    (folder / DATA).parent.mkdir()
    write_table(frame, folder / DATA)
    (folder / "README.md").write_text(_card(record, frame, license, languages), encoding="utf-8")


def _typed(frame: pd.DataFrame, gold: str) -> pd.DataFrame:
    """Scores and weights as numbers, and no value where a cell of such a column or of a label is empty."""
    import pandas as pd

    for name in frame.columns:
        if NUMBERS.fullmatch(name):
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
        elif name == gold or _explained(name):
            frame[name] = frame[name].where(frame[name] != "", None)
    return frame


def _explained(name: str) -> str | None:
    return next((words for pattern, words in COLUMNS.items() if re.fullmatch(pattern, name)), None)


def _card(record: Record, frame: pd.DataFrame, license: str | None, languages: Sequence[str]) -> str:
    from huggingface_hub import DatasetCardData

    assert record.table is not None
    names, table, classes = record.table["columns"], table_name(record.run), list(map(code, record.class_names))
    of_table = {
        names["text"]: "the text",
        names["gold"]: "the label by hand",
        names["truth"]: "the true label; it was used for scoring only",
        **dict.fromkeys(names["labels"], COLUMNS[r"llm_label(_.*)?"]),
    }
    kinds = {"refined_score": "double"} | {name: str(dtype) for name, dtype in frame.dtypes.items()}
    rows = [
        f"| {code(name)} | {'number' if 'float' in kinds[name] else 'text'} | "
        f"{of_table.get(name) or _explained(name) or 'a column of the table'} |"
        for name in map(str, frame.columns)
    ]
    data = DatasetCardData(
        **license_fields(license),
        language=list(languages) or None,
        task_categories=["text-classification"],
        size_categories=[next((name for most, name in SIZES if len(frame) < most), "n>10M")],
        source_datasets=[table.hub_id] if table.hub_id else None,
        tags=["silr", "weak-supervision"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    )
    said = code(license) if license else "unknown: nobody has said it"
    lines = ["---", str(data), "---", "", f"# {code(table.name)} with refined labels", ""]
    lines += [f"{len(frame):,} texts, each with one of {len(classes)} classes: {', '.join(classes)}.", ""]
    lines += ["## Columns", "", "| column | kind | holds |", "| --- | --- | --- |", *rows, ""]
    lines += ["## How the labels were made", "", *_making(record), ""]
    lines += ["## Licence", "", f"{said[0].upper()}{said[1:]}. {PRIVACY}", ""]
    return "\n".join(lines)


def _making(record: Record) -> list[str]:
    """What `refined_label` rests on, and how often it is right as far as anybody knows."""
    first, best = record.iterations[0], record.best
    method = record.run.configuration.get("method", "silr")
    lines = [
        f"The labels of {first.whose} were refined by silr {__version__}, method `{method}`, with "
        f"{record.run.manifest['gold']:,} labels by hand."
    ]
    for whose, priors in ((first.whose, first.priors), ("refined_label", best.priors)):
        if priors is not None:
            estimate = of_priors(priors)
            lines.append(
                f"- {whose}: right on {percent(estimate.accuracy)} of the texts (95 % interval "
                f"{limits(estimate.interval)}). This is an estimate from the labels by hand."
            )
    if best.priors is None:
        lines.append("Nobody knows how often they are right: there are no labels by hand to estimate it from.")
    lines.append("Only `out_of_fold_label` may be scored on rows with a label by hand.")
    return lines
