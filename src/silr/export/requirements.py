"""The packages that an exported folder needs, with the versions that made it, as a file for pip."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

FILE = "requirements.txt"
SKLEARN = ("scikit-learn", "skops")  # of any folder with a head of scikit-learn


def write_requirements(folder: Path, packages: Sequence[str]) -> None:
    """Write ``requirements.txt`` into an existing folder.

    Parameters
    ----------
    folder : Path
    packages : sequence of str
        Names as pip knows them, with extras where these are needed, as in ``silr[export,local]``.
    """
    lines = [pinned(name) for name in dict.fromkeys(packages)]
    (folder / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def pinned(name: str) -> str:
    """A package with its installed version; without one where it is not installed.

    The local part of a version, such as ``+cpu`` of PyTorch, is left out: package indexes know the rest.

    Examples
    --------
    >>> pinned("a-package-that-is-missing")
    'a-package-that-is-missing'
    """
    try:
        version = metadata.version(name.partition("[")[0])
    except metadata.PackageNotFoundError:
        return name
    return f"{name}=={version.partition('+')[0]}"
