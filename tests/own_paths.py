"""What a folder that goes to others must not hold: paths of the machine that made it."""

from __future__ import annotations

import zipfile
from pathlib import Path


def own_paths(folder: Path, *paths: str | Path) -> list[str]:
    """Files with one of the paths, the home directory, or the repository's, in their name or text."""
    wanted = {str(each).encode() for each in (*paths, Path.home(), Path(__file__).parents[1]) if len(str(each)) > 1}
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    content = b"".join(map(archive.read, archive.namelist()))
            found += [file.name for path in wanted if path in content or path in str(file.relative_to(folder)).encode()]
    return sorted(set(found))
