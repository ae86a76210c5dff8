"""Columns of a table in pieces are those of the same table in one file, in few bytes a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pieces import in_pieces
from silr.errors import InputError
from silr.io.corpus import (
    annotator_path,
    features_path,
    id_column,
    label_column,
    open_table,
    score_columns,
    table_hash,
    text_column,
    text_counts,
    weight_column,
)
from silr.io.pieced_table import PiecedColumn, PiecedTable, cells_at, write_changed
from silr.io.tables import read_table, write_table

N = 60
TEXTS = [f"text {row % 50} größer" if row % 7 else "" for row in range(N)]
COLUMNS: dict[str, Any] = {
    "text": TEXTS,
    "id": range(N),
    "words": [None if row % 5 == 0 else f" {'yes' if row % 3 else 'no'} " for row in range(N)],
    "integers": pd.array([None if row < 40 else row % 3 for row in range(N)], "Int64"),
    "numbers": np.where(np.arange(N) % 4 == 0, np.nan, np.arange(N) / 2),
    "flags": np.arange(N) % 2 == 0,
    "short": np.arange(N, dtype=np.float32) / 10,
    "nothing": [None] * N,
    "llm_label": ["a" if row % 2 else "b" for row in range(N)],
    "llm_score_a": -np.arange(1.0, N + 1),
    "llm_score_b": -np.arange(N, 0.0, -1),
    "gold_weight": np.where(np.arange(N) % 6 == 0, 2.5, np.nan),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """In one file, and in pieces: the first has no value in some columns, one has no rows."""
    folder = tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame(COLUMNS)
    write_table(frame, folder / "one.parquet")
    return folder / "one.parquet", in_pieces(frame, folder / "texts", [30, 30, 41])


def test_columns_are_those_of_one_file(tables: tuple[Path, Path]) -> None:
    one, pieced = map(open_table, tables)
    assert isinstance(pieced, PiecedTable) and len(pieced) == N
    assert pieced.columns == list(one.columns) and "words" in pieced and "other" not in pieced
    for name in COLUMNS:
        assert label_column(pieced, name) == label_column(one, name), name
    needed = np.arange(N) % 6 == 0
    np.testing.assert_array_equal(weight_column(pieced, needed=needed), weight_column(one, needed=needed))
    np.testing.assert_array_equal(score_columns(pieced, ["a", "b"]), score_columns(one, ["a", "b"]))
    assert list(id_column(pieced)) == list(id_column(one))
    assert pieced["words"].cat.codes.dtype == np.int8
    pd.testing.assert_frame_equal(pieced.head(5), one.head(5), check_dtype=False)


def test_texts_are_read_when_they_are_asked_for(tables: tuple[Path, Path]) -> None:
    texts = text_column(open_table(tables[1]))
    assert isinstance(texts, PiecedColumn) and len(texts) == N
    assert list(texts) == list(texts) == TEXTS
    assert [texts[row] for row in (0, 59, 30, 29)] == [TEXTS[row] for row in (0, 59, 30, 29)]
    assert texts[28:42] == TEXTS[28:42]
    rows = [45, 3, 3, 59, 31]
    assert texts.at(rows) == cells_at(TEXTS, rows) == [TEXTS[row] for row in rows]
    assert texts.at([]) == []
    with pytest.raises(IndexError):
        texts[N]
    assert text_counts(texts) == text_counts(TEXTS) == (60, 60 - 9 - 44, 9)


def test_groups_of_rows_inside_a_piece(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for piece in range(2):
        table = pa.table({"text": TEXTS[piece * 30 : piece * 30 + 30]})
        pq.write_table(table, tmp_path / "texts" / f"{piece}.parquet", row_group_size=7)
    texts = text_column(open_table(tmp_path / "texts"))
    rows = np.random.default_rng(0).permutation(N).tolist()
    assert cells_at(texts, rows) == [TEXTS[row] for row in rows]


def test_columns_that_folders_name(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / "texts" / f"year={year}").mkdir(parents=True)
        write_table(pd.DataFrame({"text": ["a", "b"]}), tmp_path / "texts" / f"year={year}" / "a.parquet")
    table = open_table(tmp_path / "texts")
    assert label_column(table, "year") == ["2023", "2023", "2024", "2024"]
    assert text_column(table)[2] == "a"


def test_paths_and_hashes(tables: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tables[1]
    assert features_path(folder) == folder.with_name("texts.features.npy") == features_path(folder / "*.parquet")
    assert annotator_path(folder) == folder.with_name("texts.annotator.json")
    assert table_hash(folder) == table_hash(folder / "*.parquet")
    other = in_pieces(pd.DataFrame(COLUMNS | {"short": np.ones(N)}), tmp_path / "texts", [30, 30, 41])
    assert table_hash(other) != table_hash(folder)


def test_errors_name_the_row_of_the_whole_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a"] * 6, "gold_weight": [1.0, 1, 1, 1, -1, 1]})
    table = open_table(in_pieces(frame, tmp_path / "texts", [3]))
    with pytest.raises(InputError, match="row 5: 'gold_weight' is '-1"):
        weight_column(table)
    with pytest.raises(InputError, match="no column 'words'; its columns are 'text', 'gold_weight'"):
        text_column(table, "words")
    empty = open_table(in_pieces(pd.DataFrame({"text": [None, " ", ""]}), tmp_path / "empty", [1]))
    with pytest.raises(InputError, match="all 3 rows are empty"):
        text_column(empty)


def test_a_table_with_more_columns(tables: tuple[Path, Path], tmp_path: Path) -> None:
    """The same pieces again, in the place of those of an earlier call, or beside nothing else."""
    pieced = open_table(tables[1])

    def change(frame: pd.DataFrame, rows: slice) -> None:
        frame["row"] = np.arange(N)[rows]

    for _ in range(2):
        write_changed(pieced, tmp_path / "own", change)
        write_changed(pieced, tmp_path / "new", change, command="test")
    for folder in ("own", "new"):
        table = open_table(tmp_path / folder)
        assert table["row"].tolist() == list(range(N)) and table["words"].isna().sum() == 12
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "book.txt").write_text("words")
    with pytest.raises(InputError, match="holds other files; give a new folder"):
        write_changed(pieced, tmp_path / "foreign", change, command="test")
    assert (tmp_path / "foreign" / "book.txt").exists()
    write_changed(read_table(tables[0]), tmp_path / "one.parquet", change)
    assert read_table(tmp_path / "one.parquet")["row"].tolist() == list(range(N))
