"""Folders that appear whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from silr.io.files import sync


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder beside `folder` that takes its name, on the disk, when the block ends without an error.

    Otherwise it is removed. What a killed process left of it is removed, too.

    `folder` must not exist, or be empty, when the block ends. Raises OSError if it cannot be written.
    """
    folder = folder.absolute()
    draft = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        yield draft
        for path in draft.rglob("*"):
            sync(path)
        if folder.is_dir():
            folder.rmdir()  # Windows renames onto nothing
        draft.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
