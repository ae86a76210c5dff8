"""The journal of labels: who may write it, and journals of earlier versions."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from silr.errors import InputError
from silr.label.journal import LabelJournal

EVENTS = [{"do": "label", "row": 3, "gold": "böse"}, {"do": "skip", "row": 5}]
HOLD = """if True:
    import sys
    from pathlib import Path
    from silr.label.journal import LabelJournal
    journal = LabelJournal(Path(sys.argv[1]), "hash")
    journal.append({"do": "skip", "row": 7})
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labelled.csv.gold.jsonl"


def test_a_journal_of_version_0_1_goes_on(path):
    """It was locked itself; there was no file beside it."""
    lines = [{"silr": "gold journal", "texts": "hash"}, *EVENTS]
    path.write_bytes(b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines))
    journal = LabelJournal(path, "hash")
    assert journal.events == EVENTS
    journal.append({"do": "undo", "row": 5})
    journal.close()
    journal = LabelJournal(path, "hash")
    assert journal.events == [*EVENTS, {"do": "undo", "row": 5}]
    journal.close()


def test_only_the_journal_stays_and_only_if_it_holds_something(path):
    journal = LabelJournal(path, "hash")
    journal.append(EVENTS[0])
    journal.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    journal = LabelJournal(path, "hash")
    journal.shorten([])
    journal.close()
    assert not list(path.parent.iterdir())


def test_the_lock_goes_with_a_killed_process(path):
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(
            InputError, match=r"^another silr label is at work on labelled\.csv\.gold\.jsonl; finish that"
        ):
            LabelJournal(path, "hash")
        process.kill()
    assert path.with_name(f"{path.name}.lock").exists()
    journal = LabelJournal(path, "hash")
    assert journal.events == [{"do": "skip", "row": 7}]
    journal.close()


def test_a_refusal_leaves_nothing_behind(path):
    path.write_text("hello\n")
    with pytest.raises(InputError, match="line 1: not a journal"):
        LabelJournal(path, "hash")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with pytest.raises(InputError, match=f"^cannot write {path.parent}/no/a.jsonl: No such file"):
        LabelJournal(path.parent / "no" / "a.jsonl", "hash")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
