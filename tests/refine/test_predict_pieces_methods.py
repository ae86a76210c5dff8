"""A table in pieces gets the labels of one table from the runs of every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pieces import in_pieces, joined
from silr.io.pieces import read_piece
from silr.refine.predict import predict_table
from silr.refine.predict_pieces import predict_pieces
from silr.refine.table import refine_table
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow

TFIDF = {"features": "tfidf"}
TUNED = {"classifier": "lora", "max_length": 12, "learning_rate": 5e-3, "epochs": 1}

# name: options of the refinement, whether the table has gold labels
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "default": (TFIDF, True),
    "without gold": (TFIDF, False),
    "uu": ({**TFIDF, "method": "uu", "iterations": 1, "epochs": 3}, True),
    "paper": ({**TFIDF, "method": "paper", "iterations": 1, "epochs": 3}, True),
    "fine-tuned": (TUNED, True),
}


@pytest.fixture(scope="module")
def little() -> Corpus:
    return make_corpus(120, n_gold=50, seed=4)


@pytest.mark.filterwarnings("ignore:there are no gold labels")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("llm_label", [True, False], ids=["", "new texts"])
def test_pieces_get_the_labels_of_one_table(
    case: str, llm_label: bool, little: Corpus, runs: dict[str, Path], tmp_path: Path
) -> None:
    """Pieces end inside a batch; one has no row, one no text."""
    frame = little.table()[["text", "llm_label"] if llm_label else ["text"]]
    frame.loc[70:75, "text"] = None
    in_pieces(frame, tmp_path / "texts", [41, 41, 70, 76])
    done = predict_pieces(runs[case], tmp_path / "texts", tmp_path / "out", scores=True, device="cpu")
    made = joined(tmp_path / "out")
    made[list(frame)].to_parquet(tmp_path / "table.parquet")
    predict_table(runs[case], tmp_path / "table.parquet", tmp_path / "whole.parquet", scores=True, device="cpu")
    whole = read_piece(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(made[list(whole)], whole, check_dtype=False, atol=1e-4)
    assert made["refined_label"].tolist() == whole["refined_label"].tolist()
    assert (done.pieces, done.texts, done.empty) == (5, 120, 6) and len(done.labels) == 2


@pytest.fixture(scope="module")
def runs(little: Corpus, small_llama: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("runs"), {}
    little.write(folder, "table.csv")
    frame = pd.read_csv(folder / "table.csv")
    frame.drop(columns=["gold", "gold_weight"]).to_csv(folder / "bare.csv", index=False)
    for name, (options, has_gold) in CASES.items():
        made[name] = folder / name
        options = options | ({"model": small_llama, "device": "cpu"} if name == "fine-tuned" else {})
        refine_table(folder / ("table.csv" if has_gold else "bare.csv"), made[name], **options)
    return made
