"""Long work on many texts, a chunk at a time: each is kept on the disk as it comes, so that nothing is read twice."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.io.files import atomic_write, make_folder
from silr.io.progress import progress
from silr.io.texts import distinct

TEXTS, CHARACTERS = 128, 100_000  # of a chunk, at most; a longer text is one alone

Compute = Callable[[NDArray[np.int64]], NDArray[np.number]]


def in_chunks(
    texts: Sequence[str],
    make: Callable[[list[str]], Compute],
    *,
    identity: str,
    folder: Path,
    name: str = "Reading",
    quiet: bool = False,
) -> NDArray[np.number]:
    """Compute one row a text, shape (n, d); equal texts are read once, and long ones first.

    Chunks lie in `folder` under a hash of `identity` and their texts: what is found there is right, whoever made it.
    One that is cut off is made again. The caller removes the folder when it has what it came for (`kept_in`).

    `make` takes the distinct texts, and returns what takes positions among them and gives their rows. It is called only
    if there is something to compute. `identity` is all else that decides the rows.
    """
    unique, where = distinct(texts)
    parts = _chunks(unique)
    keys = [_key(identity, [unique[at] for at in rows]) for rows in parts]
    computed = [_kept(folder / key, len(rows)) for key, rows in zip(keys, parts, strict=True)]
    sizes = [sum(len(unique[at]) + 1 for at in rows) for rows in parts]
    known = [at for at, rows in enumerate(computed) if rows is not None]
    done, before = sum(len(parts[at]) for at in known), sum(sizes[at] for at in known)
    if len(parts) > 1:
        make_folder(folder)
    with progress(name, sum(sizes), "texts", done=before, state=_state(done, unique), quiet=quiet) as advance:
        compute = cache(lambda: make(unique))
        for at, positions in enumerate(parts):
            if at not in known:
                computed[at] = rows = np.asarray(compute()(positions))
                if len(parts) > 1:
                    with atomic_write(folder / keys[at]) as file:
                        np.save(file, rows, allow_pickle=False)
                done += len(positions)
                advance(sizes[at], len(positions), _state(done, unique))
    together = np.concatenate([rows for rows in computed if rows is not None])
    return np.asarray(together[np.argsort(np.concatenate(parts))][where])


@contextmanager
def kept_in(folder: Path) -> Iterator[Path]:
    """Remove the folder of chunks if the block ends without an error."""
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _chunks(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Positions, those of the longest texts first."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    parts, start, size = [], 0, 0
    for at, row in enumerate(order):
        size += len(texts[row])
        if at > start and (size > CHARACTERS or at - start >= TEXTS):
            parts.append(order[start:at])
            start, size = at, len(texts[row])
    return [*parts, order[start:]]


def _key(identity: str, texts: Sequence[str]) -> str:
    whole = blake2b(identity.encode(), digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(data) + data)
    return f"{whole.hexdigest()}.npy"


def _kept(path: Path, n: int) -> NDArray[np.number] | None:
    """What a chunk holds; None if it is not there, or not whole."""
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) == n else None


def _state(done: int, unique: Sequence[str]) -> str:
    return f"{done:,} of {len(unique):,} texts"
