"""Which classifier: a head on frozen features, or a fine-tuned model."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from silr.annotators.models import locate
from silr.classifiers.base import Classifier
from silr.classifiers.prompted import check_prompt
from silr.errors import InputError
from silr.extras import need_models, needs
from silr.methods import Recipe

ClassifierName = Literal["frozen", "lora", "qlora", "full"]


def classifier_options(given: dict[str, Any], method: Recipe) -> dict[str, Any]:
    """Return the settings of `FrozenConfig` or `FinetunedConfig`, where nothing else is given those of its kind.

    Parameters
    ----------
    given : dict
        Parameters of `silr.LabelRefiner`.
    method : Recipe

    Raises
    ------
    InputError
        A fine-tuned model is not named, or a setting is for the other kind.
    """
    name = given["classifier"]
    tuned = {each: given[each] for each in ("model", "max_length", "prompt", "tune_top")}
    shared = {each: given[each] for each in ("epochs", "batch_size", "learning_rate")}
    if name == "frozen":
        if strange := [each for each, value in tuned.items() if value is not None]:
            raise InputError(f"{strange[0]} is for the classifiers lora, qlora and full; this one is 'frozen'")
        shared["learning_rate"] = shared["learning_rate"] or 1e-3
        return {**shared, "hidden_units": given["hidden_units"], "match_prior": method.match_prior}
    if tuned["model"] is None:
        raise InputError(f"classifier {name!r} needs a model: a folder, a .gguf file or a hub name")
    if given["hidden_units"]:
        raise InputError(f"hidden_units is for the classifier 'frozen'; this one is {name!r}")
    rate = None if name == "full" else method.adapter_rate
    defaults = {"epochs": method.tuning_epochs, "batch_size": 16, "learning_rate": rate}
    shared = {each: shared[each] or default for each, default in defaults.items()}
    if (prompt := tuned.pop("prompt")) is not None:  # the features put it around the texts
        check_prompt(prompt)
    tuned["model"] = locate(tuned["model"])  # absolute: it is found again from other folders
    return {**tuned, **shared, "linear_probe": method.linear_probe, "match_prior": method.match_prior}


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
        return _frozen_maker(options, X, device)
    from silr.classifiers.backbone import Backbone, FinetunedConfig
    from silr.classifiers.finetuned import FinetunedClassifier
    from silr.processes import check_launch

    check_launch(device)
    backbone = cache(lambda: Backbone(FinetunedConfig(name, **options), n_classes, device))
    return lambda number: FinetunedClassifier(
        backbone(), n_classes, checkpoints and checkpoints / f"iteration-{number}"
    )


def _frozen_maker(options: dict[str, Any], X: Any, device: str | None) -> Callable[[int], Classifier]:
    @cache
    def standardiser() -> Any:
        from silr.classifiers.standardise import Standardiser

        return Standardiser.of(X)

    def make(number: int) -> Classifier:
        with needs("uu", "a method with the UU risk"):
            from silr.classifiers.frozen import FrozenClassifier, FrozenConfig

        return FrozenClassifier(FrozenConfig(**options), device, standardiser())

    return make


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
        values = json.loads((folder / "classifier.json").read_text())
        kind = values["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the classifier in {folder}: {error}".splitlines()[0]) from error
    if kind == "posterior":
        from silr.classifiers.posterior import PosteriorClassifier

        return PosteriorClassifier.load(folder, device)
    if kind == "linear" or (kind == "frozen" and not values.get("hidden_units")):
        from silr.classifiers.linear import LinearClassifier

        return LinearClassifier.load(folder, device)
    if kind == "frozen":
        with needs("uu", "a classifier with a hidden layer"):
            from silr.classifiers.frozen import FrozenClassifier

        return FrozenClassifier.load(folder, device)
    need_models("a fine-tuned classifier")
    from silr.classifiers.finetuned import FinetunedClassifier

    return FinetunedClassifier.load(folder, device)
