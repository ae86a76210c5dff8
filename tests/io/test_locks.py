"""Locks between processes, on systems with locks of their own and without."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from silr.errors import InputError
from silr.io.locks import locked

HOLD = """if True:
    import sys, warnings
    if sys.argv[2] == "no fcntl":
        sys.modules["fcntl"] = None
        warnings.simplefilter("ignore")  # filelock says that it is missing
    from pathlib import Path
    from silr.errors import InputError
    from silr.io.locks import locked
    try:
        with locked(Path(sys.argv[1]), "somebody is at work"):
            print("mine", flush=True)
            sys.stdin.read()
    except InputError as error:
        print(error, flush=True)
"""
SYSTEMS = pytest.mark.parametrize("system", ["plain", "no fcntl"])


def hold(path: Path, system: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path), system]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@SYSTEMS
def test_the_second_is_refused_at_once_and_a_killed_one_blocks_nobody(tmp_path: Path, system: str) -> None:
    path = tmp_path / "lock"
    with hold(path, system) as first:
        assert first.stdout is not None and first.stdout.readline() == "mine\n"
        with hold(path, system) as second:
            mend = f" (if none is, delete {path})" if system == "no fcntl" else ""
            assert second.communicate()[0] == f"somebody is at work{mend}\n"
        first.kill()
    for _ in range(2):  # also after one that ended by itself
        with hold(path, system) as later:
            assert later.communicate()[0] == "mine\n"


@SYSTEMS
def test_a_file_of_a_machine_that_is_gone(tmp_path: Path, system: str) -> None:
    """Nobody can know whether that process lives, where the file is all there is: the message says what to do."""
    path = tmp_path / "lock"
    path.write_text("12345\nanother-machine\n")
    with hold(path, system) as process:
        answer = process.communicate()[0]
    assert answer == ("mine\n" if system == "plain" else f"somebody is at work (if none is, delete {path})\n")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "lock", tmp_path / "folder"):
        with pytest.raises(InputError, match=f"^cannot write {path}: .+"), locked(path, "busy"):
            pass


def test_a_lock_that_is_removed(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", "busy", remove=True):
        assert (tmp_path / "lock").exists()
        with pytest.raises(InputError, match="busy"), locked(tmp_path / "lock", "busy", remove=True):
            pass
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_waiting(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", "plain") as first:
        assert first.stdout is not None and first.stdout.readline() == "mine\n"
        subprocess.Popen(["/bin/sh", "-c", f"sleep 0.5; kill {first.pid}"])
        began = time.monotonic()
        with locked(tmp_path / "lock", busy=None):
            assert time.monotonic() - began > 0.2
