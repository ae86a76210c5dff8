"""What LLMs say as terms of the process, as votes, and of new texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from silr.errors import InputError
from silr.refine.fitted import annotators_of
from silr.stats.annotator_evidence import Annotator, Scale, majority, one_hot, votes

NAN = np.nan


def codes(*labels: int) -> np.ndarray:
    return np.array(labels, np.int16)


def scored(n: int, K: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return log_softmax(rng.normal(size=(n, K)) * 4 + np.arange(K), axis=1)


def test_labels_are_one_hot() -> None:
    np.testing.assert_array_equal(one_hot(codes(2, -1, 0), 3), [[0, 0, 1], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(Annotator(codes(1, -1, 0)).term(2), [[1], [0], [-1]])
    found = Annotator(codes(2, -1, 0)).term(3)
    np.testing.assert_allclose(found, [[-1 / 3, -1 / 3, 2 / 3], [0, 0, 0], [2 / 3, -1 / 3, -1 / 3]], atol=1e-7)
    assert found.dtype == np.float32


@pytest.mark.parametrize("K", [2, 3, 5])
def test_scores_are_standardised(K: int) -> None:
    """Whatever the LLM's temperature and its bias for classes; nothing where it says nothing."""
    scores = scored(500, K)
    found = Annotator(np.zeros(500, np.int16), scores).term(K)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-6)
    for other in (3 * scores, scores + np.arange(K) * 7, scores + np.linspace(0, 9, 500)[:, None]):
        np.testing.assert_allclose(Annotator(np.zeros(500, np.int16), other).term(K), found, atol=1e-4)
    holes = np.vstack([scores, np.full((3, K), NAN)])
    with_holes = Annotator(np.zeros(503, np.int16), holes).term(K)
    np.testing.assert_allclose(with_holes[:500], found, atol=1e-6)
    assert not with_holes[500:].any()


def test_new_scores_have_the_scale_of_the_corpus() -> None:
    scores = scored(200, 3)
    annotator = Annotator(np.zeros(200, np.int16), scores)
    scale = annotator.scale()
    assert scale is not None and Annotator(codes(0, 1)).scale() is None
    np.testing.assert_array_equal(scale(scores[:7]), annotator.term(3)[:7])
    np.testing.assert_allclose(scale(scale.mean[None]), 0.0, atol=1e-6)


def test_scores_of_nothing() -> None:
    nothing = Scale.of(np.full((4, 3), NAN))
    assert np.isfinite(nothing.mean).all() and not nothing(np.full((4, 3), NAN)).any()
    assert np.isfinite(Scale.of(np.zeros((4, 2)))(np.zeros((4, 2)))).all()


def test_constant_llms() -> None:
    scores = scored(50, 3)
    same = np.zeros(50, np.int16)
    assert Annotator(same).is_constant() and Annotator(np.full(50, -1, np.int16)).is_constant()
    assert Annotator(codes(1, -1, 1)).is_constant() and not Annotator(codes(1, -1, 0)).is_constant()
    assert not Annotator(same, scores).is_constant()
    for constant in (np.tile(scores[:1], (50, 1)), np.full((50, 3), NAN), scores[:, :1] + np.arange(3)):
        assert Annotator(np.arange(50).astype(np.int16) % 3, constant).is_constant()
    holes = np.where(np.arange(50)[:, None] < 48, NAN, scores)
    assert not Annotator(same, holes).is_constant()


