"""Annotating whole tables, also when the process is killed, interrupted, or the disk is full."""

import json
import re
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import silr.io.progress
from command_line import shared
from silr.annotators import LocalAnnotator, annotate_file, partial_path
from silr.errors import InputError
from silr.io.corpus import read_table

SCRIPT = Path(__file__).with_name("annotating.py")
TEXTS = ["good", "bad", "", "good", 'a, "quoted"\nline', "word " * 200, "  ", "Ünï", "bad"]


@pytest.fixture(scope="module")
def annotator(tiny_llama):
    return LocalAnnotator(tiny_llama, ["no", "yes"])


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.csv"
    pd.DataFrame({"id": ["007"] * 9, "text": TEXTS, "llm_score_old": 1, "llm_label": "x", "note": "NA"}).to_csv(
        path, index=False
    )
    return path


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.jsonl", "out.parquet"])
def test_the_table_gets_labels_scores_features_and_a_description(annotator, source, tmp_path, name):
    before = source.read_bytes()
    summary = annotate_file(source, tmp_path / name, annotator, quiet=True)
    frame, expected = read_table(tmp_path / name), annotator.annotate(TEXTS)
    assert list(frame.columns) == ["id", "text", "note", "llm_label", "llm_score_no", "llm_score_yes", "llm_missing"]
    assert frame["text"].tolist() == TEXTS
    assert frame["id"].tolist() == ["007"] * 9
    assert frame["note"].tolist() == ["NA"] * 9
    scores = frame[["llm_score_no", "llm_score_yes"]].replace("", np.nan).astype(float).to_numpy(np.float32)
    blank = [not text.strip() for text in TEXTS]
    np.testing.assert_array_equal(scores, expected.scores)  # texts in memory are annotated alike
    assert np.isnan(scores).all(axis=1).tolist() == blank
    labels = [None if gone else ["no", "yes"][best] for best, gone in zip(scores.argmax(axis=1), blank, strict=True)]
    assert [label or None for label in frame["llm_label"].fillna("")] == labels
    assert frame["llm_missing"].fillna("").tolist() == ["empty text" if gone else "" for gone in blank]
    features = np.load(tmp_path / "out.features.npy")
    assert features.dtype == np.float16 and np.isfinite(features).all()
    np.testing.assert_array_equal(features, expected.features)
    described = json.loads((tmp_path / "out.annotator.json").read_text())
    assert described["counts"] == {
        "rows": 9,
        "duplicates": 2,
        "empty": 2,
        "cut": 1,
        "missing": 2,
        "labels": summary.labels,
        "missing_reasons": {"empty text": 2},
    }
    assert described["feature_blocks"] == [{"name": "last", "width": 32}, {"name": "mean", "width": 32}]
    again = LocalAnnotator.from_description(described).annotate(TEXTS)
    np.testing.assert_array_equal(again.scores, expected.scores)
    np.testing.assert_array_equal(again.features, expected.features)
    assert sum(summary.labels.values()) == summary.texts.total - 2 == 7
    assert (summary.n_cut, summary.n_resumed) == (1, 0)
    assert (summary.output, summary.features) == (tmp_path / name, tmp_path / "out.features.npy")
    assert source.read_bytes() == before
    assert not partial_path(tmp_path / name).exists()


def test_without_features(annotator, source, tmp_path):
    summary = annotate_file(source, tmp_path / "out.csv", annotator, save_features=False, quiet=True)
    assert summary.features is None
    assert not (tmp_path / "out.features.npy").exists()


def test_bad_requests_are_refused_before_any_work(annotator, source, tmp_path):
    for output, options, message in (
        ("out.txt", {}, "txt"),
        ("absent/out.csv", {}, "cannot write"),
        ("out.csv", {"text_column": "body"}, "no column 'body'"),
    ):
        with pytest.raises(InputError, match=message):
            annotate_file(source, tmp_path / output, annotator, **options)
        assert not (tmp_path / "out.features.npy").exists()


