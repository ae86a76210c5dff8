"""Which classifier: a head on frozen features, or a fine-tuned model."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from silr.classifiers.base import Classifier
from silr.errors import InputError

ClassifierName = Literal["frozen", "lora", "qlora", "full"]


def classifier_maker(
    name: ClassifierName,
    options: dict[str, Any],
    X: Any,
    n_classes: int,
    device: str | None = None,
    checkpoints: Path | None = None,
) -> Callable[[int], Classifier]:
    """Return what gives a fresh classifier for an iteration.

    What does not change between iterations, the corpus's moments or a pretrained model, is computed or read once.

    Parameters
    ----------
    name : {"frozen", "lora", "qlora", "full"}
    options : dict
        Of `FrozenConfig` or `FinetunedConfig`.
    X : matrix or Tokens
        The corpus.
    n_classes : int
    device : str, default None
    checkpoints : Path, default None
        A folder for checkpoints inside a fit, one folder an iteration.
    """
    if name == "frozen":
        from silr.classifiers.frozen import FrozenClassifier, FrozenConfig
        from silr.classifiers.standardise import Standardiser

        standardiser = cache(lambda: Standardiser.of(X))
        return lambda number: FrozenClassifier(FrozenConfig(**options), device, standardiser())
    from silr.classifiers.backbone import Backbone, FinetunedConfig
    from silr.classifiers.finetuned import FinetunedClassifier

    backbone = cache(lambda: Backbone(FinetunedConfig(name, **options), n_classes, device))
    return lambda number: FinetunedClassifier(
        backbone(), n_classes, checkpoints and checkpoints / f"iteration-{number}"
    )


def load_classifier(folder: Path, device: str | None = None) -> Classifier:
    """Read the classifier that an iteration's folder holds.

    Raises
    ------
    InputError
        The files are missing or damaged.
    """
    try:
        kind = json.loads((folder / "classifier.json").read_text())["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the classifier in {folder}: {error}".splitlines()[0]) from error
    if kind == "frozen":
        from silr.classifiers.frozen import FrozenClassifier

        return FrozenClassifier.load(folder, device)
    from silr.classifiers.finetuned import FinetunedClassifier

    return FinetunedClassifier.load(folder, device)
