"""silr: turn the cheap, biased labels of an LLM into better labels and a better classifier."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silr.annotators.annotate import annotate
    from silr.classifiers.uu_classifier import UUClassifier
    from silr.estimates.agreement import agreement
    from silr.estimates.dsl import dsl_outcomes
    from silr.estimates.estimate import estimate
    from silr.export.load import load
    from silr.export.push import push, push_labels
    from silr.features.api import ApiFeatures
    from silr.io.codebook import Codebook
    from silr.label.draw import draw
    from silr.refine.label_refiner import LabelRefiner
    from silr.refine.silr import Silr
    from silr.refine.tuning import FineTuned
    from silr.refine.uu import UU, Paper

__version__ = "0.1.0"
__all__ = [
    "UU",
    "ApiFeatures",
    "Codebook",
    "FineTuned",
    "LabelRefiner",
    "Paper",
    "Silr",
    "UUClassifier",
    "__version__",
    "agreement",
    "annotate",
    "draw",
    "dsl_outcomes",
    "estimate",
    "load",
    "push",
    "push_labels",
]

_HOMES = {
    "ApiFeatures": "silr.features.api",
    "Codebook": "silr.io.codebook",
    "FineTuned": "silr.refine.tuning",
    "LabelRefiner": "silr.refine.label_refiner",
    "Paper": "silr.refine.uu",
    "Silr": "silr.refine.silr",
    "UU": "silr.refine.uu",
    "UUClassifier": "silr.classifiers.uu_classifier",
    "agreement": "silr.estimates.agreement",
    "annotate": "silr.annotators.annotate",
    "draw": "silr.label.draw",
    "dsl_outcomes": "silr.estimates.dsl",
    "estimate": "silr.estimates.estimate",
    "load": "silr.export.load",
    "push": "silr.export.push",
    "push_labels": "silr.export.push",
}


def __getattr__(name: str) -> Any:
    """Import scikit-learn and its company only when a name is asked for, so that ``silr --help`` is quick."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
