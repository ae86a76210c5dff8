"""The user's cache: made once, whoever asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from silr.io.cache import cache_folder, made_once

MAKE = """if True:
    import sys, time
    from pathlib import Path
    from silr.io.cache import made_once

    def make(folder):
        time.sleep(0.5)
        (folder / "content").write_text("whole")
        print("made", flush=True)

    print(made_once(Path(sys.argv[1]), make) / "content")
"""


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "silr"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "silr"


def test_of_two_processes_one_makes_it(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "model"
    command = [sys.executable, "-c", MAKE, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = sorted(process.communicate()[0] for process in processes)
    assert answers == [f"{folder}/content\n", f"made\n{folder}/content\n"]
    assert (folder / "content").read_text() == "whole"


def test_what_fails_is_made_at_the_next_call(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "content").write_text("half")
        raise ValueError

    with pytest.raises(ValueError):
        made_once(tmp_path / "model", fail)
    assert not (tmp_path / "model").exists()
    made_once(tmp_path / "model", lambda folder: None)
    assert (tmp_path / "model").is_dir()
