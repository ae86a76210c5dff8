"""Features of a table in pieces: a slow encoder that was stopped goes on after what is on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pieces import in_pieces
from silr.features import in_parts
from silr.features.in_parts import write_features
from silr.io.pieced_table import PiecedColumn
from silr.io.pieces import open_pieces


class Encoder:
    """Gives each text its length; dies at the text after the last that it may read."""

    def __init__(self, may_read: int) -> None:
        self.may_read, self.read = may_read, 0

    def transform(self, texts: list[str]) -> np.ndarray:
        if self.read + len(texts) > self.may_read:
            raise KeyboardInterrupt
        self.read += len(texts)
        return np.array([[len(text), 1] for text in texts], np.float32)

    def save(self, folder: Path) -> None:
        """Nothing to write."""


@pytest.mark.parametrize(("seconds", "again"), [(0.0, 6), (1e9, 10)], ids=["slow", "quick"])
def test_a_slow_encoder_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, again: int
) -> None:
    monkeypatch.setattr(in_parts, "SECONDS", seconds)
    texts = ["x" * number for number in range(1, 11)]
    pieces = open_pieces(in_pieces(pd.DataFrame({"text": texts}), tmp_path / "texts", [2, 4, 8]))
    column = PiecedColumn(pieces, ["text"], lambda frame, start: frame["text"].astype(str).tolist())
    path = tmp_path / "features" / "features.npy"
    with pytest.raises(KeyboardInterrupt):
        write_features(Encoder(5), column, path)
    assert not path.exists()
    write_features(encoder := Encoder(10), column, path)
    assert encoder.read == again
    np.testing.assert_array_equal(np.load(path), [[number, 1] for number in range(1, 11)])


def test_a_piece_without_rows_is_not_given_to_an_encoder(tmp_path: Path) -> None:
    class Strict(Encoder):
        def transform(self, texts: list[str]) -> np.ndarray:
            assert texts  # of none, sentence-transformers makes no matrix
            return super().transform(texts)

    pieces = open_pieces(in_pieces(pd.DataFrame({"text": ["a", "bb", "ccc"]}), tmp_path / "texts", [0, 2, 2]))
    assert [piece.rows for piece in pieces.pieces] == [0, 2, 0, 1]
    column = PiecedColumn(pieces, ["text"], lambda frame, start: frame["text"].astype(str).tolist())
    write_features(Strict(3), column, path := tmp_path / "features" / "features.npy")
    np.testing.assert_array_equal(np.load(path), [[1, 1], [2, 1], [3, 1]])
