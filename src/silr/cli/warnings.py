"""Warnings on the terminal: silr's own, one line each; those of libraries are none of the user's business."""

import logging
import os
import sys
import warnings
from pathlib import Path

from silr.hf.distributed import is_main

HOME = Path(__file__).parents[1]
CHATTY = ["accelerate", "bitsandbytes", "datasets", "huggingface_hub", "matplotlib", "peft", "sentence_transformers"]
CHATTY += ["torch", "trl"]

_silenced = False


def install() -> None:
    """Take charge of what is warned of in this process."""
    for name in ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY"):
        os.environ.setdefault(name, "error")
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.showwarning = show_warning


def silence(quiet: bool) -> bool:
    """Say nothing any more, if that is wanted; the callback of --quiet."""
    global _silenced
    _silenced = _silenced or quiet
    return quiet


def show_warning(message: Warning | str, category: type[Warning], filename: str, *_: object, **__: object) -> None:
    """Print a warning that silr gave, which is a plain `UserWarning` out of its own files."""
    if category is UserWarning and Path(filename).is_relative_to(HOME) and is_main() and not _silenced:
        warn(message)


def warn(message: Warning | str) -> None:
    """Print a warning."""
    print(f"silr: warning: {message}", file=sys.stderr, flush=True)
