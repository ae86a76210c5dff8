"""Folders of long work: made for one input and its settings, by one process at a time, and resumed after a kill."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from silr.errors import InputError
from silr.io.files import os_errors, read_json, write_json
from silr.io.locks import locked


class Kind(NamedTuple):
    """A kind of folder: its files, and the words of refusals."""

    manifest: str
    lock: str
    busy: str  # another process works on it; "{}" stands for the folder
    other: str  # it has another identity; follows the folder's name. "{}" stands for the values that differ.
    foreign: str = ""  # it holds something else; follows the folder's name. "": whatever it holds is taken over.
    noun: str = "folder"  # the kind's name where it cannot be made
    later: Collection[str] = ()  # keys that identities of earlier versions lack; they differ only where both have them


@contextmanager
def resumable(
    folder: Path,
    kind: Kind,
    identity: object,
    *,
    stored: Callable[[], object] | None = None,
    record: Callable[[object], object] = lambda identity: identity,
    begun: Callable[[], bool] = lambda: True,
    clear: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Make a folder, or resume one of the same identity, and keep other processes out during the block.

    The identity is all that decides the content, as JSON values. `stored` returns the one in the manifest, by default
    the manifest itself; `record` makes the manifest of it. `begun` tells whether a folder with a manifest holds
    something that another identity would not have made; one that does not takes a new identity. `clear` removes the
    leftovers of another identity.

    Raises InputError if the folder holds something else, or was made with another identity, or another process works on
    it; nothing in it is changed. Or it cannot be written.
    """
    manifest = folder / kind.manifest
    identity = json.loads(json.dumps(identity))
    stored = stored or (lambda: read_json(manifest))
    with os_errors(f"cannot make the {kind.noun} {folder}"):
        if manifest.exists():
            stored()  # refuses the manifest of something else
        elif kind.foreign and folder.exists():
            killed_at_once = (kind.lock, f".{kind.manifest}.")
            if not all(path.name.startswith(killed_at_once) for path in folder.iterdir()):
                raise InputError(f"{folder} {kind.foreign}; give a new folder")
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / kind.lock, kind.busy.format(folder)):
        exists = manifest.exists()
        changed = differences(stored(), identity, kind.later) if exists else []
        if changed and begun():
            raise InputError(f"{folder} {kind.other.format(', '.join(changed))}")
        for draft in folder.glob(f".{kind.manifest}.*.tmp"):
            draft.unlink(missing_ok=True)
        if changed or not exists:
            clear()
            write_json(manifest, record(identity))
        yield


def differences(old: object, new: object, later: Collection[str] = (), name: str = "") -> list[str]:
    """Return the names of the values that are not alike, nested ones with dots.

    Keys in `later` do not count where `old` lacks them; `name` is that of the values themselves.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if key in old or key not in later]
        pairs = [(old.get(key), new.get(key), f"{name}.{key}".lstrip(".")) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and dict in map(type, new):
        pairs = [(one, other, name) for one, other in zip(old, new, strict=True)]
    else:
        return [] if old == new else [name]
    return [different for one, other, inner in pairs for different in differences(one, other, later, inner)]
