"""Columns, features and hashes of a table, and what is said when they cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from silr.errors import InputError
from silr.io.annotator_columns import scored_classes
from silr.io.corpus import (
    TextCounts,
    annotator_path,
    check_finite,
    corpus_hash,
    encode_labels,
    features_path,
    file_hash,
    id_column,
    label_column,
    load_features,
    score_columns,
    sort_classes,
    table_stem,
    text_column,
    text_counts,
    weight_column,
)


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- columns ----------------------------------------------------------------------------------------------------------


def test_text_column() -> None:
    frame = pd.DataFrame({"text": pd.Series(["a", None, 3, pd.NA, np.nan, b"\xc3\xa9"], dtype=object)})
    assert text_column(frame) == ["a", "", "3", "", "", "é"]
    with pytest.raises(InputError, match=r"^t\.csv has no column 'body'; its columns are 'text'"):
        text_column(frame, "body", "t.csv")
    with pytest.raises(InputError, match=r"'id;text'.*semicolons"):
        text_column(pd.DataFrame({"id;text": ["1;a"]}))
    with pytest.raises(InputError, match="tabs"):
        text_column(pd.DataFrame({"id\ttext": ["1\ta"]}))
    with pytest.raises(InputError, match="'c19' and 5 more"):
        text_column(pd.DataFrame({f"c{i}": [1] for i in range(25)}))
    with pytest.raises(InputError, match="has no text: all 2 rows are empty"):
        text_column(pd.DataFrame({"text": ["", " \n"]}))


def test_text_counts() -> None:
    assert text_counts(["a", "b", "a", "", " ", "a"]) == TextCounts(total=6, duplicates=2, empty=2)
    assert str(TextCounts(3610, 12, 2)) == "3,610 texts, 12 duplicates, 2 empty (kept)"
    assert str(TextCounts(5, 0, 1)) == "5 texts, 1 empty (kept)"
    assert str(TextCounts(5, 0, 0)) == "5 texts"


def test_label_column() -> None:
    values = ["a", " b ", "", "  ", None, pd.NA, np.nan, 1, 1.0, 1.5, True, np.float32(2), np.int64(3)]
    labels = ["a", "b", None, None, None, None, None, "1", "1", "1.5", "True", "2", "3"]
    frame = pd.DataFrame({"llm_label": pd.Series(values, dtype=object), "gold": [1.0] + [np.nan] * 12})
    assert label_column(frame) == labels
    assert label_column(frame, "gold") == ["1"] + [None] * 12
    assert label_column(frame, "other", required=False) == [None] * 13
    with pytest.raises(InputError, match="has no column 'other'"):
        label_column(frame, "other")


def test_encode_labels() -> None:
    codes, classes = encode_labels(["b", None, "a", "b"])
    assert codes.dtype == np.int64
    assert (codes.tolist(), classes) == ([1, -1, 0, 1], ["a", "b"])
    assert encode_labels(["b", "a"], ["b", "a", "c"])[0].tolist() == [0, 1]
    assert encode_labels(["10", "9"])[1] == sort_classes(["10", "9"]) == ["9", "10"]
    with pytest.raises(
        InputError, match=r"row 3: 'gold' is 'c', outside the classes 'a', 'b' \(so are 'd', 'e', 'f', 'g' and 1 more\)"
    ):
        encode_labels(list("abcdefgh")[:8], ["a", "b"], "gold")
    with pytest.raises(InputError, match="gold has one class only, 'a'"):
        encode_labels(["a", None, "a"], ["a", "b"], "gold")
    with pytest.raises(InputError, match="all 2 labels are missing"):
        encode_labels([None, None])


def test_scores() -> None:
    frame = pd.DataFrame(
        {"llm_score_b": ["-1", "", "-0.5"], "llm_score_a": ["-2", "x", "-1e3"], "llm_label": ["b", "", "b"]}
    )
    assert scored_classes(frame, "llm_label") == ["b", "a"]
    scores = score_columns(frame, ["a", "b"])
    assert scores is not None
    assert scores[[0, 2]].tolist() == [[-2, -1], [-1000, -0.5]]
    assert np.isnan(scores[1]).all()
    assert scored_classes(frame[["llm_label"]], "llm_label") == []
    assert score_columns(frame[["llm_label"]], ["a", "b"]) is None
    with pytest.raises(InputError, match="no column 'llm_score_c'"):
        score_columns(frame, ["a", "c"])
    with pytest.raises(InputError, match="row 2: 'llm_score_a' is 'x', not a finite number"):
        score_columns(frame.drop(columns="llm_label"), ["a", "b"])
    for bad in ("", "inf", "nan", None, [1]):
        frame["llm_score_b"] = pd.Series(["-1", "-1", bad], dtype=object)
        with pytest.raises(InputError, match=r"t\.csv, row 3: 'llm_score_b'"):
            score_columns(frame, ["a", "b"], "t.csv")


def test_weights() -> None:
    frame = pd.DataFrame({"gold_weight": ["2", "", "0.5"]})
    weights = weight_column(frame, needed=np.array([True, False, True]))
    assert weights is not None
    assert weights[[0, 2]].tolist() == [2, 0.5]
    assert weight_column(frame, "other") is None
    frame = pd.DataFrame({"gold_weight": ["0", "", None, " ", 2]})  # such a gold label trains and does not judge
    np.testing.assert_array_equal(weight_column(frame), [0, np.nan, np.nan, np.nan, 2])
    for bad in ("-1", "inf", "much"):
        with pytest.raises(InputError, match=rf"row 2: 'gold_weight' is '{bad}', not a positive finite number or 0"):
            weight_column(pd.DataFrame({"gold_weight": ["1", bad]}))
    assert np.isnan(weight_column(pd.DataFrame({"gold_weight": ["1", "much"]}), needed=np.array([True, False]))[1])


# --- features and hashes ----------------------------------------------------------------------------------------------


def test_paths() -> None:
    assert table_stem("a/labelled.csv.gz") == table_stem("labelled.PARQUET") == "labelled"
    assert table_stem("my.table.jsonl") == "my.table"
    assert features_path("a/labelled.csv.gz") == Path("a/labelled.features.npy")
    assert annotator_path("a/labelled.csv.gz") == Path("a/labelled.annotator.json")
    with pytest.raises(InputError, match="unknown kind"):
        table_stem("labelled.txt")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u1"])
def test_features_are_mapped_read_only(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", np.arange(12).reshape(4, 3).astype(dtype))
    features = load_features(tmp_path / "x.npy", 4)
    assert isinstance(features, np.memmap)
    assert features.dtype == dtype
    assert not features.flags.writeable
    assert features.tolist() == np.arange(12).reshape(4, 3).tolist()


def test_features_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"

    def check(words: str, array: object = None) -> None:
        if array is not None:
            np.save(path, np.asarray(array))
        with pytest.raises(InputError, match=words):
            load_features(path, 4)

    check("does not exist")
    check("5 rows, the table has 4", np.zeros((5, 2), "f4"))
    check("shape", np.zeros(4))
    check("shape", np.zeros((4, 0)))
    check("holds", np.array([["a"]] * 4))
    check("holds", np.zeros((4, 2), ">f4"))
    check("holds", np.zeros((4, 2), complex))
    check("not a readable", np.array([[None]] * 4))
    np.save(path, np.zeros((4, 200)))
    put(path, path.read_bytes()[:-9])
    check("not a readable")
    for content in ("", "\x93NUMPY", "hello"):
        put(path, content)
        check("not a readable")
    np.savez(tmp_path / "y.npz", a=np.zeros((4, 2)))
    put(path, (tmp_path / "y.npz").read_bytes())
    check("archive of arrays")
    with pytest.raises(InputError, match="not a readable"):
        load_features(tmp_path, 4)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_check_finite_finds_the_row(dtype: str, bad: float) -> None:
    features = np.full((9000, 1500), np.finfo(dtype).max, dtype)  # more than one chunk, and sums overflow
    check_finite(features)
    features[8765, 7] = bad
    with pytest.raises(InputError, match="features: row 8,766 has a value that is not finite"):
        check_finite(features)
    with pytest.raises(InputError, match="row 8,766"):
        check_finite(features[:, ::-1])


def test_hashes(tmp_path: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert file_hash(put(tmp_path / "h", "hello")) == digest
    columns = [
        ([], []),
        (["a"], []),
        ([], ["a"]),
        (["a", "b"], []),
        (["ab"], []),
        ([""], []),
        ([None], []),
        (["\ud800"], []),
    ]
    assert len({corpus_hash(*pair) for pair in columns}) == len(columns)
    assert corpus_hash(["a"], [None]) == corpus_hash(iter(["a"]), (None,))


def test_import_is_light() -> None:
    heavy = "{'pandas', 'pyarrow', 'sklearn', 'rich'}"
    code = f"import sys, silr.io.corpus, silr.report.evaluate, silr.cli.demo_data; print({heavy} & {{*sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


# --- what is probably meant -------------------------------------------------------------------------------------------


def test_a_missing_column_names_the_option_and_the_likely_one() -> None:
    labels = ["no", "yes"] * 4
    frame = pd.DataFrame({"n": range(8), "verdict": labels, "label": labels, "comment": ["what I think of it"] * 8})
    with pytest.raises(InputError, match=r"; --text-column comment if that is it$"):
        text_column(frame)
    with pytest.raises(InputError, match=r"; --label-column label if that is it$"):
        label_column(frame)
    with pytest.raises(InputError, match=r"; did you mean 'comment'\?$"):
        text_column(frame, "body")
    with pytest.raises(InputError, match=r"; --text-column names it$"):
        text_column(frame[["n"]])
    for name, said in (("zzz", r"'comment'$"), ("verdicts", r"; did you mean 'verdict'\?$")):
        with pytest.raises(InputError, match=said):  # gold labels are no texts
            label_column(frame, name)


@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_cells_of_lists_are_refused_with_their_row(value: object) -> None:
    frame = pd.DataFrame({"text": pd.Series(["a", value], dtype=object), "id": pd.Series([1, value], dtype=object)})
    for read in (text_column, lambda frame: label_column(frame, "text")):
        with pytest.raises(InputError, match=r"row 2: 'text' is a (list|struct), not "):
            read(frame)
    assert id_column(frame) == ["1", str(value)]


def test_scores_meet_the_classes_that_they_mean() -> None:
    frame = pd.DataFrame({"llm_label": ["0.0"], "llm_score_1": [-1], "llm_score_0.0": [-2]})
    assert score_columns(frame, ["0", "1"]).tolist() == [[-2, -1]]  # type: ignore[union-attr]


def test_no_rows_have_no_scores() -> None:
    frame = pd.DataFrame({name: pd.Series([], dtype=object) for name in ("llm_label", "llm_score_a", "llm_score_b")})
    scores = score_columns(frame, ["a", "b"])
    assert scores is not None and scores.shape == (0, 2)
