"""A folder of `silr export` as a reward: a Hugging Face classifier or reward model, or a scikit-learn pipeline."""

from __future__ import annotations

from pathlib import Path

from silr.align.scorer import Scorer, class_number
from silr.export.frozen import PIPELINE
from silr.export.read import read_folder
from silr.io.corpus import file_hash


def folder_scorer(folder: Path, wanted: str | None, device: str | None, role: str) -> Scorer:
    """Return the scorer of an exported folder.

    Raises InputError if it cannot be read, has no such class, or reads more than texts.
    """
    classes, predict = read_folder(folder, device, role)
    weights = folder / PIPELINE
    if not weights.is_file():
        weights = next(iter(sorted(folder.glob("*.safetensors"))), folder / "config.json")
    one = len(classes) == 1  # a reward model: it says nothing of the other classes
    number = 0 if one and wanted is None else class_number(wanted, classes, folder, role)
    record = {"path": str(folder), "kind": "export", "class": classes[number], "weights": file_hash(weights)}
    scale = f"probability of {classes[number]!r}, " + ("the sigmoid of the score" if one else "as the folder gives it")
    return Scorer(classes[number], scale, record, lambda texts: predict(texts)[:, number])
