"""Which columns of a table hold what LLMs say, and what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from silr.errors import InputError
from silr.io.annotator_columns import AnnotatorColumns, for_new_texts, label_columns, read_annotators


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"text": ["a", "b", "c", "d"], **columns})


def read(frame: pd.DataFrame, asked: tuple[str, ...] = (), gold: Any = (), **more: Any) -> AnnotatorColumns:
    return read_annotators(frame, "table.csv", asked, gold, **more)


LABELS = ["no", "yes", "no", "yes"]
OTHERS = ["no", None, "yes", "yes"]


def scores(prefix: str, values: Any = (-1.0, -2.0, -3.0, -4.0), classes: tuple[str, ...] = ("no", "yes")) -> Any:
    return {f"{prefix}_{name}": [value - number for value in values] for number, name in enumerate(classes)}


def log_odds(found: AnnotatorColumns, place: int = 0) -> Any:
    given = found.scores[place]
    assert given is not None
    return (given[:, 1] - given[:, 0]).tolist()


# --- which columns ----------------------------------------------------------------------------------------------------


def test_the_only_llm() -> None:
    found = read(table(llm_label=LABELS, truth="no", refined_label="yes"))
    assert (found.columns, found.names, found.classes) == (["llm_label"], [""], ["no", "yes"])
    np.testing.assert_array_equal(found.codes[0], [0, 1, 0, 1])
    assert found.scores == [None] and not found.has_scores


def test_every_label_column_is_an_llm() -> None:
    said: list[str] = []
    frame = table(llm_label_b=LABELS, llm_labels="x", llm_label=OTHERS, my_llm_label="x", **scores("llm_score_b"))
    found = read(frame, say=said.append)
    assert found.columns == ["llm_label_b", "llm_label"] and found.names == ["b", "llm"]
    np.testing.assert_array_equal(found.codes[1], [0, -1, 1, 1])
    assert log_odds(found) == [-1.0] * 4 and found.scores[1] is None and found.has_scores
    assert said == ["2 LLMs: llm_label_b, llm_label", "no scores for llm_label, which count by their labels"]


def test_a_table_without_labels() -> None:
    assert label_columns(table()) == ["llm_label"]
    with pytest.raises(InputError, match="llm_label"):
        read(table(gold=LABELS))


def test_columns_that_are_asked_for() -> None:
    """Once each, in this order, whatever their names; those of other names have no scores."""
    frame = table(llm_label="maybe", opinion=LABELS, llm_label_b=OTHERS, **scores("llm_score_b"), **scores("opinion"))
    assert label_columns(frame, ["llm_label_b", "opinion", "llm_label_b"]) == ["llm_label_b", "opinion"]
    found = read(frame, ("llm_label_b", "opinion"))
    assert found.names == ["b", "opinion"] and found.classes == ["no", "yes"]
    assert log_odds(found) == [-1.0] * 4 and found.scores[1] is None
    one = read(frame, ("opinion",))
    assert (one.names, one.scores) == (["opinion"], [None])
    with pytest.raises(InputError, match="nothing"):
        read(frame, ("nothing",))


def test_llms_of_the_same_name_are_kept_apart() -> None:
    """By what `silr.LabelRefiner` calls them: two columns are two LLMs."""
    frame = table(llm_label=LABELS, llm_label_llm=OTHERS, llm_label_x=LABELS, x=OTHERS)
    for asked in ((), ("llm_label_x", "x")):
        found = read(frame, asked)
        assert len(set(found.names)) == len(found.columns)


# --- scores by name ---------------------------------------------------------------------------------------------------


def test_names_that_begin_alike() -> None:
    """gpt, gpt_4 and gpt_4_mini: each has its own scores, whatever the order of the columns."""
    columns = {
        "llm_label_gpt_4": LABELS,
        "llm_label_gpt": LABELS,
        "llm_label": LABELS,
        "llm_label_gpt_4_mini": LABELS,
        **{f"llm_score_gpt_{name}": [value] * 4 for name, value in (("no", 0.0), ("yes", 1.0))},
        **{f"llm_score_gpt_4_{name}": [value] * 4 for name, value in (("no", 0.0), ("yes", 2.0))},
        **{f"llm_score_gpt_4_mini_{name}": [value] * 4 for name, value in (("no", 0.0), ("yes", 3.0))},
        **{f"llm_score_{name}": [value] * 4 for name, value in (("no", 0.0), ("yes", 4.0))},
    }
    wanted = {"gpt": 1.0, "gpt_4": 2.0, "gpt_4_mini": 3.0, "llm": 4.0}
    for frame in (table(**columns), table(**dict(reversed(columns.items())))):
        found = read(frame)
        assert found.classes == ["no", "yes"]
        assert {name: log_odds(found, place)[0] for place, name in enumerate(found.names)} == wanted


def test_one_of_several_llms_that_is_asked_for() -> None:
    """Its classes are its own, and the scores of the one whose name goes on are not its."""
    frame = table(
        llm_label_gpt=LABELS,
        llm_label_gpt_4=LABELS,
        **scores("llm_score_gpt"),
        **scores("llm_score_gpt_4", (-9.0,) * 4),
    )
    found = read(frame, ("llm_label_gpt",))
    assert found.classes == ["no", "yes"] and found.scores[0] is not None
    np.testing.assert_array_equal(found.scores[0][:, 0], [-1, -2, -3, -4])


def test_only_the_longer_name_has_scores() -> None:
    frame = table(llm_label_gpt=LABELS, llm_label_gpt_4=LABELS, **scores("llm_score_gpt_4"))
    found = read(frame)
    assert found.classes == ["no", "yes"]
    assert [each is None for each in found.scores] == [True, False]


def test_the_order_of_the_score_columns_is_that_of_the_only_llm() -> None:
    """Of several LLMs the classes are sorted; scores are by class either way."""
    reverse = scores("llm_score", classes=("yes", "no"))
    one = read(table(llm_label=LABELS, **reverse))
    assert one.classes == ["yes", "no"]
    np.testing.assert_array_equal(one.codes[0], [1, 0, 1, 0])
    assert log_odds(one) == [-1.0] * 4
    two = read(table(llm_label=LABELS, llm_label_b=OTHERS, **reverse))
    assert two.classes == ["no", "yes"] and log_odds(two) == [1.0] * 4


def test_a_class_that_only_scores_have() -> None:
    found = read(table(llm_label_a=LABELS, llm_label_b=OTHERS, **scores("llm_score_a", classes=("no", "yes", "else"))))
    assert found.classes == ["else", "no", "yes"]
    assert found.scores[0] is not None and found.scores[0].shape == (4, 3)


def test_scores_of_some_classes_only() -> None:
    frame = table(llm_label_a=[*LABELS[:3], "else"], llm_label_b=OTHERS, **scores("llm_score_a"))
    with pytest.raises(InputError, match="'llm_score_a_else'"):
        read(frame)


def test_a_score_that_is_missing() -> None:
    """Where there is no label there need be none, and a label may come without any; but not with some."""
    values = (-1.0, np.nan, -3.0, -4.0)
    found = read(table(llm_label_a=OTHERS, llm_label_b=LABELS, **scores("llm_score_a", values)))
    assert found.scores[0] is not None
    np.testing.assert_array_equal(np.isfinite(found.scores[0]).all(axis=1), [True, False, True, True])
    labelled = read(table(llm_label_a=LABELS, llm_label_b=LABELS, **scores("llm_score_a", values)))
    np.testing.assert_array_equal(labelled.scores[0], found.scores[0])
    half = scores("llm_score_a", values) | {"llm_score_a_no": [-1.0] * 4}
    for partly in (half, scores("llm_score_a", (np.nan,) * 4)):
        with pytest.raises(InputError, match=r"row [12]:"):
            read(table(llm_label_a=LABELS, llm_label_b=LABELS, **partly))


# --- confidences ------------------------------------------------------------------------------------------------------


def test_a_confidence_is_the_probability_of_the_label() -> None:
    """The others share the rest; one that is missing counts as the median; nobody is certain."""
    labels = ["a", "b", "c", "a", None, "b", "c"]
    confidence = [0.8, "0.5", None, 1, 0.9, 0, ""]
    frame = pd.DataFrame({"llm_label": labels, "llm_confidence": confidence})
    (found,) = read(frame).scores
    assert found is not None
    given = np.exp(found)
    median = np.median([0.8, 0.5, 1.0, 0.0])
    for row, (code, sure) in enumerate(
        [(0, 0.8), (1, 0.5), (2, median), (0, 0.999), (0, np.nan), (1, 0.001), (2, median)]
    ):
        wanted = np.full(3, (1 - sure) / 2)
        wanted[code] = sure
        np.testing.assert_allclose(given[row], wanted)
    np.testing.assert_allclose(given[[0, 1, 2, 3, 5, 6]].sum(axis=1), 1.0)


def test_confidences_by_name() -> None:
    frame = table(
        llm_label_gpt=LABELS, llm_label_gpt_4=LABELS, llm_confidence_gpt=0.6, llm_confidence_gpt_4=[0.9] * 4,
        llm_label=LABELS, llm_confidence=0.7,
    )  # fmt: skip
    found = read(frame)
    sure = {name: np.exp(found.scores[place]).max() for place, name in enumerate(found.names)}  # type: ignore[arg-type]
    assert sure == pytest.approx({"gpt": 0.6, "gpt_4": 0.9, "llm": 0.7})


def test_scores_are_believed_rather_than_a_confidence() -> None:
    found = read(table(llm_label=LABELS, llm_confidence=0.9, **scores("llm_score")))
    assert log_odds(found) == [-1.0] * 4


@pytest.mark.parametrize("wrong", [1.01, -0.2, 95, "high", "90%", float("inf"), True])
def test_what_is_no_confidence(wrong: Any) -> None:
    if wrong is True:
        assert read(table(llm_label=LABELS, llm_confidence=[True, 0.5, 0.5, 0.5])).has_scores  # 1 by another name
        return
    frame = table(llm_label=LABELS, llm_confidence=pd.Series([0.5, 0.5, wrong, 0.5], dtype=object))
    with pytest.raises(
        InputError, match=r"table.csv, row 3: 'llm_confidence' is .*; a confidence is a number from 0 to 1"
    ):
        read(frame)


def test_a_column_of_no_confidences() -> None:
    with pytest.raises(InputError, match=r"'llm_confidence' of .* has no confidence"):
        read(table(llm_label=LABELS, llm_confidence=[None, "", " ", np.nan]))


def test_a_confidence_of_a_text_without_label_is_not_read() -> None:
    found = read(table(llm_label=OTHERS, llm_confidence=pd.Series([0.5, "none", 0.5, 0.5], dtype=object)))
    assert found.scores[0] is not None and np.isnan(found.scores[0][1]).all()


def test_confidences_of_an_llm_without_any_label() -> None:
    """There is nothing that they are the confidence of."""
    found = read(table(llm_label_a=LABELS, llm_label_b=[None] * 4, llm_confidence_b=[0.9] * 4))
    assert found.scores[1] is None or np.isnan(found.scores[1]).all()


@pytest.mark.filterwarnings("error")
def test_confidences_of_one_class_only() -> None:
    """There is no other class that the rest could be shared by, unless another LLM has one."""
    with pytest.raises(InputError, match="one class only, 'no'"):
        read(table(llm_label="no", llm_confidence=0.9))
    found = read(table(llm_label="no", llm_confidence=0.9, llm_label_b="yes"), gold=["yes", "no", None, None])
    assert found.classes == ["no", "yes"] and log_odds(found)[0] == pytest.approx(np.log(1 / 9))


# --- classes ----------------------------------------------------------------------------------------------------------


def test_classes_are_those_of_the_llms() -> None:
    """A gold label of another one is refused by who reads it; in order of their values if they are integers."""
    assert read(table(llm_label=LABELS), gold=["else", None, None, None]).classes == ["no", "yes"]
    assert read(table(llm_label=["10", "9", "10", "9"])).classes == ["9", "10"]


def test_llms_with_no_class_in_common() -> None:
    frame = table(llm_label_a=LABELS, llm_label_b=["ja", "nein", "ja", "nein"])
    with pytest.raises(InputError, match="llm_label_a has the classes 'no', 'yes', the other labels 'ja', 'nein'"):
        read(frame)
    with pytest.raises(InputError, match="llm_label_b has the classes 'ja', 'nein', the other labels 'no', 'yes'"):
        read(frame, gold=["yes", "no", None, None])


def test_a_class_that_one_llm_alone_has_is_told() -> None:
    said: list[str] = []
    frame = table(llm_label_a=["no", "yes", "ja", "yes"], llm_label_b=OTHERS)
    assert read(frame, say=said.append).classes == ["ja", "no", "yes"]
    assert "only llm_label_a has 'ja'; if that is another spelling, mend it first" in said
    said.clear()
    read(frame, gold=["ja", None, None, None], say=said.append)
    assert not any("spelling" in line for line in said)


def test_many_classes_are_not_all_listed() -> None:
    rows = 12
    frame = pd.DataFrame({"llm_label_a": [f"a{k:02}" for k in range(rows)], "llm_label_b": ["x", "y"] * 6})
    with pytest.raises(InputError, match="'a00', 'a01', 'a02', 'a03', 'a04' and 7 more, the other labels 'x', 'y'"):
        read(frame)


def test_all_labels_of_one_llm_are_missing() -> None:
    found = read(table(llm_label_a=LABELS, llm_label_b=[None, "", " ", np.nan]))
    np.testing.assert_array_equal(found.codes[1], [-1] * 4)
    with pytest.raises(InputError, match="llm_label: all 4 labels are missing"):
        read(table(llm_label=[None] * 4))


def test_all_labels_of_all_llms_are_missing() -> None:
    with pytest.raises(InputError, match="missing"):
        read(table(llm_label_a=[None] * 4, llm_label_b=[None] * 4))


# --- new texts --------------------------------------------------------------------------------------------------------


def test_new_texts_as_the_refiner_takes_them() -> None:
    frame = table(
        llm_label_a=["no", None, "no", "no"], llm_label_b=OTHERS, **scores("llm_score_b", (-1.0, np.nan, -1.0, -1.0))
    )
    found = for_new_texts(frame, "new.csv", ["llm_label_b", "llm_label_a"], ["no", "yes"], [True, False])
    assert not isinstance(found, str)
    labels, given = found
    assert list(labels) == ["b", "a"] and list(given) == ["b"]
    assert labels["a"].tolist() == ["no", None, "no", "no"] and labels["b"].tolist() == OTHERS
    assert np.isnan(given["b"][1]).all() and np.isfinite(np.delete(given["b"], 1, axis=0)).all()


def test_new_texts_without_what_the_run_had() -> None:
    frame = table(llm_label_a=LABELS)
    assert for_new_texts(frame, "new.csv", ["llm_label_a", "llm_label_b"], ["no", "yes"], [False, False]) == (
        "there is no column llm_label_b"
    )
    assert for_new_texts(frame, "new.csv", ["llm_label_a"], ["no", "yes"], [True]) == (
        "there are no scores of llm_label_a, which the run had"
    )
    with pytest.raises(InputError, match="yes"):
        for_new_texts(frame, "new.csv", ["llm_label_a"], ["no", "maybe"], [False])


def test_scores_that_the_run_did_not_have_are_not_given() -> None:
    frame = table(llm_label=LABELS, **scores("llm_score"))
    found = for_new_texts(frame, "new.csv", ["llm_label"], ["no", "yes"], [False])
    assert not isinstance(found, str) and found[1] == {}


def test_new_texts_of_one_class() -> None:
    """A handful of texts may all have the same label, or none."""
    for label in ("no", None):
        frame = table(llm_label=[label] * 4)
        found = for_new_texts(frame, "new.csv", ["llm_label"], ["no", "yes"], [False])
        assert not isinstance(found, str) and found[0][""].tolist() == [label] * 4


def test_a_class_that_was_named_and_not_scored_has_the_mean_of_the_others() -> None:
    frame = table(llm_label=LABELS, llm_score_no=-2.0, llm_score_yes=-1.0)
    found = read_annotators(frame, "t.csv", classes=["maybe", "no", "yes"], finished=False)
    assert found.scores[0] is not None and found.scores[0][0].tolist() == [-1.5, -2.0, -1.0]
