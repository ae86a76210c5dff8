"""Which settings of a refinement go together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from silr.annotator_evidence import Annotator
from silr.classifiers.choose import ClassifierName
from silr.errors import InputError
from silr.losses import Correction, Loss
from silr.methods import METHODS, Method

# settings of the UU risk and its fit, and what they are where nothing is asked for
OF_THE_FIT = {
    "loss": "sigmoid",
    "correction": None,
    "hidden_units": 0,
    "epochs": None,
    "learning_rate": None,
    "batch_size": None,
}
OF_TUNING = ("epochs", "learning_rate", "batch_size", "hidden_units")  # the last is refused with its own words


def check_settings(given: dict[str, Any]) -> None:
    """Refuse parameters of `silr.LabelRefiner` that are none of their choices, or too small.

    Raises
    ------
    InputError
    """
    choices = {"classifier": get_args(ClassifierName), "method": get_args(Method), "priors": ("gold", "oracle")}
    choices |= {"loss": get_args(Loss), "correction": get_args(Correction)}
    for name, allowed in choices.items():
        value = given[name]
        if value not in allowed and (name, value) != ("correction", None):
            raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    at_least = {"iterations": 1, "hidden_units": 0, "epochs": 1, "batch_size": 1, "max_length": 1, "tune_top": 1}
    for name, lowest in at_least.items():
        if given[name] is not None and given[name] < lowest:
            raise InputError(f"{name} must be at least {lowest}, got {given[name]}")
    if given["learning_rate"] is not None and not given["learning_rate"] > 0:
        raise InputError(f"learning_rate must be above 0, got {given['learning_rate']}")
    if given["class_prior"] is not None and given["theta"] is None:
        raise InputError("class_prior describes the corpus together with theta; give theta too, or neither")


def configuration(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The parameters that decide a result, as JSON values; the features' record says more than their parameter."""
    values: dict[str, Any] = {name: options.get(name, value) for name, value in given.items()}
    for name in ("run", "device", "random_state", "iterations", "features"):
        del values[name]
    for name in ("theta", "class_prior"):
        values[name] = None if values[name] is None else np.asarray(values[name], dtype=np.float64).tolist()
    return values


def warn_of_scores(annotators: Sequence[Annotator]) -> None:
    """Warn where an LLM's scores are for another class than its label in more than half of its texts."""
    for each in annotators:
        if each.scores is None:
            continue
        rows = np.flatnonzero((each.labels >= 0) & np.isfinite(each.scores).all(axis=1))
        own = each.scores[rows, each.labels[rows]]
        other = int((own < each.scores[rows].max(axis=1)).sum()) if len(rows) else 0
        if other > len(rows) / 2:
            whose = f" of {each.name}" if each.name else ""
            warnings.warn(
                f"the scores{whose} are highest for another class than the label in {other:,} of {len(rows):,} texts: "
                "are the score columns exchanged, or the lower score the better?",
                stacklevel=3,
            )


def warn_of_no_gold(annotators: Sequence[Annotator]) -> None:
    """Warn that LLMs are taken at their word, where there are no gold labels.

    Raises
    ------
    InputError
        They give all texts the same label, without scores: there is nothing to go by.
    """
    advice = "50 to 100 texts labelled by hand (`silr label`) make it better, and tell"
    said = "scores" if len(annotators) == 1 and annotators[0].scores is not None else "labels"
    if any(len(np.unique(each.labels[each.labels >= 0])) > 1 for each in annotators):
        warnings.warn(
            f"there are no gold labels, so the LLM's {said} are taken at their word, and how good the result is nobody "
            f"knows; {advice}",
            stacklevel=3,
        )
    elif said == "scores":
        warnings.warn(
            "the LLM gives all texts the same label, and there are no gold labels: all there is to go by is for which "
            f"texts its scores are higher, which is often worth nothing where the labels are; {advice}",
            stacklevel=3,
        )
    else:
        raise InputError(f"the LLM gives all texts the same label, and there are no gold labels: {advice}")


def uses_default(given: dict[str, Any]) -> bool:
    """Whether the default method is wanted.

    Raises
    ------
    InputError
        It is, but a setting is for the other methods.
    """
    if not is_default(given):
        return False
    _check_default(given)
    return True


def is_default(given: dict[str, Any]) -> bool:
    """Whether some settings are of the default method, where it is one of its own."""
    others = given.get("priors") == "oracle" or given.get("theta") is not None
    method = given.get("method", "silr")
    return method in METHODS and METHODS[method].soft and not others


def tunes_once(given: dict[str, Any]) -> bool:
    """Whether a fine-tuned model learns refined labels: two iterations are all."""
    return is_default(given) and given.get("classifier", "frozen") != "frozen"


def foreign_settings(given: dict[str, Any]) -> list[str]:
    """Names of the settings that the method has no use for."""
    if not is_default(given):
        return []
    tuned = () if given["classifier"] == "frozen" else OF_TUNING
    return [name for name in OF_THE_FIT if name not in tuned]


def _check_default(given: dict[str, Any]) -> None:
    for name in foreign_settings(given):
        if given[name] != OF_THE_FIT[name]:
            raise InputError(f"{name} is a setting of the methods uu and paper: take one of them, or leave it out")