def test_votes_are_shares() -> None:
    one, two, three = codes(0, 1, -1, 2), codes(0, 2, -1, -1), codes(1, 1, -1, -1)
    shares, known = votes([Annotator(each) for each in (one, two, three)], 3)
    np.testing.assert_array_equal(known, [True, True, False, True])
    wanted = np.array([[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [0, 0, 1]])
    np.testing.assert_allclose(shares[known], wanted)
    np.testing.assert_allclose(shares[2], wanted.mean(axis=0))


def test_the_majority_and_of_ties_who_is_named_first() -> None:
    labels = [codes(0, 1, -1, 2, -1), codes(1, 2, -1, 0, 1), codes(1, 0, -1, -1, -1)]
    np.testing.assert_array_equal(majority([Annotator(each) for each in labels], 3), [1, 1, -1, 2, 1])
    np.testing.assert_array_equal(majority([Annotator(each) for each in labels[::-1]], 3), [1, 0, -1, 0, 1])
    alone = majority([Annotator(labels[0])], 3)
    np.testing.assert_array_equal(alone, labels[0])
    assert alone.dtype == np.int16


# --- of new texts -----------------------------------------------------------------------------------------------------

CLASSES = np.array(["no", "yes"])
SCALE = Scale(np.zeros(1), 1.0)


def test_labels_of_new_texts_by_name_or_in_order() -> None:
    one, two = ["yes", "no", None], ["no", None, "no"]
    for given in ({"b": two, "a": one}, pd.DataFrame({"b": two, "a": one}), np.array([one, two], dtype=object).T):
        found = annotators_of(given, None, ["a", "b"], [None, None], CLASSES, 3)
        assert [each.name for each in found] == ["a", "b"]
        np.testing.assert_array_equal(found[0].labels, [1, 0, -1])
        np.testing.assert_array_equal(found[1].labels, [0, -1, 0])
        assert found[0].labels.dtype == np.int16


def test_scores_of_new_texts_are_labels_too() -> None:
    scores = np.array([[0.0, 1.0], [NAN, NAN], [2.0, 1.0]])
    (found,) = annotators_of(None, scores, [""], [SCALE], CLASSES, 3)
    np.testing.assert_array_equal(found.labels, [1, -1, 0])
    np.testing.assert_array_equal(found.scores, scores)


def test_scores_that_the_corpus_did_not_have_are_not_read() -> None:
    (found,) = annotators_of(["no"] * 3, np.zeros((3, 2)), [""], [None], CLASSES, 3)
    assert found.scores is None


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ({"a": ["no"], "c": ["no"]}, None, r"labelled by 2 LLM\(s\) \(a, b\), not a, c"),
        (pd.DataFrame({"a": ["no"], "c": ["no"]}), None, r"labelled by 2 LLM\(s\) \(a, b\), not a, c"),
        ({"a": ["no"]}, None, r"labelled by 2 LLM\(s\)"),
        (["no"], None, r"labelled by 2 LLM\(s\)"),
        (np.array([["no", "no", "no"]]), None, r"labelled by 2 LLM\(s\)"),
        ({"a": ["no"], "b": ["maybe"]}, None, "'maybe', outside the classes 'no', 'yes'"),
        ({"a": ["no"], "b": ["no", "no"]}, None, "X has 1 rows, llm_labels 2"),
        ({"a": ["no"], "b": ["no"]}, {"c": np.zeros((1, 2))}, "llm_scores has 'c', but the LLMs are a, b"),
        ({"a": ["no"], "b": ["no"]}, {"a": np.zeros((1, 3))}, r"llm_scores has shape \(1, 3\)"),
        (None, {"a": np.zeros((1, 2))}, "give llm_labels of the LLMs that have no scores"),
        (None, None, "give llm_labels"),
    ],
)
def test_what_cannot_be_read(labels: object, scores: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        annotators_of(labels, scores, ["a", "b"], [None, None], CLASSES, 1)


def test_scores_that_the_corpus_had_are_wanted() -> None:
    with pytest.raises(InputError, match="the corpus had scores of the LLM b: give llm_scores for new texts too"):
        annotators_of({"a": ["no"], "b": ["no"]}, {"a": np.zeros((1, 2))}, ["a", "b"], [None, SCALE], CLASSES, 1)
    with pytest.raises(InputError, match="the corpus had scores of the LLM: give llm_scores"):
        annotators_of(["no"], None, [""], [SCALE], CLASSES, 1)
