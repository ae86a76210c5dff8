"""`silr label` where there is no fcntl, termios or SIGHUP, as on Windows; its way to read keys is stood in for."""

import json
import os
import signal
import subprocess
import sys
import termios

import pytest
from labelling import gold_of, make_table

from silr.label.journal import journal_path
from tests.label.test_terminal import READY, Terminal

pytestmark = pytest.mark.slow

WITHOUT = """
import os, signal, subprocess, sys
for name in ("fcntl", "termios", "tty", "pty", "resource", "pwd", "grp"):
    sys.modules[name] = None
del signal.SIGHUP, os.pread, os.fork
sys.path.append(os.path.dirname(__file__) + "/console")  # subprocess takes its msvcrt for Windows itself
"""
MSVCRT = """
import os, select

def getwch():
    return os.read(0, 1).decode("latin-1")

def kbhit():
    return bool(select.select([0], [], [], 0)[0])
"""
IMPORTS = """if True:
    import importlib, json, pkgutil, sys
    import silr, silr.cli.main, silr.io, silr.label
    names = [module.name for package in (silr.io, silr.label)
             for module in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]
    for name in [*names, "silr.refine.run", "silr.annotators.journal", "silr.cli.label"]:
        importlib.import_module(name)
    print(json.dumps([names, sys.modules.get("fcntl") is None, silr.LabelRefiner.__name__]))
"""


@pytest.fixture(autouse=True)
def without(tmp_path, monkeypatch):
    """Every Python that is started lacks them."""
    folder = tmp_path / "without"
    (folder / "console").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(WITHOUT)
    (folder / "console" / "msvcrt.py").write_text(MSVCRT)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:only soft file lock:UserWarning")  # Windows has another lock


@pytest.fixture
def path(tmp_path):
    return make_table(tmp_path / "t.csv")


class Console(Terminal):
    """In an interpreter that begins without them, not forked from one that has them."""

    def started(self, arguments, terminal, more):
        command = [sys.executable, "-m", "silr", *map(str, arguments)]
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        return subprocess.Popen(command, **streams, env={**os.environ, **more}, start_new_session=True)


def console(person):
    """Wait for the page; then the terminal hands over every key as it comes, as a console does, and shows none."""
    attributes = termios.tcgetattr(person.mine)
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(person.mine, termios.TCSANOW, attributes)
    return person.until(READY)


def test_the_package_loads():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, is_missing, name = json.loads(done.stdout)
    assert {"silr.label.terminal", "silr.label.server", "silr.io.locks"} <= set(names) and is_missing
    assert name == "LabelRefiner"


def test_label_be_killed_and_go_on(path, tmp_path):
    with Console(path, "-n", 4) as person:
        console(person)
        person.press("1")
        assert "1 of 4" in person.press("\x00H")  # an arrow key
        with Console(path) as other:
            assert "another silr label is at work on t.csv.gold.jsonl" in other.until("\n")
            assert other.process.wait(60) == 2
        person.process.send_signal(signal.SIGKILL)
        person.process.wait(60)
    assert not gold_of(path) and journal_path(path).exists()
    with Console(path, "-n", 4) as person:
        assert "1 of 4" in console(person)
        person.press("2")
        os.write(person.mine, b"\x03")
        person.until("interrupted")
        assert person.process.wait(60) == 130
    assert sorted(gold_of(path).values()) == ["negative", "positive"]
    assert {each.name for each in tmp_path.iterdir()} == {"t.csv", "without"}
