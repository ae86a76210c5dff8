"""The classes of label columns, and what is said of a label that is none."""

from __future__ import annotations

import pytest

from silr.errors import InputError
from silr.io.class_names import ClassNames, alike, class_names, of_python, of_table

TABLE = of_table("t.csv")


@pytest.mark.parametrize(
    ("classes", "labels", "codes"),
    [
        (["0", "1"], ["0.0", "1", None, "true", "False"], [0, 1, -1, 1, 0]),
        (["False", "True"], ["FALSE", "true", "1.0", "0"], [0, 1, 1, 0]),
        (["4.0", "4.5"], ["4", "4.50"], [0, 1]),
        (["ne\u0301", "b"], ["n\u00e9", "b"], [0, 1]),
    ],
)
def test_cells_meet_the_classes_that_they_mean(classes: list[str], labels: list[str | None], codes: list[int]) -> None:
    assert ClassNames(classes).codes(labels, "gold", TABLE).tolist() == codes


def test_a_text_instead_of_a_label_is_not_shown_whole():
    with pytest.raises(InputError, match=r"is 'a text, not a label a text[^']{0,50}…', outside [^;]*; leave[^:]*$"):
        ClassNames(["negative", "positive"]).codes(["a text, not a label " * 9], "gold", TABLE)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            "Negative",
            "differs from 'negative' in case only: write it alike, or --classes negative,positive takes",
        ),
        ("negatve", "did you mean 'negative'.; leave a cell empty .*: --classes negative,negatve,positive"),
        ("neutral", "outside the classes 'negative', 'positive'; leave .* class: --classes negative,neutral,positive$"),
        ("a, b", "--classes '\"a, b\",negative,positive'"),
        ("?", "leave a cell empty where there is no label$"),
        ("TODO", "leave a cell empty where there is no label$"),
    ],
)
def test_a_label_that_is_no_class(label: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        ClassNames(["negative", "positive"]).codes(["positive", None, label], "gold", TABLE)
    assert str(error.value).startswith(f"t.csv, row 3: 'gold' is {label!r}")


def test_named_classes_take_either_case() -> None:
    named = ClassNames(["no", "yes"], named=True)
    labels = ["No", "YES", "yes", None]
    assert named.codes(labels, "gold", TABLE).tolist() == [0, 1, 1, -1] and named.folded(labels) == 2
    both = ClassNames(["no", "yes", "Yes"], named=True)
    assert both.codes(["Yes", "yes"], "gold", TABLE).tolist() == [2, 1] and both.code("YES") == -1


def test_one_name_for_each_class() -> None:
    assert class_names({"a": ["1.0", "0.0", "10.0", None, "2"]}, TABLE) == ["0", "1", "2", "10"]
    assert class_names({"a": ["4.0", "4.5", "4"]}, TABLE) == ["4", "4.5"]
    assert class_names({"a": ["true", "True", "true", "false"]}, TABLE) == ["false", "true"]
    assert class_names({"a": ["x"], "b": ["y"]}, TABLE, known=["z", "x"]) == ["x", "y", "z"]


def test_classes_that_differ_in_case() -> None:
    labels = ["no", "Yes", "yes", "yes"]
    with pytest.raises(InputError, match=r"t\.csv, row 2: 'a' is 'Yes', elsewhere 'yes': .* --classes no,yes takes"):
        class_names({"a": labels}, TABLE)
    with pytest.raises(InputError, match=r"--classes Yes,no takes"):
        class_names({"a": ["yes", "no", "No", "Yes", "Yes", "no"]}, TABLE)
    assert class_names({"a": labels}, TABLE, known=["Yes", "yes", "no"]) == ["Yes", "no", "yes"]


def test_what_looks_like_no_label() -> None:
    """A word is a class if a person gives it too, and is told where there are no gold labels; a mark must be named."""
    said: list[str] = []
    labels = ["for", "against", "none"]
    assert class_names({"a": labels}, TABLE, gold=["none", "for"], say=said.append) == ["against", "for", "none"]
    assert said == []
    assert class_names({"a": labels}, TABLE, say=said.append) == ["against", "for", "none"]
    assert len(said) == 1 and "row 3: 'a' is 'none', which is taken for a class" in said[0]
    for strange, gold in (("none", ["for"]), ("?", ["?", "for"]), ("nan", [])):
        with pytest.raises(InputError, match=r"row 3: 'a' is '.*', which looks like no label: .*--classes"):
            class_names({"a": ["for", "against", strange]}, TABLE, gold=gold, say=said.append)
    with pytest.raises(InputError, match="'-1', which looks like no label"):
        class_names({"a": ["0", "1", "-1"]}, TABLE, gold=["1", "0"])
    assert class_names({"a": ["0", "1", "-1"]}, TABLE, gold=["-1", "0"]) == ["-1", "0", "1"]
    assert class_names({"a": ["+", "-"]}, TABLE, gold=["+"]) == ["+", "-"]
    assert class_names({"a": ["x", "y", "?"]}, TABLE, known=["?"]) == ["?", "x", "y"]


def test_words_for_python() -> None:
    with pytest.raises(InputError, match=r"^gold\[1\] is 'z', outside .*None, NaN .*classes=\['x', 'y', 'z'\]$"):
        ClassNames(["x", "y"]).codes(["x", "z"], "gold", of_python())


def test_columns_with_one_name_for_each_class() -> None:
    assert alike(["1", "0"], ["0.0", None], ["1.0", "2"]) == [["1", "0"], ["0", None], ["1", "2"]]
    assert alike(["True", "False"], ["0", "1.0"]) == [["True", "False"], ["False", "True"]]
