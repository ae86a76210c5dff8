"""Predicting tables: names that are remembered, empty texts, scores, what cannot be written, and going on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import silr.io.chunks
from command_line import Commands
from silr import LabelRefiner
from silr.errors import InputError
from silr.features.sentence import SentenceFeatures
from silr.hf.fingerprint import fingerprint
from silr.refine.predict import predict_table
from silr.refine.table import Columns, refine_table
from synthetic import Corpus, make_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(300, n_gold=40, seed=3)


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on words, of a table whose columns have names of their own."""
    folder = tmp_path_factory.mktemp("predict")
    frame = corpus.table().rename(columns={"text": "review", "llm_label": "machine"})
    frame.to_csv(folder / "table.csv", index=False)
    columns = Columns("review", ("machine",))
    refine_table(folder / "table.csv", folder / "run", columns=columns, features="tfidf")
    return folder


def test_the_columns_of_the_run_are_remembered(folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    labels = pd.read_csv(folder / "run" / "labels.csv")
    said: list[str] = []
    predict_table(folder / "run", folder / "table.csv", tmp_path / "o.csv", say=said.append)
    assert "labels lean on machine, where there is one, and on the features" in said
    scored = pd.read_csv(tmp_path / "o.csv")
    assert (scored.refined_label == labels.refined_label)[labels.gold.isna()].all()
    pd.DataFrame({"text": corpus.texts[:9]}).to_csv(tmp_path / "plain.csv", index=False)
    assert len(predict_table(folder / "run", tmp_path / "plain.csv", tmp_path / "o.csv").frame) == 9
    pd.DataFrame({"body": corpus.texts[:9]}).to_csv(tmp_path / "body.csv", index=False)
    with pytest.raises(InputError, match="no column 'review'"):
        predict_table(folder / "run", tmp_path / "body.csv", tmp_path / "o.csv")
    assert len(predict_table(folder / "run", tmp_path / "body.csv", tmp_path / "o.csv", text="body").frame) == 9


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_empty_texts_and_scores(folder: Path, corpus: Corpus, kind: str, tmp_path: Path) -> None:
    texts = [corpus.texts[0], None, corpus.texts[1], "  \n", corpus.texts[2]]
    frame = pd.DataFrame({"review": texts, "machine": ["positive"] * 5})
    path, output = tmp_path / f"t.{kind}", tmp_path / f"o.{kind}"
    write = {"csv": frame.to_csv, "jsonl": frame.to_json, "parquet": frame.to_parquet}[kind]
    write(path, **({"orient": "records", "lines": True} if kind == "jsonl" else {"index": False}))
    said: list[str] = []
    done = predict_table(folder / "run", path, output, scores=True, say=said.append)
    assert done.empty == 2 and sum(done.labels.values()) == 3
    assert "2 without text: no label, as the column refined_missing says" in said
    read = {"csv": pd.read_csv, "jsonl": lambda file: pd.read_json(file, lines=True), "parquet": pd.read_parquet}[kind]
    scored = read(output)
    assert scored.refined_label.isna().tolist() == [False, True, False, True, False]
    assert scored.refined_missing.fillna("").tolist() == ["", "empty text", "", "empty text", ""]
    parts = scored[["refined_score_negative", "refined_score_positive"]]
    np.testing.assert_allclose(parts.sum(axis=1)[[0, 2, 4]], 1, atol=1e-3)
    np.testing.assert_allclose(parts.max(axis=1)[[0, 2, 4]], scored.refined_score[[0, 2, 4]])
    assert parts.loc[[1, 3]].isna().all().all() and scored.refined_score[[1, 3]].isna().all()
    again = predict_table(folder / "run", folder / "table.csv", output)
    assert "refined_missing" not in again.frame and "refined_score_positive" not in again.frame


def test_the_command_says_what_it_did(commands: Commands, folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    pd.DataFrame({"text": [*corpus.texts[:3], ""]}).to_csv(tmp_path / "t.csv", index=False)
    done = commands("predict", folder / "run", tmp_path / "t.csv", "-o", tmp_path / "o.csv", "--scores", "--json")
    assert (done.code, done.err) == (0, "")
    values = json.loads(done.out)
    assert (values["texts"], values["without_label"], values["warning"]) == (4, 1, None)
    assert sum(values["labels"].values()) == 3
    assert "refined_score_positive" in pd.read_csv(tmp_path / "o.csv")


def test_an_output_that_cannot_be_written_is_found_first(folder: Path, tmp_path: Path) -> None:
    for output, said in ((tmp_path, "it is a folder"), (tmp_path / "no" / "o.csv", "No such file")):
        output = output if output.suffix else tmp_path / "folder.csv"
        if "folder" in said:
            output.mkdir()
        with pytest.raises(InputError, match=f"cannot write .*{said}"):
            predict_table(folder / "run", tmp_path / "there is no such table.csv", output)


class Encoder:
    """In the place of a sentence-transformers model: counts what it reads, and can be interrupted."""

    max_seq_length = 256

    def __init__(self) -> None:
        self.read = 0
        self.left = 10**9

    def encode(self, texts: list[str], **_: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.read += len(texts)
        return np.array(
            [[len(text), text.count("a"), text.count("positive") - text.count("negative")] for text in texts]
        )


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Encoder:
    found = Encoder()
    monkeypatch.setattr("silr.features.sentence._sentence_encoder", lambda model: found)
    return found


def test_an_interrupted_prediction_goes_on(
    corpus: Corpus, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    table = corpus.write(tmp_path)
    refine_table(table, tmp_path / "run", features=[str(tmp_path / "model"), "tfidf"])
    whole = predict_table(tmp_path / "run", table, tmp_path / "o.csv").frame
    monkeypatch.setattr(silr.io.chunks, "TEXTS", 50)
    encoder.left, encoder.read = 3, 0
    with pytest.raises(KeyboardInterrupt):
        predict_table(tmp_path / "run", table, tmp_path / "o.csv")
    kept = tmp_path / "o.csv.predict.partial"
    assert encoder.read == 150 and len(list(kept.iterdir())) == 3
    next(kept.iterdir()).write_bytes(b"cut off")  # as on a full disk
    encoder.left = 10**9
    again = predict_table(tmp_path / "run", table, tmp_path / "o.csv").frame
    distinct = len(set(corpus.texts))
    assert encoder.read == 150 + distinct - 100 and not kept.exists()
    pd.testing.assert_frame_equal(again, whole)
    (tmp_path / "model" / "config.json").write_text('{"another": "model"}')
    with pytest.raises(InputError, match="other weights, or another tokenizer"):
        predict_table(tmp_path / "run", table, tmp_path / "o.csv")
    with pytest.raises(InputError, match=r"made with other input or settings \(features.parts.weights\)"):
        refine_table(table, tmp_path / "run", features=[str(tmp_path / "model"), "tfidf"])


def test_a_run_from_before_there_were_fingerprints(corpus: Corpus, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    table = corpus.write(tmp_path)
    refine_table(table, tmp_path / "run", features=str(tmp_path / "model"))
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["identity"]["features"].pop("weights") == fingerprint(str(tmp_path / "model"))
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    refine_table(table, tmp_path / "run", features=str(tmp_path / "model"))
    assert len(predict_table(tmp_path / "run", table, tmp_path / "o.csv").frame) == 300
    assert SentenceFeatures(str(tmp_path / "model")).record["weights"] is not None


@pytest.mark.parametrize("method", ["uu", "paper"])
def test_a_run_that_was_cut_off_is_refused(
    method: Any, commands: Commands, corpus: Corpus, tmp_path: Path, run_of: Callable[..., Path]
) -> None:
    run = run_of(method)
    LabelRefiner.load(run)
    last = run / "iteration-2"
    last.rename(tmp_path / "away")
    try:
        for use in (
            ("predict", run, run.parent / "table.csv", "-o", tmp_path / "o.csv"),
            ("export", run, tmp_path / "m"),
        ):
            done = commands(*use)
            assert done.code == 2 and "was cut off: it has 1 of 2 iterations" in done.err and done.err.count("\n") == 1
    finally:
        (tmp_path / "away").rename(last)


@pytest.fixture(scope="module")
def run_of(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(method: Any) -> Path:
        folder = tmp_path_factory.mktemp(method)
        refine_table(
            corpus.write(folder), folder / "run", features="tfidf", method=method, iterations=2, epochs=3, device="cpu"
        )
        return folder / "run"

    return make
