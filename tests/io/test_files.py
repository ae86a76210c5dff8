"""Atomic writes: the old file or the whole new one."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from silr.errors import InputError
from silr.io.files import atomic_write, make_folder, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_content_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_inside_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "atomic") as file:
        file.write(b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent" / "a.json", tmp_path / "file" / "a.json"):
        with pytest.raises(InputError, match=r"^cannot write .*a\.json: (No such file|Not a directory)"):
            write_json(path, {})
    with pytest.raises(InputError, match=r"^cannot make the folder .*: (Not a directory|File exists)"):
        make_folder(tmp_path / "file" / "folder")
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match=r"^cannot write .*taken"):
        write_json(tmp_path / "taken", {})
    assert names(tmp_path) == ["file", "taken"]


def test_json_is_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    content = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(content) == {"ä": [1, None]} and "ä" in content and content.endswith("}\n")


def test_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files in a process of its own stands for it; NumPy writes arrays past Python's files."""
    (tmp_path / "a.npy").write_bytes(b"old")
    script = """if True:
        import resource, sys
        import numpy as np
        from silr.errors import InputError
        from silr.io.files import atomic_write
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        for write in (lambda file: file.write(bytes(20_000)), lambda file: np.save(file, np.zeros(20_000))):
            try:
                with atomic_write(sys.argv[1]) as file:
                    write(file)
            except InputError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.npy")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith(f"cannot write {tmp_path / 'a.npy'}: ") for line in lines)
    assert "File too large" in lines[0] and lines[1].endswith("is the disk full?")
    assert names(tmp_path) == ["a.npy"] and (tmp_path / "a.npy").read_bytes() == b"old"


def test_what_killed_processes_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom silr.io.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n    file.write(b'half'), print('ready', flush=True)\n"
        "    sys.stdin.readline() or os.kill(os.getpid(), 9)\n"
    )
    path, own = tmp_path / "a.bin", tmp_path / ".a.bin.mine.tmp"
    own.touch()
    (tmp_path / ".other.bin.0123456789abcdef.tmp").touch()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) for _ in range(2)]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    killed, alive = writers
    killed.communicate()
    drafts = set(tmp_path.glob(".a.bin.*.tmp"))
    with atomic_write(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole" and len(drafts & set(tmp_path.iterdir())) == 2 == len(drafts) - 1
    alive.communicate(b"\n")
    assert names(tmp_path) == [".a.bin.mine.tmp", ".other.bin.0123456789abcdef.tmp", "a.bin"]
    assert path.read_bytes() == b"half"
