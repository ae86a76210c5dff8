"""Reading a classifier of any kind back."""

import json
from importlib.util import find_spec
from pathlib import Path

from silr.classifiers.base import Classifier
from silr.errors import InputError
from silr.extras import need_models, needs


def load_classifier(folder: Path, device: str | None = None) -> Classifier:
    """Read the classifier that an iteration's folder holds; InputError if the files are missing or damaged."""
    if not (folder / "classifier.json").exists():
        raise InputError(f"{folder} holds no classifier (yet): run `silr refine` again, which goes on where it stopped")
    try:
        values = json.loads((folder / "classifier.json").read_text())
        kind = values["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the classifier in {folder}: {error}".splitlines()[0]) from error
    if kind == "posterior":
        from silr.classifiers.posterior import PosteriorClassifier

        return PosteriorClassifier.load(folder, device)
    without_torch = kind == "frozen" and not values.get("hidden_units") and find_spec("torch") is None
    if kind == "linear" or without_torch:
        from silr.classifiers.linear import LinearClassifier

        return LinearClassifier.load(folder, device)
    if kind == "frozen":
        with needs("uu", "a classifier with a hidden layer"):
            from silr.classifiers.frozen import FrozenClassifier

        return FrozenClassifier.load(folder, device)
    need_models("a fine-tuned classifier")
    from silr.classifiers.finetuned.classifier import FinetunedClassifier

    return FinetunedClassifier.load(folder, device)
