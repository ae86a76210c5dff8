"""Temporary files and folders that take a name: who writes one holds its lock, so those of killed processes are known.

The lock is that of the file or folder itself (flock): no lock file stays. Where there is none, as on some network file
systems, a file that was left stays.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import IO

from silr.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
KEEPS_OPEN = os.name == "nt"  # it removes no open file, so that nothing need be locked


def open_draft(path: Path) -> tuple[Path, IO[bytes]]:
    """Open a new file beside `path`, such as ".labels.csv.0123456789abcdef.tmp", that is locked until it is closed."""
    while True:
        draft = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
        file = draft.open("xb")
        if fcntl is None:
            return draft, file
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return draft, file
        file.close()  # before it was locked, another process took it for a dead one's


def remove_drafts(path: Path) -> None:
    """Remove the drafts of `path` that killed processes left; those of living ones stay."""
    if fcntl is None and not KEEPS_OPEN:
        return
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.tmp")
    for draft in filter(lambda draft: name.fullmatch(draft.name), _drafts_in(path.parent.absolute())):
        with suppress(OSError):
            if fcntl is None:
                draft.unlink()
                continue
            with draft.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()


@lru_cache(maxsize=64)
def _drafts_in(folder: Path) -> list[Path]:
    """Those there when this process first wrote into a folder: it may have thousands of files, and be written often."""
    return [path for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(".tmp")]


@contextmanager
def new_folder(path: Path, busy: str) -> Iterator[None]:
    """Make a folder anew, in the place of a killed process's, and hold its lock until it is whole or given up.

    An InputError with the words `busy` if another process has it.
    """
    with _lock_of(path, busy):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    with _lock_of(path, busy):
        yield


@contextmanager
def _lock_of(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a folder, if there is one and locks are at hand."""
    if fcntl is None or not path.is_dir():
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(busy) from None
        except OSError:  # a file system without locks
            pass
        if not path.is_dir() or not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise InputError(busy)  # another process has made it anew
        yield
    finally:
        os.close(descriptor)
