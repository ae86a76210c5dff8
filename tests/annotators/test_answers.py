import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silr.annotators.answers import Token, class_log_probabilities, named_class, safe_words, without_thoughts

WORDS = ("negative", "positive")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("positive", 1),
        ("  Positive.\n", 1),
        ("The review is **negative**.", 0),
        ("nonpositive", None),
        ("positively good", None),
        ("positive or negative", None),
        ("neutral", None),
        ("", None),
        ("positive positive", 1),
    ],
)
def test_the_class_that_an_answer_names(answer: str, expected: int | None) -> None:
    named = named_class(answer, WORDS)
    assert (named and named[0]) == expected
    if named:
        assert answer[named[1] :].lower().startswith(WORDS[named[0]])


def test_a_name_inside_a_longer_name_is_not_named() -> None:
    words = ("safe", "not safe", "unsafe")
    assert [named_class(answer, words) for answer in ("not safe", "safe", "Unsafe!")] == [(1, 0), (0, 0), (2, 0)]
    assert named_class("not safe, or safe", words) is None


def test_a_letter_counts_in_upper_case_only() -> None:
    assert named_class("It is a review, so B.", ("A", "B")) == (1, 19)
    assert named_class("a", ("A", "B")) is None


@given(st.text(), st.text())
def test_thoughts_are_blanked_and_the_rest_keeps_its_place(thought: str, rest: str) -> None:
    thoughts = f"hm <think>{thought}</think>"
    if "<" not in rest:
        assert without_thoughts(thoughts + rest) == " " * len(thoughts) + rest


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        ("<think>positive? no</think>negative", "negative"),
        ("positive? no</think>negative", "negative"),  # the opening tag was in the prompt
        ("<think>positive, but", ""),  # cut off
        ("<thinking>positive</thinking> negative", "negative"),
        ("negative", "negative"),
    ],
)
def test_thoughts_do_not_count(answer: str, rest: str) -> None:
    assert without_thoughts(answer).strip() == rest


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["negative", "positive"], ("negative", "positive")),
        (["informative", "insulting"], ("A", "B")),
        (["Yes", "yellow"], ("A", "B")),
        (["1", "2"], ("1", "2")),
        (["+", "-"], ("A", "B")),
    ],
)
def test_names_that_begin_alike_are_answered_by_letters(classes: list[str], words: tuple[str, ...]) -> None:
    assert safe_words(classes) == words


def token(text: str, **likeliest: float) -> Token:
    return Token(text, tuple((name.replace("_", " "), math.log(p)) for name, p in likeliest.items()))


def test_log_probabilities_at_the_place_of_the_class_word() -> None:
    tokens = [token("It is", It_is=1.0), token(" pos", _pos=0.5, _neg=0.2, P=0.1, _the=0.2), token("itive", itive=1.0)]
    found = class_log_probabilities(tokens, 6, WORDS)
    assert np.exp(found) == pytest.approx([0.25, 0.75])
    assert class_log_probabilities(tokens, 99, WORDS) is None
    assert class_log_probabilities(tokens, 0, WORDS) is None


def test_a_class_that_is_not_listed_gets_at_most_the_least_listed_probability() -> None:
    found = class_log_probabilities([token("positive", positive=0.9, the=0.1)], 0, WORDS)
    assert np.exp(found) == pytest.approx([0.1, 0.9])


def test_a_token_that_begins_two_classes_counts_for_none() -> None:
    words = ("inform", "insult")
    assert class_log_probabilities([token("in", **{"in": 0.9, "the": 0.1})], 0, words) is None
