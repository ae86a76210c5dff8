"""An answer made to mean one class gives that class or none, never another; a plain one gives it."""

import json
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from silr.annotators.answers.read import read_answer, safe_words, without_thoughts
from silr.annotators.missing import Missing

SETS = [
    ("negative", "positive"),
    ("not_toxic", "toxic"),
    ("non-toxic", "toxic"),
    ("hate", "no hate"),
    ("very negative", "negative", "neutral", "positive", "very positive"),
    ("science", "science fiction", "fantasy"),
    ("biased", "unbiased"),
    ("1", "10", "2"),
    ("0", "1"),
    ("-1", "0", "1"),
    ("A", "B", "C"),
    ("politics", "sports", "science", "society", "style", "space", "soccer", "stocks", "nature", "surgery"),
    ("C", "C++", "C#"),
    ("true", "false"),
    ("yes", "no", "can't tell"),
    ("pro_choice", "pro_life", "neither"),
    ("World", "Sports", "Business", "Sci/Tech"),
    ("R&B", "Rock & Roll"),
    ("NotToxic", "Toxic"),
    ("US", "UK"),
    ("正面", "负面"),
    ("相关", "不相关"),
    ("ポジティブ", "ネガティブ"),
    ("긍정", "부정"),
    ("บวก", "ลบ"),
    ("सकारात्मक", "नकारात्मक"),
    ("положительный", "отрицательный"),
    ("Café", "Bar"),
    ("👍", "👎"),
    ("+", "-"),
]
PLAIN = [
    "{a}",
    " {a}\n",
    "{a}.",
    "**{a}**",
    "`{a}`",
    '"{a}"',
    "“{a}”",
    "Answer: {a}",
    "**Label:** {a}",
    "The answer is {a}.",
    "Final answer: {a}",
    "\\boxed{{{a}}}",
    "\\boxed{{\\text{{{a}}}}}",
    "$\\boxed{{{a}}}$",
    "<answer>{a}</answer>",
    "```\n{a}\n```",
    "{json}",
    "```json\n{json}\n```",
    "Here it is: {json}",
    "<think>It may be {b}.</think>{a}",
    "maybe {b}</think>\n\n{a}",
    "[THINK]{b}?[/THINK]{a}",
    "<|channel|>analysis<|message|>{b}?<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "It could be {b}, too.\n\nFinal answer: {a}",
    "{a}\n\nThe author says so.",
    "{a}<|im_end|>",
]
MEANT = [
    "It is {a}, not {b}.",
    "{a} rather than {b}",
    "Not {b}: {a}",
    "This is {a}. It isn't {b}.",
    "It is not {b}, so it is {a}.",
    "{a}, although some would say {b}",
    "I'd call it {a}.",
    "The text is {a}",
    "Overall, it is {a}.",
    "Label: {a}\nReason: it does not say {b}",
    "- {b}: no\n- {a}: yes",
    "~~{b}~~ {a}",
]
DENIED = [
    "It is not {a}.",
    "This isn't {a}",
    "Neither {a} nor {b}",
    "I don't think that it is {a}.",
    "{a} is wrong.",
    '"{a}" does not fit',
    "Final answer: not {a}",
    '{{"label": "not {a}"}}',
    "It is far from {a}",
    "anything but {a}",
    "{a}? No.",
    "This doesn't seem {a}",
    "Is it {a} or {b}?",
    "{a} or {b}",
    "<think>{a}",
]


@st.composite
def cases(draw: st.DrawFn, templates: list[str]) -> tuple[str, tuple[str, ...], tuple[str, ...], int]:
    """An answer, the words asked for, the classes, and the class that is meant."""
    classes = draw(st.sampled_from(SETS))
    words = draw(st.sampled_from([classes, safe_words(classes)]))
    meant, other = draw(st.permutations(range(len(classes))))[:2]
    names = draw(st.sampled_from([words, classes]))
    a, b = _respelled(draw, names[meant], words), names[other]
    answer = draw(st.sampled_from(templates)).format(a=a, b=b, json=json.dumps({"reason": f"not {b}", "label": a}))
    return answer, words, classes, meant


def _respelled(draw: st.DrawFn, name: str, words: tuple[str, ...]) -> str:
    """The name as a model may write it."""
    ways = [lambda name: name, lambda name: unicodedata.normalize("NFD", name)]
    if len(name) > 2 and name.isascii():
        ways += [str.upper, str.lower, str.capitalize, lambda name: name.replace("'", "\u2019")]
        ways += [lambda name: name.replace("_", " "), lambda name: name.replace("-", "\u2011")]
    return draw(st.sampled_from(ways))(name)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(cases(PLAIN))
def test_a_plain_answer_gives_the_class(case: tuple[str, tuple[str, ...], tuple[str, ...], int]) -> None:
    answer, words, classes, meant = case
    reading = read_answer(answer, words, classes)
    assert reading.label == meant and reading.missing is None, (answer, words, classes)
    assert reading.position is not None and reading.word in {words[meant], classes[meant]}
    if answer.isascii() and "\\u" not in answer:
        assert answer[reading.position :].casefold().startswith(reading.word[:1].casefold())


@settings(max_examples=300, deadline=None)
@given(cases(MEANT))
def test_an_answer_that_means_one_class_never_gives_another(
    case: tuple[str, tuple[str, ...], tuple[str, ...], int],
) -> None:
    answer, words, classes, meant = case
    assert read_answer(answer, words, classes).label in {meant, None}, (answer, words, classes)


@settings(max_examples=300, deadline=None)
@given(cases(DENIED))
def test_a_class_that_is_denied_is_not_given(case: tuple[str, tuple[str, ...], tuple[str, ...], int]) -> None:
    answer, words, classes, denied = case
    reading = read_answer(answer, words, classes)
    assert reading.label != denied, (answer, words, classes)
    if reading.label is None:
        assert reading.missing is not None
    elif answer.endswith("? No."):  # of two classes it is the other
        assert reading.label == 1 - denied and len(classes) == 2, (answer, words, classes)
    else:  # "not toxic" and "no" are classes themselves
        assert classes[reading.label].casefold().startswith(("no", "不", "neither")), (answer, words, classes)


names = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=2, max_size=4, unique=True))
@example(["a", "A"])
@example(["Café", "Cafe\u0301"])
@example(["x_y", "x y", "x-y"])
@example(["*", "**"])
def test_any_name_is_read_where_it_is_the_whole_answer(classes: list[str]) -> None:
    assume(len({unicodedata.normalize("NFKC", name).casefold() for name in classes}) == len(classes))
    for label, name in enumerate(classes):
        assert read_answer(name, classes, classes).label in {label, None}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(SETS))
def test_any_answer_is_read(answer: str, classes: tuple[str, ...]) -> None:
    for words in (classes, safe_words(classes)):
        reading = read_answer(answer, words, classes)
        assert (reading.label is None) == (reading.missing is not None) == (reading.position is None)
        if not answer.strip():
            assert reading.missing is Missing.CUT_OFF


@settings(deadline=None)
@given(st.text(), st.text())
def test_thoughts_are_blanked_and_the_rest_keeps_its_place(thought: str, rest: str) -> None:
    thoughts = f"hm <think>{thought}</think>"
    if rest.strip() and not set("<[◁`&") & set(thought + rest):
        assert without_thoughts(thoughts + rest) == " " * len(thoughts) + rest
