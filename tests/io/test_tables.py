"""Table files round-trip untouched, and everything that can be wrong with one is said in one line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from silr.errors import InputError
from silr.io.corpus import label_column, text_column
from silr.io.tables import read_table, write_table

KINDS = [".csv", ".tsv", ".jsonl", ".parquet"]
NASTY = ["", "NA", "007", "1e5", " x ", 'say "hi"', "a,b;c\td", "1\n2\r\n3\r4", "\x00", "é\u2028😀", "\ufeff", "'", "#"]
texts = st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8"), max_size=20))
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, *words: str) -> None:
    """Assert that the table is refused in one line that holds all the words, the file's name among them."""
    with pytest.raises(InputError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [kind + zipped for kind in KINDS for zipped in ("", ".gz")])
@quick
@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=6),
    names=st.lists(texts, min_size=2, max_size=2, unique=True),
)
def test_strings_round_trip(tmp_path: Path, suffix: str, rows: list[tuple[str, str]], names: list[str]) -> None:
    path = tmp_path / f"table{suffix}"
    if names[0].startswith("\ufeff"):  # at the very start of a file it is a byte order mark
        names.reverse()
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    write_table(frame, path)
    back = read_table(path)
    assert list(back.columns) == names
    assert [back[name].tolist() for name in names] == [frame[name].tolist() for name in names]
    content = path.read_bytes()
    write_table(back, path)
    assert path.read_bytes() == content


