"""Tables in pieces: opened by their footers, made anew piece by piece, and gone on with."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from silr.errors import InputError
from silr.io.pieced_table import open_table
from silr.io.pieces import ROWS, Piece, check_output, each_piece, is_in_pieces, open_pieces, read_piece, write_piece
from silr.io.tables import write_table

SETTINGS = {"what": "test"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    (folder / "later").mkdir(parents=True)
    for name, texts in (("a", ["one", "two"]), ("b", ["three"]), ("later/c", ["four", "", "six"])):
        write_table(pd.DataFrame({"text": texts, "n": range(len(texts))}), folder / f"{name}.parquet")
    return folder


def upper(missing: Sequence[tuple[Piece, Path]]) -> None:
    for piece, path in missing:
        frame = read_piece(piece.path)
        frame["upper"] = frame["text"].str.upper()
        write_piece(frame, piece, path, SETTINGS)


def test_footers_tell_names_rows_and_columns(folder: Path) -> None:
    (folder / "_silr.json").write_text("{}")
    table = open_pieces(folder)
    assert [(piece.name, piece.start, piece.rows) for piece in table.pieces] == [
        ("a.parquet", 0, 2),
        ("b.parquet", 2, 1),
        ("later/c.parquet", 3, 3),
    ]
    assert len(table) == 6 and table.columns == ["text", "n"]
    assert [list(frame["text"]) for frame in table.frames(["text"])] == [["one", "two"], ["three"], ["four", "", "six"]]
    assert [piece.name for piece in open_pieces(f"{folder}/[ab].parquet").pieces] == ["a.parquet", "b.parquet"]
    assert is_in_pieces(folder) and is_in_pieces(f"{folder}/*.parquet") and not is_in_pieces(folder / "a.parquet")


def test_only_missing_and_changed_pieces_are_made(folder: Path, tmp_path: Path) -> None:
    output, made = tmp_path / "out", []

    def run(missing: Sequence[tuple[Piece, Path]]) -> None:
        made.append([piece.name for piece, _ in missing])
        upper(missing)

    assert each_piece(open_pieces(folder), output, SETTINGS, run) == 0
    assert list(read_piece(output / "later/c.parquet")["upper"]) == ["FOUR", "", "SIX"]
    (output / "b.parquet").write_bytes(b"cut off")
    write_table(pd.DataFrame({"text": ["new", "er"], "n": [7, 8]}), folder / "a.parquet")
    assert each_piece(open_pieces(folder), output, SETTINGS, run) == 1
    assert each_piece(open_pieces(folder), output, SETTINGS, run) == 3
    assert made == [["a.parquet", "b.parquet", "later/c.parquet"], ["a.parquet", "b.parquet"]]
    assert open_pieces(output).columns == ["text", "n", "upper"]
    with pytest.raises(InputError, match=r"was made in another way \(what\); give a new folder"):
        each_piece(open_pieces(folder), output, {"what": "other"}, run)


def test_folders_named_by_a_column(folder: Path, tmp_path: Path) -> None:
    (folder / "later").rename(folder / "year=2024")
    for year, name in ((2023, "a"), (2023, "b")):
        (folder / f"year={year}").mkdir(exist_ok=True)
        (folder / f"{name}.parquet").rename(folder / f"year={year}" / f"{name}.parquet")
    table = open_pieces(folder)
    assert table.columns == ["text", "n", "year"]
    frame = pd.concat(list(table.frames(["year", "text"])))
    assert list(frame) == ["year", "text"] and frame["year"].tolist() == [2023, 2023, 2023, 2024, 2024, 2024]
    assert [list(frame["year"]) for frame in table.frames(["year"])] == [[2023, 2023], [2023], [2024] * 3]
    assert open_pieces(f"{folder}/year=2024/*.parquet").columns == ["text", "n", "year"]
    assert open_pieces(folder / "year=2024").columns == ["text", "n"]

    def run(missing: Sequence[tuple[Piece, Path]]) -> None:
        for piece, path in missing:
            write_piece((frame.assign(new=1) for frame in piece.frames()), piece, path, SETTINGS)

    each_piece(table, tmp_path / "out", SETTINGS, run)
    made = open_pieces(tmp_path / "out")
    assert made.columns == ["text", "n", "new", "year"] and len(made) == 6
    assert list(read_piece(tmp_path / "out/year=2023/a.parquet")) == ["text", "n", "new"]
    broken = folder / "year=2023/c.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"c\.parquet is not an intact parquet file"):
        open_pieces(folder)
    broken.unlink()
    (folder / "c.parquet").write_bytes((folder / "year=2023/b.parquet").read_bytes())
    with pytest.raises(InputError, match="differ in the columns that their folders name"):
        open_pieces(folder)


def test_a_piece_comes_in_parts_and_may_be_empty(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    n = 2 * ROWS + 5
    write_table(pd.DataFrame({"text": [f"text {row}" for row in range(n)], "n": range(n)}), texts / "a.parquet")
    write_table(read_piece(texts / "a.parquet").head(0), texts / "b.parquet")
    table = open_pieces(texts)
    assert [len(frame) for frame in table.frames(["n"])] == [ROWS, ROWS, 5, 0]

    def run(missing: Sequence[tuple[Piece, Path]]) -> None:
        for piece, path in missing:
            write_piece(piece.frames(), piece, path, SETTINGS)

    for _ in range(2):
        each_piece(table, tmp_path / "out", SETTINGS, run)
        assert read_piece(tmp_path / "out/a.parquet")["n"].tolist() == list(range(n))
        assert len(read_piece(tmp_path / "out/b.parquet")) == 0 and open_pieces(tmp_path / "out").columns == [
            "text",
            "n",
        ]


def test_what_a_killed_process_left_goes(folder: Path, tmp_path: Path) -> None:
    draft = tmp_path / "out/later/.c.parquet.0123456789abcdef.tmp"

    def killed(missing: Sequence[tuple[Piece, Path]]) -> None:
        draft.parent.mkdir()
        draft.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_piece(open_pieces(folder), tmp_path / "out", SETTINGS, killed)
    each_piece(open_pieces(folder), tmp_path / "out", SETTINGS, upper)
    assert not draft.exists()


@pytest.mark.parametrize(
    "output, words",
    [
        ("out.parquet", r"is a table in pieces, and so is what becomes of it: \S+out\.parquet is no folder"),
        ("texts", r"\S+texts is part of \S+texts: give a folder outside of it"),
        ("texts/out", "give a folder outside of it"),
    ],
)
def test_outputs_that_cannot_be_are_refused(folder: Path, tmp_path: Path, output: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_output(open_pieces(folder), tmp_path / output)


def test_the_index_of_pandas_is_no_column(folder: Path) -> None:
    pd.DataFrame({"text": ["x", "y"], "n": [1, 2]}, index=[5, 3]).to_parquet(folder / "b.parquet")
    assert "__index_level_0__" in pq.read_schema(folder / "b.parquet").names
    assert open_pieces(folder).columns == ["text", "n"]


def test_settings_that_made_no_piece_are_forgotten(folder: Path, tmp_path: Path) -> None:
    def fail(missing: Sequence[tuple[Piece, Path]]) -> None:
        raise InputError("a mistake")

    with pytest.raises(InputError, match="a mistake"):
        each_piece(open_pieces(folder), tmp_path / "out", {"what": "mistaken"}, fail)
    assert each_piece(open_pieces(folder), tmp_path / "out", SETTINGS, upper) == 0


def test_types_that_programs_take_for_one_another_are_one(folder: Path) -> None:
    pq.write_table(
        pa.table({"text": pa.array(["large"], pa.large_string()), "n": pa.array([1.0], pa.float64())}),
        folder / "b.parquet",
    )
    pq.write_table(
        pa.table({"text": pa.array(["of few"]).dictionary_encode(), "n": pa.array([None], pa.null())}),
        folder / "later/c.parquet",
    )
    table = open_table(folder)
    assert list(table["text"]) == ["one", "two", "large", "of few"]
    assert [None if value is pd.NA else value for value in table["n"]] == [0, 1, 1, None]


def _broken(folder: Path) -> None:
    (folder / "b.parquet").write_bytes(b"no parquet")


def _other_columns(folder: Path) -> None:
    write_table(pd.DataFrame({"text": ["x"]}), folder / "b.parquet")


def _other_types(folder: Path) -> None:
    write_table(pd.DataFrame({"text": ["x"], "n": ["seven"]}), folder / "b.parquet")


def _other_tables(folder: Path) -> None:
    (folder / "read me.txt").touch()
    (folder / "more.csv").touch()


def _empty(folder: Path) -> None:
    for path in list(folder.rglob("*.parquet")):
        path.unlink()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (_broken, r"b\.parquet is not an intact parquet file; make this piece again"),
        (_other_columns, r"a\.parquet and b\.parquet differ, only one of them has the column 'n'"),
        (_other_types, r"differ, the column 'n' is of type int64 in one and \S+ in the other"),
        (_empty, r"is a folder, not a table, and has no \.parquet files"),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=words):
        open_pieces(folder)