def test_progress_goes_to_stderr_in_plain_lines_or_nowhere(annotator, source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(silr.io.progress, "LINE_SECONDS", 0)
    annotate_file(source, tmp_path / "out.csv", annotator)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^Annotating: 7 of 7 texts, [\d.,]+ texts/s, 0 s left\n\Z", err, re.MULTILINE), err
    annotate_file(source, tmp_path / "out.csv", annotator, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_gold_labels_that_are_there_already_tell_how_good_the_llm_is(annotator, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(silr.io.progress, "LINE_SECONDS", 0)
    answers = annotator.annotate(TEXTS).scores.argmax(axis=1)
    gold = [["no", "yes"][answer] for answer in answers]
    gold[1:4] = [["yes", "no"][answers[1]], None, "a class of something else"]
    frame = pd.DataFrame({"text": TEXTS, "gold": gold, "gold_weight": [3, 4, *[1] * 7]})
    frame.to_csv(tmp_path / "in.csv", index=False)
    summary = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator)
    assert summary.right.labels == 7 and summary.right.share == pytest.approx(7 / 12)
    low, high = summary.right.interval
    assert 0 < low < 7 / 12 < high < 1  # another class than the LLM may give counts as wrong
    assert summary.gold_outside == {"a class of something else": 1}
    assert capsys.readouterr().err.endswith(f", 58.3% right ({low:.0%} to {high:.0%}, 7 checked)\n")
    frame["gold_weight"] = [0, 4, None, *[1] * 6]  # without a weight a gold label does not judge
    frame.to_csv(tmp_path / "in.csv", index=False)
    right = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator).right
    assert right.labels == 6 and right.share == pytest.approx(4 / 9)
    frame.drop(columns="gold").to_csv(tmp_path / "in.csv", index=False)
    assert annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator).right is None


class Session:
    """A process that annotates 1,000 texts, and the files it leaves."""

    def __init__(self, folder, model):
        rng = np.random.default_rng(0)
        words = np.array(["good", "bad", "of", "stuff", "never", "it"])
        texts = [" ".join(rng.choice(words, rng.integers(1, 25))) for _ in range(1000)]
        self.source, self.output = folder / "in.csv", folder / "out.csv"
        self.partial, self.model = partial_path(self.output), model
        pd.DataFrame({"text": texts}).to_csv(self.source, index=False)

    def start(self, **options):
        return shared().start(self.source, self.output, self.model, script=SCRIPT, **options)

    def records(self):
        scores = self.partial / "scores"
        return scores.stat().st_size // 16 if scores.exists() else 0

    def stop(self, number, records):
        """Start, and send the signal once so many records are there; the exit code and what was said."""
        process = self.start()
        while process.poll() is None and self.records() < records:
            time.sleep(0.002)
        process.send_signal(number)
        _, said = process.communicate()
        return process.returncode, said

    def last_words(self, **options):
        return self.start(**options).communicate()[1].strip().rpartition("\n")[2]

    def finish(self):
        assert self.last_words() == ""
        files = self.output, self.output.with_name("out.features.npy"), self.output.with_name("out.annotator.json")
        return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_llama):
    return Session(tmp_path_factory.mktemp("whole"), tiny_llama).finish()


def test_killed_and_interrupted_it_ends_as_if_nothing_had_been(tmp_path, tiny_llama, uninterrupted):
    session = Session(tmp_path, tiny_llama)
    rng = np.random.default_rng()
    for number in (signal.SIGKILL, signal.SIGINT):
        before = session.records()
        code, said = session.stop(number, before + int(rng.integers(1, 200)))
        assert code == (-number if number == signal.SIGKILL else 1)
        assert number == signal.SIGKILL or said.endswith("KeyboardInterrupt\n")
        assert session.records() > before
        assert not session.output.exists()
    texts = np.fromfile(session.partial / "scores", np.dtype([("text", "<i8"), ("scores", "<f4", 2)]))["text"]
    assert len(set(texts)) == len(texts)  # none was annotated twice
    assert session.finish() == uninterrupted
    assert not session.partial.exists()


def test_a_full_disk_loses_nothing(tmp_path, tiny_llama, uninterrupted):
    session = Session(tmp_path, tiny_llama)
    assert "InputError: cannot write" in session.last_words(file_size=50_000)  # stands for a full disk
    assert session.records() > 250
    assert session.finish() == uninterrupted


def test_another_table_or_prompt_does_not_reuse_what_is_there(tmp_path, tiny_llama, annotator):
    session = Session(tmp_path, tiny_llama)
    session.stop(signal.SIGKILL, 100)
    with pytest.raises(InputError, match="unfinished annotation of other texts, or by another model or prompt"):
        annotate_file(session.source, session.output, annotator)  # another token budget
    session.source.write_text("text\nanother\n")
    assert "unfinished annotation" in session.last_words()
    assert session.records() >= 100
