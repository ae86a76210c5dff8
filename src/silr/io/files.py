"""Files and folders: a reader sees the old one or the whole new one; errors in one line."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from silr.errors import InputError
from silr.io.drafts import new_folder, open_draft, remove_drafts

Json: TypeAlias = dict[str, Any]  # an object of JSON


@contextmanager
def os_errors(failure: str, advice: str = "") -> Iterator[None]:
    """Turn an OSError of the block into an InputError with one line: the failure, its reason, and the advice."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or f"{error}; is the disk full?"  # NumPy counts bytes and gives no reason
        raise InputError(f"{failure}: {reason}{advice}") from error


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file beside `path` that becomes `path` when the block ends without an error.

    The file is flushed to disk (fsync) before the rename, and the directory after it. If the block raises, `path` is
    untouched and the temporary file is removed. What killed processes left of theirs is removed, too.

    Raises InputError if the folder does not exist or cannot be written, or the disk is full.
    """
    path = Path(path)
    with os_errors(f"cannot write {path}"):
        remove_drafts(path)
        draft, opened = open_draft(path)
        try:
            with opened as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync(path.parent)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder beside `folder` that takes its name, on the disk, when the block ends without an error.

    Otherwise it is removed. What a killed process left of it is removed, too.

    `folder` must not exist, or be empty, when the block ends. Raises OSError if it cannot be written, and InputError if
    another process writes it.
    """
    folder = folder.absolute()
    draft = folder.with_name(f".{folder.name}.tmp")
    with new_folder(draft, f"another process writes {folder}; wait for it or stop it"):
        try:
            yield draft
            for path in draft.rglob("*"):
                sync(path)
            if folder.is_dir():
                folder.rmdir()  # Windows renames onto nothing
            draft.rename(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def check_writable(path: str | Path) -> None:
    """Raise InputError if a file could not be written, before the work that it is for."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    with os_errors(f"cannot write {path}"):
        tempfile.TemporaryFile(dir=path.parent).close()


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_write(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a file that this package wrote, or say what to do where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; delete it and run again") from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there."""
    with os_errors(f"cannot make the folder {path}"):
        path.mkdir(parents=True, exist_ok=True)


def sync(path: Path) -> None:
    """Flush a file to disk, or a directory, so that a rename in it survives a power cut."""
    if os.name == "nt":  # flushes neither directories nor files opened for reading
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