@quick
@given(column=st.lists(texts, min_size=1, max_size=6))
def test_one_csv_column_keeps_its_empty_rows(tmp_path: Path, column: list[str]) -> None:
    write_table(pd.DataFrame({"text": column}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["text"].tolist() == column


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@quick
@given(rows=st.lists(st.dictionaries(texts, json_values, min_size=1, max_size=4), min_size=1, max_size=5))
def test_json_values_keep_their_types_and_gaps(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = put(tmp_path / "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_table(read_table(path), path)
    back = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert back == rows
    assert repr([sorted(row.items()) for row in back]) == repr([sorted(row.items()) for row in rows])  # 1 is not True


def test_jsonl_keeps_half_a_surrogate_pair_and_texts_lose_it(tmp_path: Path) -> None:
    path = put(tmp_path / "t.jsonl", '{"text": "cut \\ud83d"}\n')
    frame = read_table(path)
    write_table(frame, path)
    assert path.read_bytes() == b'{"text": "cut \\ud83d"}\n'
    assert text_column(frame) == ["cut \ufffd"]
    write_table(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "text\ncut ?\n"
    with pytest.raises(InputError, match="parquet cannot hold"):
        write_table(frame, tmp_path / "t.parquet")


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.gz"])
def test_parquet_keeps_its_types(tmp_path: Path, suffix: str) -> None:
    table = pa.table(
        {
            "int": pa.array([1, None, 2**62], pa.int64()),
            "list": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
            "bool": pa.array([True, None, False]),
            "float": pa.array([0.1, None, float("nan")], pa.float32()),
            "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
            "time": pa.array([0, None, 1], pa.timestamp("us", tz="UTC")),
            "word": pa.array(["a", None, "a"]).dictionary_encode(),
            "text": pa.array(["x", None, ""]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    frame = read_table(tmp_path / "in.parquet")
    write_table(frame[["int", "list", "float"]], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == 'int,list,float\n1,"[1, 2]",0.1\n,,\n4611686018427387904,[],\n'
    frame["llm_label"] = ["a", None, "b"]
    path = tmp_path / f"out{suffix}"
    write_table(frame, path)
    content = gzip.decompress(path.read_bytes()) if suffix.endswith(".gz") else path.read_bytes()
    back = pq.read_table(pa.BufferReader(content))
    assert back.column_names == [*table.column_names, "llm_label"]
    for name in table.column_names:
        assert back[name].type == table[name].type
        assert str(back[name].to_pylist()) == str(table[name].to_pylist())  # as strings, so that nan is nan
    assert text_column(frame) == ["x", "", ""]
    assert label_column(frame, "int") == ["1", None, str(2**62)]


def test_pandas_index_of_a_parquet_file_becomes_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"]}, index=pd.Index([7, 9], name="id")).to_parquet(tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame["id"].tolist() == [7, 9]
    assert frame.index.tolist() == [0, 1]


def test_missing_values_of_added_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", "b"],
            "gold": ["x", None],
            "score": [0.5, np.nan],
            "small": np.array([0.1, np.nan], dtype=np.float32),
            "number": pd.array([1, None], dtype="Int64"),
            "nested": [{"k": ["é"]}, None],
            "numpy": pd.Series([np.int64(3), np.nan], dtype=object),
        }
    )
    write_table(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == (
        'text,gold,score,small,number,nested,numpy\na,x,0.5,0.1,1,"{""k"": [""é""]}",3\nb,,,,,,\n'
    )
    write_table(frame, tmp_path / "t.jsonl")
    assert (tmp_path / "t.jsonl").read_text() == (
        '{"text": "a", "gold": "x", "score": 0.5, "small": 0.1, "number": 1, "nested": {"k": ["é"]}, "numpy": 3}\n'
        '{"text": "b", "gold": null, "score": null, "small": null, "number": null, "nested": null, "numpy": null}\n'
    )
    write_table(frame, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").to_pylist()[1] == {**dict.fromkeys(frame.columns), "text": "b"}


def test_csv_is_read_literally(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", '\ufeffid,text\r\n007,"two\nlines"\r\nNA,\r\n\r\n1e5,null\r\n')
    frame = read_table(path)
    assert frame.to_dict("list") == {"id": ["007", "NA", "1e5"], "text": ["two\nlines", "", "null"]}


def test_huge_fields_and_uppercase_suffix(tmp_path: Path) -> None:
    huge = 'ab"\n' * 50_000
    for kind in KINDS:
        path = tmp_path / f"T{kind.upper()}.GZ"
        write_table(pd.DataFrame({"text": [huge]}), path)
        assert read_table(path)["text"].tolist() == [huge]


@pytest.mark.slow
def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    code = (
        "import resource, sys; import pandas as pd; from silr.io.corpus import write_table, InputError\n"
        "frame = pd.DataFrame({'text': [str(i) * 9 for i in range(9000)]})\n"
        "import pyarrow.parquet\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "for path in sys.argv[1:]:\n"
        "    try: write_table(frame, path)\n"
        "    except InputError as error: print(error)\n"
    )
    paths = [put(tmp_path / f"t{suffix}", "old") for suffix in (".csv", ".csv.gz", ".jsonl", ".parquet")]
    run = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"cannot write {path}: File too large" for path in paths]
    assert run.stderr == ""
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}
    assert sorted(tmp_path.iterdir()) == sorted(paths)


# --- files that cannot be used ----------------------------------------------------------------------------------------


def test_missing_folder_and_unknown_suffix(tmp_path: Path) -> None:
    refused(tmp_path / "no.csv", "does not exist")
    refused(tmp_path / "nothing", "does not exist")
    (tmp_path / "dir.csv").mkdir()
    refused(tmp_path / "dir.csv", "is a folder")
    (tmp_path / "table.xlsx").touch()
    refused(tmp_path / "table.xlsx", ".csv, .tsv, .jsonl, .parquet", ".gz")
    with pytest.raises(InputError, match="unknown kind"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "table")


@pytest.mark.parametrize("kind", KINDS)
def test_empty_truncated_and_false_gzip(tmp_path: Path, kind: str) -> None:
    refused(put(tmp_path / f"a{kind}", ""), "is empty")
    refused(put(tmp_path / f"b{kind}.gz", gzip.compress(b"")), "is empty")
    refused(put(tmp_path / f"c{kind}.gz", "text\nplain\n"), "gzip")
    write_table(pd.DataFrame({"text": ["long enough " * 30, "b"]}), tmp_path / f"d{kind}.gz")
    whole = (tmp_path / f"d{kind}.gz").read_bytes()
    refused(put(tmp_path / f"e{kind}.gz", whole[:-12]), "gzip")
    refused(put(tmp_path / f"f{kind}.gz", whole[:20] + b"\xff\xff\xff" + whole[23:]))  # as gzip or as content


def test_no_rows(tmp_path: Path) -> None:
    refused(put(tmp_path / "t.csv", "id,text\n"), "no rows, only a header")
    refused(put(tmp_path / "u.csv", "\ufeff\n\n"), "no rows")
    refused(put(tmp_path / "t.jsonl", "\n\n"), "no rows")
    write_table(pd.DataFrame({"text": pd.Series([], dtype=object)}), tmp_path / "t.parquet")
    refused(tmp_path / "t.parquet", "no rows, only a header")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_broken_utf8_names_the_line(tmp_path: Path, kind: str, zipped: bool) -> None:
    line = '{"text": "é"}\n' if kind == ".jsonl" else "é\n"
    content = line.encode() * 5000 + line.encode("latin-1") + line.encode()
    path = put(tmp_path / f"t{kind}{'.gz' * zipped}", gzip.compress(content) if zipped else content)
    refused(path, "line 5001", "UTF-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,text\n1,a\n2,b,c\n", ["line 3", "3 fields", "header has 2"]),
        ("id,text\n1,a\n2\n", ["line 3", "1 fields"]),
        ('id,text\n1,"two\nlines"\n2,"open\n3,c\n', ["line 4", "malformed"]),
        ('id,text\n1,"a"b\n', ["line 2", "malformed"]),
        ("id,text,id\n1,a,2\n", ["more than one column named 'id'"]),
        ("id;text\n1;a, b\n", ["line 2", "semicolons"]),
    ],
)
def test_malformed_csv(tmp_path: Path, content: str, words: list[str]) -> None:
    refused(put(tmp_path / "t.csv", content), *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "a"}\n\n{"text": \n', ["line 3", "not JSON"]),
        ('{"text": "a"}\n[1, 2]\n', ["line 2", "not a JSON object"]),
        ('{"text": "a", "text": "b"}\n', ["line 1", "a key occurs twice"]),
        ("[" * 100_000 + "\n", ["line 1", "not JSON"]),
    ],
)
def test_malformed_jsonl(tmp_path: Path, content: str, words: list[str]) -> None:
    refused(put(tmp_path / "t.jsonl", content), *words)


def test_corrupt_parquet(tmp_path: Path) -> None:
    refused(put(tmp_path / "t.parquet", "text\na\n"), "not an intact parquet file")
    write_table(pd.DataFrame({"text": ["a"] * 100}), tmp_path / "u.parquet")
    refused(put(tmp_path / "u.parquet", (tmp_path / "u.parquet").read_bytes()[:-5]), "not an intact parquet file")
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "v.parquet")
    refused(tmp_path / "v.parquet", "more than one column named 'a'")


def test_mixed_types_are_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"parquet cannot hold this table, \.jsonl can") as caught:
        write_table(pd.DataFrame({"a": pd.Series([1, "x", [2]], dtype=object)}), tmp_path / "t.parquet")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_bytes_of_a_parquet_file_are_read_as_strings(tmp_path: Path) -> None:
    columns = {"text": ["\u00e9", None], "picture": [b"\xff", b"a"]}
    table = pa.table(
        {"text": pa.array([b"\xc3\xa9", None], pa.large_binary()), "picture": pa.array(columns["picture"])}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame["text"].tolist()[0] == "\u00e9" and frame["picture"].tolist() == columns["picture"]
    assert text_column(frame) == ["\u00e9", ""]
    with pytest.raises(InputError, match="row 1: 'picture' is binary and not UTF-8"):
        text_column(frame, "picture")
