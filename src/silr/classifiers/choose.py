"""Reading a classifier of any kind back."""

from __future__ import annotations

import json
from pathlib import Path

from silr.classifiers.base import Classifier
from silr.errors import InputError


def load_classifier(folder: Path, device: str | None = None) -> Classifier:
    """Read the classifier that an iteration's folder holds.

    Raises
    ------
    InputError
        The files are missing or damaged.
    """
    if not (folder / "classifier.json").exists():
        raise InputError(f"{folder} holds no classifier (yet): run `silr refine` again, which goes on where it stopped")
    try:
        kind = json.loads((folder / "classifier.json").read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the classifier in {folder}: {error}".splitlines()[0]) from error
    if kind == "posterior":
        from silr.classifiers.posterior import PosteriorClassifier

        return PosteriorClassifier.load(folder, device)
    if kind == "frozen":
        from silr.classifiers.frozen import FrozenClassifier

        return FrozenClassifier.load(folder, device)
    from silr.classifiers.finetuned import FinetunedClassifier

    return FinetunedClassifier.load(folder, device)
