"""The user's cache."""

import os
from collections.abc import Callable
from pathlib import Path

from silr.io.files import atomic_folder
from silr.io.locks import locked


def cache_folder() -> Path:
    """Return `silr` in `$XDG_CACHE_HOME`, by default in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "silr"


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder; if it does not exist, one process makes it, by filling an empty one, and others wait."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock"), busy=None):
            if not folder.is_dir():
                with atomic_folder(folder) as draft:
                    make(draft)
    return folder
