"""Predicting tables in pieces: the labels of one table, going on, features, and what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command_line import Commands
from pieces import in_pieces, joined
from silr import LabelRefiner
from silr.errors import InputError
from silr.io.pieces import open_pieces, read_piece, write_piece
from silr.refine import predict_pieces as module
from silr.refine.predict import predict_table
from silr.refine.predict_pieces import predict_pieces
from silr.refine.table import refine_table
from synthetic import Corpus, make_corpus

COLUMNS = ["refined_label", "refined_score", "refined_missing"]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(300, n_gold=40, seed=3)


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on words, and the same table in pieces, one of them without rows and one without any text."""
    folder = tmp_path_factory.mktemp("predict")
    refine_table(corpus.write(folder), folder / "run", features="tfidf")
    frame = corpus.table()
    frame.loc[200:219, "text"] = None
    in_pieces(frame, folder / "texts", [100, 100, 200, 220])
    return folder


def test_pieces_get_the_labels_of_one_table(folder: Path, tmp_path: Path, commands: Commands) -> None:
    out = tmp_path / "out"
    done = commands("predict", folder / "run", folder / "texts", "-o", out, "--scores", "--json")
    assert (done.code, done.err) == (0, "")
    values = json.loads(done.out)
    pieces = (values["pieces"], values["resumed"], values["texts"], values["without_label"])
    assert pieces == (5, 0, 300, 20) and sum(values["labels"].values()) == 280
    made = joined(out)
    made.drop(columns=[*COLUMNS, "refined_score_negative", "refined_score_positive"]).to_parquet(tmp_path / "t.parquet")
    predict_table(folder / "run", tmp_path / "t.parquet", tmp_path / "o.parquet", scores=True)
    whole = read_piece(tmp_path / "o.parquet")
    pd.testing.assert_frame_equal(made[list(whole)], whole, check_dtype=False)
    again = commands("predict", folder / "run", f"{folder}/texts/*.parquet", "-o", out, "--scores")
    assert "5 pieces were there already" in again.out and again.code == 0
    other = commands("predict", folder / "run", folder / "texts", "-o", out)
    assert other.code == 2
    assert "was made in another way (scores); give a new folder" in other.err and other.err.count("\n") == 1
    table = commands("predict", folder / "run", folder / "texts", "-o", tmp_path / "o.csv")
    assert table.code == 2 and "is no folder" in table.err and table.err.count("\n") == 1


def test_a_killed_prediction_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def dying(frames: object, piece: object, path: Path, settings: object) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path.name)
        write_piece(frames, piece, path, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_piece", dying)
    with pytest.raises(KeyboardInterrupt):
        predict_pieces(folder / "run", folder / "texts", tmp_path / "out")
    made.append("")  # never two again
    done = predict_pieces(folder / "run", folder / "texts", tmp_path / "out")
    assert (done.pieces, done.resumed, len(made)) == (5, 2, 6)
    predict_pieces(folder / "run", folder / "texts", tmp_path / "whole")
    pd.testing.assert_frame_equal(joined(tmp_path / "out"), joined(tmp_path / "whole"))


def test_one_matrix_holds_the_features_of_all_pieces(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silr.io.pieces.ROWS", 70)
    np.save(tmp_path / "x.npy", corpus.features)
    LabelRefiner(run=tmp_path / "run").fit(corpus.features, corpus.llm_labels, gold=corpus.gold)
    in_pieces(corpus.table().assign(text=lambda frame: [f"{row}" for row in frame.index]), tmp_path / "texts", [90])
    done = predict_pieces(tmp_path / "run", tmp_path / "texts", tmp_path / "out", features=tmp_path / "x.npy")
    labels = LabelRefiner.load(tmp_path / "run").predict(corpus.features, llm_labels=corpus.llm_labels)
    assert joined(tmp_path / "out")["refined_label"].tolist() == labels.tolist() and done.resumed == 0
    np.save(tmp_path / "y.npy", corpus.features[:-1])
    with pytest.raises(InputError, match="has 299 rows, the table has 300"):
        predict_pieces(tmp_path / "run", tmp_path / "texts", tmp_path / "y", features=tmp_path / "y.npy")
    corpus.features[150, 3], held = np.nan, corpus.features[150, 3]
    np.save(tmp_path / "y.npy", corpus.features)
    corpus.features[150, 3] = held
    with pytest.raises(InputError, match=r"y\.npy, from row 91 on: row 61 has a value that is not finite"):
        predict_pieces(tmp_path / "run", tmp_path / "texts", tmp_path / "z", features=tmp_path / "y.npy")
    assert [piece.name for piece in open_pieces(tmp_path / "z").pieces] == ["part-0.parquet"]
    with pytest.raises(InputError, match=r"was made in another way \(features\)"):
        predict_pieces(tmp_path / "run", tmp_path / "texts", tmp_path / "out", features=tmp_path / "y.npy")


def test_a_broken_piece_leaves_the_finished_ones(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "texts", tmp_path / "texts")
    path = tmp_path / "texts" / "part-2.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)  # the beginning of the texts; the footer is whole
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"part-2\.parquet is not an intact parquet file; make this piece again"):
        predict_pieces(folder / "run", tmp_path / "texts", tmp_path / "out")
    assert [piece.name for piece in open_pieces(tmp_path / "out").pieces] == ["part-0.parquet", "part-1.parquet"]
