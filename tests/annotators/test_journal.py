import json
import subprocess
import sys

import numpy as np
import pytest

from silr.annotators.cost import COUNTS, Cost
from silr.annotators.journal import Journal
from silr.annotators.provenance import Provenance, Snapshot
from silr.errors import InputError

META = {"texts": "hash", "annotator": {"classes": ["a", "b"]}}


def batch(start, stop, width=3):
    texts = np.arange(start, stop)[::-1].copy()
    scores = np.stack([texts, -texts], axis=1).astype(np.float32)
    return texts, scores, np.repeat(texts[:, None], width, axis=1).astype(np.float16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out.csv.partial"


def test_records_come_back_in_order_and_across_sessions(folder, tmp_path):
    with Journal(folder, META, 2, 3) as journal:
        journal.append(*batch(0, 4))
        assert journal.read()[0].tolist() == [3, 2, 1, 0]
    with Journal(folder, META, 2, 3) as journal:
        journal.append(*batch(4, 6))
        texts, scores = journal.read()
        journal.write_features(tmp_path / "out.npy", np.argsort(texts)[[5, 0, 0, 2]])
        journal.remove()
    assert texts.tolist() == [3, 2, 1, 0, 5, 4]
    np.testing.assert_array_equal(scores[:, 0], texts)
    assert np.load(tmp_path / "out.npy").tolist() == [[5.0] * 3, [0.0] * 3, [0.0] * 3, [2.0] * 3]
    assert not folder.exists()


@pytest.mark.parametrize(("scores_lost", "features_lost", "left"), [(0, 1, 3), (1, 0, 3), (17, 0, 2), (0, 24, 0)])
def test_a_torn_end_is_cut_to_the_last_whole_record(folder, scores_lost, features_lost, left):
    with Journal(folder, META, 2, 3) as journal:
        journal.append(*batch(0, 4))
    for name, lost in (("scores", scores_lost), ("features", features_lost)):
        with (folder / name).open("r+b") as file:
            file.truncate((folder / name).stat().st_size - lost)
    with Journal(folder, META, 2, 3) as journal:
        assert journal.read()[0].tolist() == [3, 2, 1, 0][:left]
        assert (folder / "features").stat().st_size == left * 6


def test_without_features(folder):
    with Journal(folder, META, 2, 0) as journal:
        journal.append(*batch(0, 4, width=0))
    with Journal(folder, META, 2, 0) as journal:
        assert len(journal.read()[0]) == 4


@pytest.mark.parametrize("content", [json.dumps({**META, "texts": "other"}), "{", ""])
def test_another_annotation_is_left_alone(folder, content):
    with Journal(folder, META, 2, 3) as journal:
        journal.append(*batch(0, 4))
    (folder / "meta.json").write_text(content)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(InputError, match="unfinished annotation of other texts"):
        Journal(folder, META, 2, 3)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    (folder / "meta.json").unlink()
    with Journal(folder, META, 2, 3) as journal:  # no meta.json: all used or not begun
        assert not len(journal.read()[0])


def test_texts_that_were_cut_are_remembered(folder):
    with Journal(folder, META, 2, 0) as journal:
        assert journal.cut().tolist() == []
        journal.note_cut(np.array([5, 2]))
        journal.append(*batch(0, 6, width=0))
    with (folder / "cut").open("ab") as file:
        file.write(b"torn")
    with Journal(folder, META, 2, 0) as journal:
        assert journal.cut().tolist() == [5, 2]


def test_who_answered_is_remembered_also_after_torn_lines(folder):
    noted = [(5, "m-1", 10.0), (2, "m-1", 11.0), (5, "m-2", 12.0)]  # 5 was asked again
    for text, model, asked in noted:
        with Journal(folder, META, 2, 0) as journal:
            provenance = Provenance()
            provenance.add(Snapshot(model), asked, ["seed"])
            journal.note_provenance(text, provenance)
            journal.append(np.array([text]), np.zeros((1, 2), np.float32), np.empty((1, 0), np.float16))
        with (folder / "answers").open("ab") as file:
            file.write(b'\n{"text": 2, "answers": [["m-3\xc3')
    with Journal(folder, META, 2, 0) as journal:
        values = {text: (list(each.answers), each.first, each.left_out) for text, each in journal.provenance()}
    assert values == {5: ([Snapshot("m-2")], 12.0, {"seed"}), 2: ([Snapshot("m-1")], 11.0, {"seed"})}


def test_a_folder_without_records_stands_in_nobodys_way(folder):
    with Journal(folder, META, 2, 0):
        pass
    with Journal(folder, {**META, "texts": "other"}, 2, 0) as journal:
        journal.append(*batch(0, 1, width=0))
    with pytest.raises(InputError, match="unfinished annotation"):
        Journal(folder, META, 2, 0)


def test_an_error_leaves_no_folder_without_records_unless_something_was_paid(folder):
    with pytest.raises(KeyError), Journal(folder, META, 2, 0) as journal:
        raise KeyError
    assert not folder.exists()
    cost = Cost()
    with pytest.raises(KeyError), Journal(folder, META, 2, 0) as journal, journal.session(cost):
        cost.requests = 1  # refused
        raise KeyError
    assert not folder.exists()
    with pytest.raises(KeyError), Journal(folder, META, 2, 0) as journal, journal.session(cost):
        cost.prompt_tokens = 17
        raise KeyError
    with Journal(folder, META, 2, 0) as journal:
        assert journal.costs()[0][COUNTS.index("prompt_tokens")] == 17


def test_two_processes_do_not_mix(folder):
    with Journal(folder, META, 2, 3), pytest.raises(InputError, match="another process is annotating"):
        Journal(folder, META, 2, 3)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "absent" / "out.partial", tmp_path / "file"):
        with pytest.raises(InputError, match="cannot write"):
            Journal(folder, META, 2, 3)


def test_a_full_disk_keeps_what_is_there(folder):
    """A limit on the size of files stands for the full disk; both end in an OSError while writing."""
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
from tests.annotators.test_journal import META, Journal, batch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with Journal(Path({str(folder)!r}), META, 2, 3) as journal:
    for start in range(0, 1000, 10):
        journal.append(*batch(start, start + 10))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "InputError: cannot write" in done.stderr
    assert "the same command goes on from there" in done.stderr
    with Journal(folder, META, 2, 3) as journal:
        assert 100 < len(journal.read()[0]) < 130
