import pytest
from hypothesis import given
from hypothesis import strategies as st

from silr.annotators import Prompt
from silr.errors import InputError

BRACES = st.text(alphabet="{}aqtextquestionclasses 0!:%", max_size=30)


@given(question=BRACES)
def test_a_question_is_put_in_as_it_is(question):
    before, after = Prompt(["a", "b"], question).around_text()
    assert before.startswith(question + " Answer with one word.")
    assert after == ""


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_other_braces_of_a_template_stand_for_themselves(before, after):
    before, after = before.replace("{", "{{"), after.replace("}", "}}")
    assert Prompt(["a", "b"], template=f"{before}{{text}}{after}").around_text() == (before, after)


def test_the_classes_are_named_by_their_words():
    prompt = Prompt(["0", "1", "2"], template="{classes}? {question} {text}", class_words={"1": "good", "0": "bad"})
    assert prompt.words == ("bad", "good", "2")
    assert prompt.around_text()[0] == "bad, good or 2? Is this text bad, good or 2? "


@pytest.mark.parametrize(
    ("question", "opening"),
    [
        ("Is this review positive or negative?", "This review is"),
        ("Is this review negative or positive?", "This review is"),
        ("Are the comments positive?", "The comments are"),
        ("was It POSITIVE?", "It was"),
        ("Is this a positive or negative text?", "This is a"),
        ("Is this text about a positive thing?", "This text is about a"),
        ("What is it?", "The answer is"),
        ("Is it any good?", "The answer is"),
        ("Is this impositive or negative?", "This impositive or is"),
        (None, "This text is"),
    ],
)
def test_the_opening_restates_the_question(question, opening):
    assert Prompt(["negative", "positive"], question).answer_opening() == opening


def test_a_template_without_question_has_a_neutral_opening():
    assert Prompt(["a", "b"], template="{text}").answer_opening() == "The answer is"


@pytest.mark.parametrize(
    ("opening", "separator"), [("It is", " "), ("It is ", " "), ("Label:\n", "\n"), ("", ""), ("\n", "\n")]
)
def test_one_space_follows_the_opening_unless_it_brings_its_own(opening, separator):
    assert Prompt(["a", "b"], opening=opening).separator() == separator


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["a"]}, "at least two"),
        ({"classes": "ab"}, "one string"),
        ({"classes": ["a", "a"]}, "class is given twice"),
        ({"classes": ["a", ""]}, "class is empty"),
        ({"classes": ["a", "b "]}, "white space around"),
        ({"class_words": {"c": "x"}}, "'c', which is none of the classes"),
        ({"class_words": {"a": "b"}}, "class word is given twice"),
        ({"class_words": {"a": " "}}, "class word is empty"),
        ({"template": "no place"}, "exactly once, not 0"),
        ({"template": "{text}{text}"}, "exactly once, not 2"),
        ({"template": "{text}", "question": "Is it?"}, "never be asked"),
    ],
)
def test_a_wrong_prompt_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Prompt(**{"classes": ["a", "b"], **arguments})
