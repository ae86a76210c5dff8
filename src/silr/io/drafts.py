"""Temporary files that become files: the process that writes one holds its lock, so those of killed ones are known."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import IO

WINDOWS = os.name == "nt"  # it removes no open file, so that nothing need be locked
if not WINDOWS:
    import fcntl


def open_draft(path: Path) -> tuple[Path, IO[bytes]]:
    """Open a new file beside `path`, such as ".labels.csv.0123456789abcdef.tmp", that is locked until it is closed."""
    while True:
        draft = path.with_name(f".{path.name}.{token_hex(8)}.tmp")
        file = draft.open("xb")
        if WINDOWS:
            return draft, file
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return draft, file
        file.close()  # before it was locked, another process took it for a dead one's


def remove_drafts(path: Path) -> None:
    """Remove the drafts of `path` that killed processes left; those of living ones stay."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.tmp")
    for draft in filter(lambda draft: name.fullmatch(draft.name), _drafts_in(path.parent.absolute())):
        with suppress(OSError):
            if WINDOWS:
                draft.unlink()
                continue
            with draft.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()


@lru_cache(maxsize=64)
def _drafts_in(folder: Path) -> list[Path]:
    """Those there when this process first wrote into a folder: it may have thousands of files, and be written often."""
    return [path for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(".tmp")]
