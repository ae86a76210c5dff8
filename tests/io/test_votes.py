"""Votes of several people in a table."""

import pandas as pd
import pytest

from silr.errors import InputError
from silr.io.votes import person_name, read_votes

CLASSES = ["0", "1"]


def test_columns_of_votes():
    frame = pd.DataFrame({"vote_ann": [0, None, 1.0], "text": ["a", "b", "c"], "vote_Bob-2": ["1", "", " 0 "]})
    votes = read_votes(frame, CLASSES)
    assert votes.persons == ["ann", "Bob-2"] and votes.codes.tolist() == [[0, 1], [-1, -1], [1, 0]]
    assert read_votes(frame[["text"]], CLASSES) is None


def test_columns_of_somebody_else_are_left_alone():
    frame = pd.DataFrame({"vote_count": [31, 7], "vote_2016": ["Clinton", None], "vote_list": [["a"], []]})
    frame["vote_nobody"] = None
    assert read_votes(frame, CLASSES) is None


def test_case():
    frame = pd.DataFrame({"vote_ann": ["Good", "bad"]})
    assert read_votes(frame, ["bad", "good"], named=True).codes.tolist() == [[1], [0]]
    with pytest.raises(InputError, match=r"row 1: 'vote_ann' is 'Good', .* differs from 'good' in case only"):
        read_votes(frame, ["bad", "good"], "t.csv")


def test_what_is_no_vote():
    frame = pd.DataFrame({"vote_ann": ["0", "17"]})
    with pytest.raises(
        InputError, match=r"row 2: 'vote_ann' is '17', .*if 'vote_ann' holds no person's labels, rename"
    ):
        read_votes(frame, CLASSES, "t.csv")
    with pytest.raises(InputError, match="'ann smith' is no name of a person: take letters, digits, - and _"):
        read_votes(frame[:1].rename(columns={"vote_ann": "vote_ann smith"}), CLASSES)


def test_names():
    assert person_name(" Jo\u0308rg_2 ") == "J\u00f6rg_2"
    for name in ("", "a b", "a.b", "a/b", "a,b"):
        with pytest.raises(InputError, match="is no name of a person"):
            person_name(name)
