"""`silr.agreement`: coefficients of a table, and the verdict on its LLMs."""

import json

import numpy as np
import pandas as pd
import pytest

import silr
from people import people
from silr.errors import InputError
from silr.estimates.agreement import PeopleAgreement
from silr.stats.agreement import cohen_kappa, krippendorff_alpha

NAMES = np.array(["no", "yes", None], dtype=object)


@pytest.fixture(scope="module")
def codes():
    return people(90, [0.9, 0.9, 0.8, 0.95, 0.5], [0.6, 0.4], missing=0.05)


@pytest.fixture(scope="module")
def frame(codes):
    columns = ["vote_ann", "vote_bob", "vote_cy", "llm_label_big", "llm_label_small"]
    return pd.DataFrame({"text": [f"t{row}" for row in range(90)], **dict(zip(columns, NAMES[codes].T, strict=True))})


def test_of_a_frame_and_of_a_file(frame, codes, tmp_path):
    result = silr.agreement(frame)
    assert result.alpha == krippendorff_alpha(codes[:, :3], 2)
    assert result.kappa["ann", "cy"] == cohen_kappa(codes[:, 0], codes[:, 2], 2)
    assert list(result.classes) == ["no", "yes"] and result.votes["ann"] == (codes[:, 0] >= 0).sum()
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert silr.agreement(tmp_path / "t.csv") == result
    assert json.loads(json.dumps(result.to_dict()))["alpha"]["value"] == result.alpha.value


def test_what_it_says_of_llms(frame):
    result = silr.agreement(frame)
    assert result.llms["llm_label_big"].passed and not result.llms["llm_label_small"].passed
    lines = str(result).splitlines()
    assert lines[-2].startswith(
        "may llm_label_big stand in for a person? yes: it does as well as 3 of 3 persons (winning"
    )
    assert lines[-1].startswith(
        "may llm_label_small stand in for a person? no, or not shown yet by so few texts: it does"
    )
    few = silr.agreement(frame[["vote_ann", "vote_bob", "llm_label_big"]])
    assert "needs 3 persons with 30 texts each" in few.untested and few.untested in str(few) and not few.llms
    assert few.to_dict()["alternative_annotator"] == {}


def test_disputes(frame):
    result = silr.agreement(frame)
    votes = frame[["vote_ann", "vote_bob", "vote_cy"]]
    assert result.disputed == (votes.nunique(axis=1) > 1).sum() > result.tied > 0
    decided = silr.agreement(frame.assign(adjudicated="no"))
    assert decided.disputed == decided.tied == 0 and decided.alpha == result.alpha


def test_classes(frame):
    votes = frame[["vote_ann", "vote_bob"]].replace("yes", "Yes")
    assert silr.agreement(votes).classes.keys() == {"Yes", "no"}
    assert silr.agreement(votes, classes=["no", "yes", "maybe"]).classes["maybe"] is None
    with pytest.raises(InputError, match=r"'vote_ann' is 'Yes', .* in case only"):
        silr.agreement(votes.assign(llm_label=frame["llm_label_big"]))


def test_all_votes_for_one_class():
    same = pd.DataFrame({"vote_ann": ["no"] * 5, "vote_bob": ["no"] * 5})
    result = silr.agreement(same, classes=["no", "yes"])
    assert isinstance(result, PeopleAgreement) and result.alpha is None and result.kappa["ann", "bob"] is None
    assert "Krippendorff's alpha: not defined: all votes are for one class" in str(result)
    apart = pd.DataFrame({"vote_ann": ["no", None], "vote_bob": [None, "yes"]})
    assert str(silr.agreement(apart)) == "votes: ann 1, bob 1; 0 texts have two or more"


def test_what_is_refused(frame):
    with pytest.raises(InputError, match="the table has no column vote_NAME; agreement is of two persons or more"):
        silr.agreement(frame[["text", "llm_label_big", "llm_label_small"]])
    with pytest.raises(InputError, match="has the votes of ann alone"):
        silr.agreement(frame[["vote_ann", "llm_label_big"]])
    with pytest.raises(InputError, match="epsilon is 1"):
        silr.agreement(frame, epsilon=1)
