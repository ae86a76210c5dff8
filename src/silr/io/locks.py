"""Locks between processes: a file that the operating system locks, on every platform."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from silr.errors import InputError


@contextmanager
def locked(path: Path, busy: str | None, remove: bool = False) -> Iterator[None]:
    """Hold a lock file; the lock goes with the process, however it ends.

    Where the system has no locks of its own, the lock is the file's existence. A killed process can leave that file.

    A file that stays does no harm; with `remove` it goes at the end, while it is held: a process that waits for it then
    makes a new one. `busy` are the error's words if another process holds the lock; None waits for it. Raises
    InputError if another process holds the lock, or the file cannot be written.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if busy is None else 0)
    except Timeout:
        mend = f" (if none is, delete {path})" if isinstance(lock, SoftFileLock) else ""
        raise InputError(f"{busy}{mend}") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):  # Windows removes it at the release
                path.unlink()
        lock.release()
