"""A run or an exported folder as a reward or a judge."""

from pathlib import Path

from silr.align.scorer import Scorer, class_number
from silr.errors import InputError
from silr.export.frozen import PIPELINE
from silr.export.read import read_folder
from silr.io.corpus import file_hash
from silr.refine.run import MANIFEST


def load_scorer(path: str | Path, wanted: str | None, device: str | None, role: str = "--reward") -> Scorer:
    """Load a run directory, or a folder that `silr export` wrote.

    No `wanted` is enough for a reward model that has one score. `role` is its name in messages.

    Raises InputError if it is neither, it has no such class, it cannot read new texts, or a package is missing.
    """
    folder = Path(path).expanduser().resolve()
    if (folder / MANIFEST).is_file():
        from silr.align.run_scorer import run_scorer

        return run_scorer(folder, wanted, device, role)
    if (folder / PIPELINE).is_file() or (folder / "config.json").is_file():
        return folder_scorer(folder, wanted, device, role)
    raise InputError(f"{role} {folder} is neither a run of `silr refine` nor a folder of `silr export`")


def folder_scorer(folder: Path, wanted: str | None, device: str | None, role: str) -> Scorer:
    """The scorer of an exported folder; InputError if it has no such class or reads more than texts."""
    classes, predict = read_folder(folder, device, role)
    weights = folder / PIPELINE
    if not weights.is_file():
        weights = next(iter(sorted(folder.glob("*.safetensors"))), folder / "config.json")
    one = len(classes) == 1  # a reward model: it says nothing of the other classes
    number = 0 if one and wanted is None else class_number(wanted, classes, folder, role)
    record = {"path": str(folder), "kind": "export", "class": classes[number], "weights": file_hash(weights)}
    scale = f"probability of {classes[number]!r}, " + ("the sigmoid of the score" if one else "as the folder gives it")
    return Scorer(classes[number], scale, record, lambda texts: predict(texts)[:, number])
