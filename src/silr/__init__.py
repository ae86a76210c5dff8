"""silr: turn the cheap, biased labels of an LLM into better labels and a better classifier."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silr.annotators.annotate import annotate
    from silr.label.draw import draw
    from silr.label_refiner import LabelRefiner
    from silr.loading import load
    from silr.uu_classifier import UUClassifier

__version__ = "0.1.0"
__all__ = ["LabelRefiner", "UUClassifier", "__version__", "annotate", "draw", "load"]

_HOMES = {
    "LabelRefiner": "silr.label_refiner",
    "UUClassifier": "silr.uu_classifier",
    "annotate": "silr.annotators.annotate",
    "draw": "silr.label.draw",
    "load": "silr.loading",
}


def __getattr__(name: str) -> Any:
    """Import scikit-learn and its company only when a name is asked for, so that ``silr --help`` is quick."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
