"""`silr label --terminal` on a pseudo-terminal, as a person uses it over ssh."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from labelling import draws_of, gold_of, label_commands, label_in_rounds, make_table

from silr.io.corpus import write_table
from silr.label.journal import journal_path

pytestmark = pytest.mark.slow


class Terminal:
    def __init__(self, *arguments):
        self.mine, theirs = pty.openpty()
        self.process = self.started(["label", *arguments, "--terminal"], theirs, {"COLUMNS": "60", "LINES": "20"})
        os.close(theirs)
        self.shown = ""

    def started(self, arguments, terminal, more):
        return label_commands().start(*arguments, terminal=terminal, more=more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.mine)

    def until(self, said, seconds=20):
        """Read until the terminal shows what matches `said`; return what came since the last time."""
        began, new = time.monotonic(), ""
        while not re.search(said, new):
            assert time.monotonic() - began < seconds, new
            if select.select([self.mine], [], [], 0.2)[0]:
                try:
                    new += os.read(self.mine, 65536).decode(errors="replace")
                except OSError:
                    break
        assert re.search(said, new), new
        self.shown += new
        return new

    def press(self, keys, said=r"z save and stop\r\n"):
        os.write(self.mine, keys.encode())
        return self.until(said)


READY = r"z save and stop\r\n"


def test_label_undo_skip_and_finish(tmp_path):
    path = make_table(tmp_path / "t.csv")
    with Terminal(path, "-n", 3) as person:
        first = person.until(READY)
        assert "0 of 3" in first and "1 negative   2 positive" in first and "text number" in first
        assert "LLM" not in first
        assert "-> positive" in person.press("2") and "1 of 3" in person.shown
        back = person.press("u")
        assert re.search(r"text number \d+", first)[0] in back and "0 of 3" in back
        skipped = person.press("s")
        assert "1 skipped" in skipped and re.search(r"text number \d+", first)[0] not in skipped
        assert person.press("\x1b[A?", READY)  # other keys do nothing but show it again
        person.press("1")
        person.press("2")
        person.press("2", "Enter finish")
        assert len(gold_of(path)) == 3
        person.press("m")
        os.write(person.mine, b"z")
        person.until("written:")
        assert person.process.wait(20) == 0
    assert sorted(gold_of(path).values()) == ["negative", "positive", "positive"]


def test_the_key_is_the_class_and_the_question_is_the_llms(tmp_path):
    path = tmp_path / "t.csv"
    write_table(pd.DataFrame({"text": [f"text {k}" for k in range(40)], "llm_label": [k % 2 for k in range(40)]}), path)
    record = {"classes": ["0", "1"], "question": "Is it rude (1) or not (0)?", "prompt": "{question} {text}"}
    (tmp_path / "t.annotator.json").write_text(json.dumps(record))
    with Terminal(path, "-n", 2) as person:
        first = person.until(READY)
        assert "Is it rude (1) or not (0)?" in first and "0 0   1 1" in first
        assert "-> 1" in person.press("1")
        person.press("0", "Enter finish")
        os.write(person.mine, b"\r")
        person.until("written:")
    assert sorted(gold_of(path).values()) == ["0", "1"]


def test_adaptive_draws_go_on_with_undo_and_skip(tmp_path):
    path = make_table(tmp_path / "t.csv")
    rows = label_in_rounds(path)
    with Terminal(path, "-n", 44) as person:
        first = re.search(r"text number \d+", person.until(READY))[0]
        second = re.search(r"text number \d+", person.press("2"))[0]
        assert first in person.press("u")
        assert second in person.press("1")
        person.press("s")
        person.press("1")
        person.press("2")
        person.press("2", "Enter finish")
        os.write(person.mine, b"\r")
        assert "drawn by how unsure their label was" in person.until("written:")
        assert person.process.wait(20) == 0
    draws = {row: draw for row, (_, draw, _) in draws_of(path).items() if row not in rows}
    assert sorted(draws.values()) == [21, 23, 24, 25]  # 22 was skipped
    assert gold_of(path)[int(first.split()[-1])] == "negative" and int(second.split()[-1]) not in draws


@pytest.mark.parametrize(("how", "code"), [("ctrl-c", 130), ("hangup", 130), ("kill", -signal.SIGKILL)])
def test_interrupted(tmp_path, how, code):
    path = make_table(tmp_path / "t.csv")
    with Terminal(path) as person:
        person.until(READY)
        person.press("1")
        person.press("2")
        if how == "ctrl-c":
            os.write(person.mine, b"\x03")
            person.until("interrupted")
        else:
            person.process.send_signal(signal.SIGHUP if how == "hangup" else signal.SIGKILL)
        assert person.process.wait(20) == code
    assert (len(gold_of(path)) == 2) is (how != "kill")
    assert journal_path(path).exists() is (how == "kill")
    with Terminal(path) as person:
        assert "2 of 100" in person.until(READY)


def test_texts_cannot_steer_the_terminal(tmp_path):
    hostile = ["\x1b]0;owned\x07\x1b[2Jtext\x9b31m", "word " * 10_000, ""]
    path = make_table(tmp_path / "t.jsonl", 3, texts=hostile)
    with Terminal(path) as person:
        shown = [person.until(READY)]
        shown += [person.press("s"), person.press("s"), person.press("s", "Enter finish")]
        assert "Done" in shown[-1]
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", person.shown)
        assert "(this text is empty)" in person.shown and "\ufffd]0;owned\ufffd" in person.shown
        assert max(map(len, shown)) < 3000 and re.search(r"v: \d+ more screens", person.shown)


def test_without_a_terminal(tmp_path):
    path = make_table(tmp_path / "t.csv")
    command = [sys.executable, "-m", "silr", "label", str(path), "--terminal"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (2, "silr: --terminal needs a terminal to read keys from\n")
