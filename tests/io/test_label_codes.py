"""Labels of any type as codes, and whether gold labels are enough."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from silr.errors import InputError
from silr.io.label_codes import check_gold, encode, encode_columns, llm_columns, llm_score_arrays


@pytest.mark.parametrize(
    ("y", "gold", "classes"),
    [
        (["b", "a", None, "b"], ["a", None, "a", None], ["a", "b"]),
        ([1, 0, None, 1], [0, np.nan, 0, np.nan], [0, 1]),
        (np.array([10, 9, 9, 10]), np.array([9.0, np.nan, 9.0, np.nan]), [9, 10]),  # NaN makes gold float
        ([True, False, np.nan, True], [False, None, False, None], [False, True]),
        (pd.Series(["b", "a", pd.NA, "b"], dtype="string"), pd.Series(["a", None, "a", None]), ["a", "b"]),
        (pd.array([5, 3, None, 5], dtype="Int64"), None, [3, 5]),
    ],
)
def test_classes_keep_the_type_of_the_labels(y: object, gold: object, classes: list[object]) -> None:
    found, (codes,), gold_codes, true_codes = encode_columns([y], gold, None)
    assert found.tolist() == classes and [type(each) for each in found.tolist()] == [type(each) for each in classes]
    present = ~pd.isna(np.asarray(y, dtype=object))
    assert codes[present].tolist() == [classes.index(each) for each in np.asarray(y, dtype=object)[present]]
    assert (codes[~present] == -1).all() and (true_codes == -1).all()
    assert gold_codes.tolist() == ([-1] * 4 if gold is None else [0, -1, 0, -1])


def test_a_class_may_occur_in_gold_alone() -> None:
    classes, (codes,), gold, _ = encode_columns([["a", "c", "a"]], ["b", None, "c"], None, ["b", "a", "c"])
    assert classes.tolist() == ["a", "b", "c"]
    assert codes.tolist() == [0, 2, 0] and gold.tolist() == [1, -1, 2]


def test_a_class_may_occur_nowhere() -> None:
    classes, (codes,), gold, truth = encode_columns([["b", None]], None, ["c", "b"], ["c", "a", "b"])
    assert classes.tolist() == ["a", "b", "c"]
    assert codes.tolist() == [1, -1] and gold.tolist() == [-1, -1] and truth.tolist() == [2, 1]
    assert encode_columns([np.array([2, 2])], None, None, [1.0, 2.0, 3.0])[1][0].tolist() == [1, 1]
    for y, also, message in (
        (["b", "d"], None, r"y\[1\] is 'd', outside the classes 'a', 'b'; .*classes=\['a', 'b', 'd'\]"),
        (["b"], ["e"], r"gold\[0\] is 'e', outside the classes 'a', 'b'"),
    ):
        with pytest.raises(InputError, match=message):
            encode_columns([y], also, None, ["a", "b"])
    with pytest.raises(InputError, match="one class only, 'b'"):
        encode_columns([["b"]], None, None, ["b"])


@pytest.mark.parametrize(
    ("truth", "named"),
    [(["neg", "positive", "pos"], r"truth\[1\] is 'positive'"), (["neg", "po", "pos"], "'po'"), ([0, 1, None], "'0'")],
)
def test_a_true_label_outside_the_classes(truth: list[object], named: str) -> None:
    """Also one that begins like a class, which an array of fixed width would cut to it."""
    with pytest.raises(InputError, match=f"{named}, outside the classes 'neg', 'pos'"):
        encode_columns([["neg", "pos", "pos"]], None, truth)
    with pytest.raises(InputError, match=r"0.5"):
        encode_columns([[0, 1]], None, [0.5, 1.0])


@pytest.mark.parametrize(
    ("y", "gold", "message"),
    [
        ([None, np.nan, None], None, "all 3 of the LLM's labels are missing"),
        (["a", None, "a"], ["a", "a", None], "one class only, 'a'"),
        (["a", "b"], ["a"], r"gold has shape \(1,\), the LLM's labels \(2,\)"),
        (["a", "b"], [1, 0], r"gold\[0\] is '1', outside the classes 'a', 'b' \(so is '0'\)"),
    ],
)
def test_columns_that_cannot_be_used(y: object, gold: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode_columns([y], gold, None)


def test_labels_of_several_llms() -> None:
    """By name from a mapping or a frame, numbered from an array; each is coded by the classes of all."""
    frame = pd.DataFrame({"x": ["a", None], "y": ["c", "a"]})
    assert list(llm_columns(frame)) == list(llm_columns({"x": ["a"], "y": ["c"]})) == ["x", "y"]
    assert list(llm_columns([["a", "b"], ["b", "a"]])) == ["LLM 1", "LLM 2"] and list(llm_columns(["a"])) == [""]
    classes, codes, gold, _ = encode_columns(list(llm_columns(frame).values()), ["b", None], None, list("abc"))
    assert classes.tolist() == ["a", "b", "c"]
    assert [each.tolist() for each in codes] == [[0, -1], [2, 0]] and gold.tolist() == [1, -1]
    for y, message in ((np.zeros((2, 2, 2)), "one column, or one for each LLM"), ({}, "mapping is empty")):
        with pytest.raises(InputError, match=message):
            llm_columns(y)
    with pytest.raises(InputError, match=r"another LLM has shape \(1,\), the LLM's labels \(2,\)"):
        encode_columns([["a", "b"], ["a"]], None, None)


def test_scores_of_several_llms() -> None:
    scores = np.zeros((2, 2))
    for given in ({"b": scores}, [None, scores]):
        first, second = llm_score_arrays(given, ["a", "b"])
        assert first is None and second is not None and second.shape == (2, 2)
    with pytest.raises(InputError, match="llm_scores has 'c', but the LLMs are a, b"):
        llm_score_arrays({"c": scores}, ["a", "b"])
    with pytest.raises(InputError, match="2 LLMs, but llm_scores for 3"):
        llm_score_arrays([scores] * 3, ["a", "b"])


def test_enough_gold() -> None:
    missing = [-1] * 100
    names = ["no", "yes"]
    with pytest.raises(InputError, match=r"^9 gold labels are too few .* label at least 10"):
        check_gold(np.array(missing + [0, 1, 1] * 3), names)
    with pytest.raises(InputError, match=r"^all 40 gold labels are 'yes'"):
        check_gold(np.array(missing + [1] * 40), names)
    with pytest.warns(UserWarning, match="class 'no' has 0 gold labels"):
        check_gold(np.array(missing + [1] * 40), names, one_class=True)
    for n in (10, 29):
        with pytest.warns(UserWarning, match=f"only {n} gold labels: expect wide intervals and results that vary"):
            check_gold(np.array(missing + [0] * 3 + [1] * (n - 3)), names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_gold(np.array(missing + [0] * 3 + [1] * 27), names)
    with pytest.warns(UserWarning, match="class 'no' has 1 gold label, too few to tell what belongs to it"):
        check_gold(np.array(missing + [0] + [1] * 29), names)
    with pytest.warns(
        UserWarning, match=r"class 'b' has 0 .* \(3 more have fewer than 3\): .* calls 'b', if there are"
    ):
        check_gold(np.array(missing + [0] * 2 + [3] * 30 + [4] * 1), list("abcde"))


NAN = np.nan
STRINGS = np.dtypes.StringDType(na_object=NAN)


@pytest.mark.parametrize(
    ("y", "gold", "classes", "codes", "by_hand"),
    [
        (["a", "b", "", "a"], ["a", "", None, "b"], ["a", "b"], [0, 1, -1, 0], [0, -1, -1, 1]),
        (
            np.array(["a", "b", NAN, "a"], STRINGS),
            np.array(["a", NAN, NAN, "b"], STRINGS),
            ["a", "b"],
            [0, 1, -1, 0],
            [0, -1, -1, 1],
        ),
        ([0, 1, 1, 0], np.ma.array([1, 0, 9, 9], mask=[0, 0, 1, 1]), [0, 1], [0, 1, 1, 0], [1, 0, -1, -1]),
        (pa.array([0, 1, None, 1]), ["0", "1.0", "", pd.NaT], [0, 1], [0, 1, -1, 1], [0, 1, -1, -1]),
        (
            pa.array(["a", "b", "b", "a"]).dictionary_encode(),
            pd.Categorical(["a", None, "b", None]),
            ["a", "b"],
            [0, 1, 1, 0],
            [0, -1, 1, -1],
        ),
        (
            pd.array([True, False, None, False], dtype="boolean"),
            ["true", "FALSE", None, 0],
            [False, True],
            [1, 0, -1, 0],
            [1, 0, -1, 0],
        ),
        ([0, 1, 1, 0], [True, False, None, None], [0, 1], [0, 1, 1, 0], [1, 0, -1, -1]),
        (np.array([b"a", b"b"]), [b"a", None], ["a", "b"], [0, 1], [0, -1]),
        (np.array([0.1, 0.2], np.float32), ["0.1", 0.2], [0.1, 0.2], [0, 1], [0, 1]),
        (["10", "9", "1"], None, ["1", "9", "10"], [2, 1, 0], [-1, -1, -1]),
        (["ne\u0301", " b"], ["n\u00e9", "b\u00a0"], ["b", "n\u00e9"], [1, 0], [1, 0]),
    ],
)
def test_labels_meet_the_classes_that_they_mean(y: Any, gold: Any, classes: Any, codes: Any, by_hand: Any) -> None:
    found, (llm,), gold_codes, _ = encode_columns([y], gold, None)
    assert found.tolist() == classes and llm.tolist() == codes and gold_codes.tolist() == by_hand


def test_minus_one_says_that_there_is_no_label() -> None:
    """Unless it is a class: named, or given by hand where other gold labels are missing."""
    found, _, gold, _ = encode_columns([np.array([0, 1, 1])], np.array([1, -1, -1]), np.array([0, -1, 1]))
    assert found.tolist() == [0, 1] and gold.tolist() == [1, -1, -1]
    with pytest.warns(UserWarning, match=r"1 of the LLM's labels are -1, .*: classes=\[-1, 0, 1\]"):
        found, (codes,), _, _ = encode_columns([[0, 1, -1]], None, None)
    assert found.tolist() == [0, 1] and codes.tolist() == [0, 1, -1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encode_columns([[0, 1, -1]], [-1, NAN, 0], None)[0].tolist() == [-1, 0, 1]
        assert encode_columns([[1, -1]], [-1, -1], None, [-1, 1])[2].tolist() == [0, 0]
        assert encode_columns([["1", "0"]], ["0", None], None)[0].tolist() == ["0", "1"]
    with (
        pytest.warns(UserWarning, match=r"-1"),
        pytest.raises(InputError, match=r"one class only, '1'.* -1 if that is"),
    ):
        encode_columns([[1, -1]], None, None)
    assert encode([0, -1, 1], [0, 1]).tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("y", "gold", "said"),
    [
        (["no", "yes"], ["Yes", None], r"gold\[0\] is 'Yes', .* differs from 'yes' in case only"),
        (["no", "yes"], ["maybe", None], r"gold\[0\] is 'maybe', outside .* classes=\['maybe', 'no', 'yes'\]"),
        (["no", "yes"], ["nan", "no"], r"gold\[0\] is 'nan', outside .*None, NaN or '' says that there is no label$"),
        (["no", "yes", "No", "no"], None, r"y\[2\] is 'No', elsewhere 'no'"),
        (["no", "yes", "N/A"], ["no", None, None], r"y\[2\] is 'N/A', which looks like no label"),
        ([["no"], ["yes"]], None, "one class only|is a list"),
        ([0, 1], "no", r"gold has shape \(\)"),
    ],
)
def test_labels_that_are_no_class(y: Any, gold: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        encode_columns([y], gold, None)


def test_frames_and_gaps_of_scores() -> None:
    frame = pd.DataFrame({"b": [1.0, 2.0], "llm_score_a": [3.0, np.nan]})
    for scores in (frame, pa.Table.from_pandas(frame)):
        with pytest.raises(InputError, match=r"llm_scores\[1\] has scores for some classes and NaN for others"):
            llm_score_arrays(scores, [""], ["a", "b"])
    assert llm_score_arrays(frame[:1], [""], ["a", "b"])[0].tolist() == [[3.0, 1.0]]  # type: ignore[union-attr]
    gone = np.array([[1.0, 2.0], [NAN, NAN]])
    assert np.isnan(llm_score_arrays(gone, [""], ["a", "b"])[0][1]).all()  # type: ignore[index]
    for scores, said in ((frame.rename(columns={"b": "c"}), "columns c, llm_score_a"), (-np.inf * gone[:1], "clip")):
        with pytest.raises(InputError, match=said):
            llm_score_arrays(scores, [""], ["a", "b"])


def test_minus_one_beside_booleans_and_classes_that_are_one_string() -> None:
    _, _, gold, _ = encode_columns([[True, False, True]], [1, -1, 0], None)
    assert gold.tolist() == [1, -1, 0]
    with pytest.raises(InputError, match=r"classes is one string, 'no, yes', .*: \['no', 'yes'\]"):
        encode_columns([["no", "yes"]], None, None, "no, yes")
