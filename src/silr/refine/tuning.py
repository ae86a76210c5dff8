"""Which pretrained model is fine-tuned, and how."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from sklearn.base import BaseEstimator

from silr.errors import InputError
from silr.extras import need_models
from silr.io.files import Json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from silr.classifiers.finetuned.classifier import FinetunedClassifier

Tuning = Literal["lora", "qlora", "full"]


class Recipe(Protocol):
    """What a method says of fine-tuning, where no setting says otherwise."""

    tuning_epochs: int
    adapter_rate: float | None
    linear_probe: bool
    match_prior: bool


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a setting that is none of its choices."""
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_at_least(lowest: int, **values: float | None) -> None:
    """Refuse settings that are too small."""
    for name, value in values.items():
        if value is not None and value < lowest:
            raise InputError(f"{name} must be at least {lowest}, got {value}")


def check_rate(learning_rate: float | None) -> None:
    """Refuse a learning rate that is not above 0."""
    if learning_rate is not None and not learning_rate > 0:
        raise InputError(f"learning_rate must be above 0, got {learning_rate}")


class FineTuned(BaseEstimator):  # type: ignore[misc]
    """A pretrained model that is fine-tuned on the texts.

    Parameters
    ----------
    model : str or Path
        A folder, a ``.gguf`` file or a hub name.
    tuning : {"lora", "qlora", "full"}, default "lora"
        By adapters, by adapters on the 4-bit weights, or in all weights.
    epochs : int, default None
        None: 1, with method "paper" 3.
    learning_rate : float, default None
        None: for adapters by the model's width, with method "paper" 1e-4; 2e-5 for all weights.
    batch_size : int, default None
        Texts a step, of all processes together. None: 16.
    max_length : int, default None
        The longest text that is read, in tokens; None: 512, or the model's limit if that is less.
    prompt : str, default None
        Words around each text, such as "{text} The sentiment is". None: the text alone.
    tune_top : int, default None
        Fine-tune the last so many layers only; what the others make of a text is computed once. None: all.

    Examples
    --------
    >>> from silr import FineTuned, LabelRefiner
    >>> LabelRefiner(classifier=FineTuned("path/to/model", epochs=2)).get_params()["classifier__epochs"]
    2
    """

    def __init__(
        self,
        model: str | Path,
        tuning: Tuning = "lora",
        *,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        prompt: str | None = None,
        tune_top: int | None = None,
    ) -> None:
        self.model = model
        self.tuning = tuning
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_length = max_length
        self.prompt = prompt
        self.tune_top = tune_top

    def check(self) -> None:
        """Refuse settings that are none of their choices, or too small."""
        need_models("a fine-tuned classifier")
        check_choice("tuning", self.tuning, get_args(Tuning))
        names = ("epochs", "batch_size", "max_length", "tune_top")
        check_at_least(1, **{name: getattr(self, name) for name in names})
        check_rate(self.learning_rate)
        if self.prompt is not None:
            from silr.hf.prompted import check_prompt

            check_prompt(self.prompt)

    def settings(self, recipe: Recipe) -> Json:
        """All that decides a result, as JSON values; the model's path is absolute, so that other folders find it."""
        from silr.hf.models import locate

        rate = None if self.tuning == "full" else recipe.adapter_rate
        return {
            "classifier": self.tuning,
            "model": locate(str(self.model)),
            "max_length": self.max_length,
            "prompt": self.prompt,
            "tune_top": self.tune_top,
            "epochs": self.epochs or recipe.tuning_epochs,
            "batch_size": self.batch_size or 16,
            "learning_rate": self.learning_rate or rate,
        }

    def new_classifiers(
        self, recipe: Recipe, n_classes: int, device: str | None, checkpoints: Path | None
    ) -> Callable[[int], FinetunedClassifier]:
        """What gives a fresh classifier for an iteration; the pretrained model is read once."""
        from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig
        from silr.classifiers.finetuned.classifier import FinetunedClassifier
        from silr.hf.distributed import check_launch

        check_launch(device)
        settings = self.settings(recipe)
        kind = settings.pop("classifier")
        del settings["prompt"]  # the features put it around the texts
        config = FinetunedConfig(kind, **settings, linear_probe=recipe.linear_probe, match_prior=recipe.match_prior)
        backbone = cache(lambda: Backbone(config, n_classes, device))
        return lambda number: FinetunedClassifier(
            backbone(), n_classes, checkpoints and checkpoints / f"iteration-{number}"
        )
