import math

import numpy as np
import pytest

from silr.annotators.answers.read import (
    Reading,
    Token,
    class_log_probabilities,
    read_answer,
    safe_words,
    without_thoughts,
)
from silr.annotators.missing import Missing
from silr.annotators.prompts import Prompt

WORDS = ("negative", "positive")
TOPICS = ("politics", "sports", "science", "society", "style", "space", "soccer", "stocks", "nature", "surgery")
LETTERS = tuple("ABCDEFGHIJ")


def label(answer: str, classes: tuple[str, ...], words: tuple[str, ...] | None = None) -> str | None:
    found = read_answer(answer, words or classes, classes).label
    return None if found is None else classes[found]


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
        ("It is positive, not negative.", None),
        ("Positive: 90%\nNegative: 10%", 1),
        ("positive<|im_end|>\n<|im_start|>user\nnegative", 1),
        ("Is it negative? It is positive.", 1),
        ("There is no doubt that it is positive.", 1),
        ("I'd rate it positive if the ending were better.", None),
        ("The positive words are sarcastic.", None),
        ("Positive—the author is happy.", 1),
        ("I'd be happy to help: positive", 1),
    ],
)
def test_the_class_that_an_answer_names(answer: str, expected: int | None) -> None:
    reading = read_answer(answer, WORDS, WORDS)
    assert reading.label == expected and (reading.missing is None) == (expected is not None)
    if expected is not None:
        assert reading.position is not None and reading.word == WORDS[expected]
        assert answer[reading.position :].lower().startswith(reading.word)


@pytest.mark.parametrize(
    ("classes", "answer", "expected"),
    [
        (("not_toxic", "toxic"), "This comment is **not** toxic.", "not_toxic"),
        (("not_toxic", "toxic"), "It isn't toxic", None),
        (("non-toxic", "toxic"), "Non\u2011toxic", "non-toxic"),
        (("non-toxic", "toxic"), "nontoxic", "non-toxic"),
        (("hate", "no hate"), "No, not hate", None),
        (("hate", "no hate"), "There is no hate in it.", "no hate"),
        (("ham", "spam"), "spam-free", None),
        (("ham", "spam"), "It asks for no money, so it is ham.", "ham"),
        (("pro_choice", "pro_life", "neither"), "prolife", "pro_life"),
        (("pro_choice", "pro_life", "neither"), "Neither", "neither"),
        (("very negative", "negative", "positive"), "Very negative", "very negative"),
        (("very negative", "negative", "positive"), "extremely negative", None),  # which of the two?
        (("very negative", "negative", "positive"), "negative!! (extremely)", None),
        (("relevant", "not relevant"), "It is not really relevant", None),
        (("science", "science fiction"), "Science-fiction", "science fiction"),
        (("science", "science fiction"), "The genre is science fic", None),  # cut off
        (("biased", "unbiased"), "unbiased", "unbiased"),
        (("C", "C++", "C#"), "It is written in C#", "C#"),
        (("yes", "no"), "There is no doubt about it.", None),
        (("yes", "no"), "No, it does not.", "no"),
        (("sports", "other"), "Sports, among other things", None),
        (("spam", "ham"), "Probability of spam: 0.02", None),
        (("positive", "neutral"), "As an AI, I try to remain neutral.", None),
        (("question", "statement"), "To your question: this is a statement.", None),
        (("love", "anger"), "I'd love to help! Please send the text.", None),
    ],
)
def test_a_name_inside_a_longer_name_or_a_negation_is_not_named(
    classes: tuple[str, ...], answer: str, expected: str | None
) -> None:
    assert label(answer, classes) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("B", "sports"),
        ("b", "sports"),
        ("a", None),  # one token of "a politics text"
        ("(B)", "sports"),
        ("B - sports", "sports"),
        ("B) science", None),
        ("It is a review, so B.", "sports"),
        ("The correct option is B.", "sports"),
        ("I believe that the answer is **B**.", "sports"),
        ("I cannot tell.", None),
        ("I'd call it sports.", "sports"),
        ("A text about stocks", "stocks"),
        ("A: sports", "sports"),
        ("Answer: B or C", None),
        ("Not B", None),
        ("B is wrong.", None),
        ("The text is about vitamin C.", None),
        ("E.g. the president", None),
        ("I", "nature"),
    ],
)
def test_letters_count_where_an_answer_is_expected(answer: str, expected: str | None) -> None:
    assert label(answer, TOPICS, LETTERS) == expected


@pytest.mark.parametrize(
    ("classes", "answer", "expected"),
    [
        (("1", "2", "3", "4", "5"), "Rating: **4**/5", "4"),
        (("1", "2", "3", "4", "5"), "8/10", None),
        (("1", "2", "3", "4", "5"), "4.5", None),
        (("1", "2", "3", "4", "5"), "3 or 4", None),
        (("1", "2", "3", "4", "5"), "1. The text praises the food.", None),
        (("1", "2", "3", "4", "5"), "There are 3 reasons.", None),
        (("1", "10"), "10", "10"),
        (("0", "1"), "1.0", "1"),
        (("0", "1"), "01", None),
        (("-1", "0", "1"), "\u22121", "-1"),
        (("0-17", "18-24"), "18\u201324", "18-24"),
    ],
)
def test_numbers(classes: tuple[str, ...], answer: str, expected: str | None) -> None:
    assert label(answer, classes) == expected


@pytest.mark.parametrize(
    ("classes", "answer", "expected"),
    [
        (("正面", "负面"), "这不是正面的评论。", None),
        (("正面", "负面"), "虽然有负面词语\uff0c但最终答案是\uff1a正面", "正面"),
        (("相关", "不相关"), "这两个文本是不相关的。", "不相关"),
        (("ポジティブ", "ネガティブ"), "ﾎﾟｼﾞﾃｨﾌﾞです", "ポジティブ"),
        (("ポジティブ", "ネガティブ"), "ポジティブではありません", None),
        (("긍정", "부정"), "긍정적입니다", "긍정"),
        (("긍정", "부정"), "긍정적이지 않습니다", None),
        (("positivo", "negativo"), "No es positivo", None),
        (("positiv", "negativ"), "Weder positiv noch negativ", None),
        (("положительный", "отрицательный"), "ПОЛОЖИТЕЛЬНЫЙ.", "положительный"),
        (("θετικός", "αρνητικός"), "ΘΕΤΙΚΌΣ", "θετικός"),
        (("straße", "haus"), "STRASSE", "straße"),
        (("İyi", "Kötü"), "iyi", "İyi"),
        (("can't tell", "clear"), "I can\u2019t tell.", "can't tell"),
        (("R&B", "Rock & Roll"), "rock and roll", "Rock & Roll"),
        (("World", "Sci/Tech"), "sci / tech", "Sci/Tech"),
        (("NotToxic", "Toxic"), "not toxic", "NotToxic"),
        (("\U0001f44d", "\U0001f44e"), "\U0001f44d\U0001f3fd", "\U0001f44d"),
        (("x-y", "x y"), "x y", "x y"),  # told apart by nothing else
        (("+", "-"), "Answer: \u2013", "-"),
    ],
)
def test_scripts_and_spellings(classes: tuple[str, ...], answer: str, expected: str | None) -> None:
    assert label(answer, classes) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"reasoning": "The negative words are ironic.", "answer": "positive"}', 1),
        ("{'sentiment': 'negative', 'confidence': 0.9}", 0),
        ('{"positive": "12%", "negative": "88%"}', 0),
        ('{"positive": 1, "negative": 2}', None),  # ranks?
        ('[{"label": "positive", "score": 0.3}, {"label": "negative", "score": 0.7}]', 0),
        ('{"labels": ["negative", "positive"], "scores": [0.1, 0.9]}', 1),
        ('["positive", "negative"]', None),
        ('{"label": "not positive"}', None),
        ('{"label": "positive", "why": "nothing negative', 1),
        ('{"reasoning": "At first it looks negative because', None),
        ('{"name": "classify", "arguments": "{\\"label\\": \\"positive\\"}"}', 1),
        ("Sure: ```json\n{label: Positive,}\n```\nIt is not negative.", 1),
        ("<label>positive</label><reason>It is not negative.</reason>", 1),
        ("It might look positive. \\boxed{\\text{negative}}", 0),
        ("The words are negative.\n\n**Final answer:** positive", 1),
        ("Final answer: not positive", None),
        ("Final answer: unclear. Its words are positive.", None),
        ("### Classification\n\n**Positive**\n\n### Reasoning\n\nSome words are negative.", 1),
        ("Positive\n\nSome words are negative.", 1),
        ("Negative\n\nWait, actually it is positive.", None),
        ("The plot is negative.\nOverall, the review is positive.", 1),
        ("The tone is negative. Still, it is a positive surprise.", None),
        ("Answer: positive\nText: I hate it\nAnswer: negative", None),
    ],
)
def test_what_says_outright_which_class_it_is_wins(answer: str, expected: int | None) -> None:
    assert read_answer(answer, WORDS, WORDS).label == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", Missing.CUT_OFF),
        ("<think>positive, but", Missing.CUT_OFF),
        ("Thinking Process:\n1. The words are negative", Missing.CUT_OFF),
        ('{"reasoning": "It looks negative', Missing.CUT_OFF),
        ("I'm sorry, but I can't help with that.", Missing.REFUSED),
        ("I cannot classify this positive text.", Missing.REFUSED),
        ("申し訳ありませんが、お答えできません。", Missing.REFUSED),
        ("positive or negative", Missing.SEVERAL),
        ("not positive", Missing.NO_CLASS),
        ("The weather is nice.", Missing.NO_CLASS),
    ],
)
def test_the_reason_for_no_label(answer: str, reason: Missing) -> None:
    assert read_answer(answer, WORDS, WORDS).missing is reason


def test_words_of_the_users_and_class_names_count_both() -> None:
    words = ("bad", "good")
    assert [label(answer, WORDS, words) for answer in ("Good.", "positive", "not good", "bad, not positive")] == [
        *("positive", "positive", None, None)
    ]
    assert read_answer("It is good", words, WORDS).word == "good"
    assert read_answer("It is positive", words, WORDS).word == "positive"


@pytest.mark.parametrize("unit", ["I ", "positive ", '{"label": ', "Final answer: ", "<think>", "**", "\\boxed{", "é"])
def test_a_very_long_answer_is_read(unit: str) -> None:
    classes = ("negative", "positive")
    assert label(unit * 2000 + "\n</think>Final answer: positive", classes) == "positive"


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        ("<think>positive? no</think>negative", "negative"),
        ("positive? no</think>negative", "negative"),  # the opening tag was in the prompt
        ("<think>positive, but", ""),  # cut off
        ("<thinking>positive</thinking> negative", "negative"),
        ("<seed:think>positive?</seed:think>negative", "negative"),
        ("[THINK]positive?[/THINK]negative", "negative"),
        ("◁think▷positive?◁/think▷negative", "negative"),
        (
            "<|channel|>analysis<|message|>positive?<|end|><|start|>assistant<|channel|>final<|message|>negative",
            "negative",
        ),
        ("<|channel|>analysis<|message|>positive?", ""),
        ("analysisIs it positive?assistantfinalnegative", "negative"),
        ("<unused94>thought\npositive?<unused95>negative", "negative"),
        ("<|START_THINKING|>positive?<|END_THINKING|><|START_RESPONSE|>negative", "negative"),
        ("<think>positive?</think>positive<think>no</think>negative", "negative"),
        ("Here is my thought process: positive?\nHere is my response: negative", "negative"),
        ("Thinking...\npositive?\n...done thinking.\n\nnegative", "negative"),
        ("```thinking\npositive?\n```\nnegative", "negative"),
        ("negative<reason>It is not positive.</reason>", "negative"),
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
        (["\u00e9toile", "E\u0301cole"], ("A", "B")),
        (["A", "AB", "B", "0"], ("A", "C", "B", "D")),  # no letter stands for another class's name
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


def test_a_class_that_was_answered_by_the_likeliest_token_has_the_highest_score() -> None:
    """As vLLM lists them where two whole words are as likely, and their first letters count too."""
    tied = token("positive", positive=0.488, negative=0.488, n=0.0167, p=0.0048, neg=0.001, pos=0.001)
    found = class_log_probabilities([tied], 0, WORDS, exact=True, answered=1)
    assert np.exp(found) == pytest.approx([0.5, 0.5], abs=1e-4) and found.astype(np.float32).argmax() == 1
    parts = token("positive", positive=0.4, negative=0.38, neg=0.05)
    assert np.exp(class_log_probabilities([parts], 0, WORDS, answered=1)) == pytest.approx([38 / 78, 40 / 78], abs=1e-4)
    assert class_log_probabilities([parts], 0, WORDS, answered=0).argmax() == 0
    drawn = token("positive", positive=0.3, negative=0.6)  # the likeliest was not taken: no place to compare at
    assert class_log_probabilities([drawn], 0, WORDS, answered=1).argmax() == 0


def test_a_class_that_is_not_listed_gets_the_most_that_it_can_have() -> None:
    found = class_log_probabilities([token("positive", positive=0.9, the=0.06)], 0, WORDS)
    assert np.exp(found) == pytest.approx([0.04 / 0.94, 0.9 / 0.94])  # what the listed tokens leave
    found = class_log_probabilities([token("positive", positive=0.5, the=0.01)], 0, WORDS)
    assert np.exp(found) == pytest.approx([0.01 / 0.51, 0.5 / 0.51])  # as likely as the last one listed


def test_tokens_count_without_the_marks_around_them() -> None:
    likeliest = (("Positive.", math.log(0.8)), ("Negative", math.log(0.1)), ("**Negative", math.log(0.1)))
    assert np.exp(class_log_probabilities([Token("Positive.", likeliest)], 0, WORDS)) == pytest.approx([0.2, 0.8])
    likeliest = (("\u2581B", math.log(0.8)), ("A", math.log(0.1)), ("a", math.log(0.1)))  # an article is no letter
    found = class_log_probabilities([Token(" B", likeliest)], 1, ("A", "B"))
    assert np.exp(found) == pytest.approx([0.1 / 0.9, 0.8 / 0.9])


def test_a_token_without_any_rival_gives_no_scores() -> None:
    assert class_log_probabilities([token("positive", positive=0.9)], 0, WORDS) is None


def test_a_token_that_begins_two_classes_counts_for_none() -> None:
    words = ("inform", "insult")
    assert class_log_probabilities([token("in", **{"in": 0.9, "the": 0.1})], 0, words) is None


def test_the_prompt_names_the_classes_of_all_letters() -> None:
    classes = [f"class {number}" for number in range(28)]
    words = dict(zip(classes, safe_words(classes), strict=True))
    asked = Prompt(classes, class_words=words).message("{classes}")
    assert asked.startswith("A (class 0), ") and asked.endswith("AA (class 26) or AB (class 27)")


TOXIC = ("toxic", "not toxic")
STARS = ("1", "2", "3", "4", "5")
DEGREES = ("very negative", "negative", "neutral", "positive", "very positive")


@pytest.mark.parametrize(
    ("classes", "answer", "expected"),
    [
        (WORDS, "[ ] positive\n[x] negative", "negative"),
        (TOXIC, "[ ] toxic\n[x] not toxic", "not toxic"),
        (TOXIC, "[x] not toxic\n[ ] toxic", "not toxic"),
        (WORDS, "Here:\n- [ ] negative\n- [X] **positive**\nHope this helps!", "positive"),
        (WORDS, "1. ( ) positive\n2. (x) negative", "negative"),
        (WORDS, "☐ positive ☑ negative", "negative"),
        (WORDS, "☐ negative ☒ positive", "positive"),
        (WORDS, "○ positive ● negative", "negative"),
        (TOXIC, "❌ toxic\n✅ not toxic", "not toxic"),
        (TOXIC, "✅ toxic ❌ not toxic", "toxic"),
        (TOXIC, "✗ toxic\n✓ not toxic", "not toxic"),
        (WORDS, "positive ❌\nnegative ✔️", "negative"),
        (WORDS, "positive: no\nnegative: yes", "negative"),
        (WORDS, "positive: false, negative: true", "negative"),
        (WORDS, "| class | answer |\n|---|---|\n| positive | no |\n| negative | yes |", "negative"),
        (WORDS, "| positive | negative |\n|---|---|\n| no | yes |", "negative"),
        (WORDS, "✅ The text is positive", "positive"),
        (WORDS, "[ ] positive", None),
        (WORDS, "{ } positive\n{x} negative", "negative"),
        (WORDS, '{"label": "positive", "evidence": [], "more": {}}', "positive"),  # no boxes
        (WORDS, "[] positive", None),
        (WORDS, "☐ positive", None),
        (WORDS, "[x] none\n[ ] positive", None),
        (WORDS, "_ positive\nX negative", "negative"),  # without brackets
        (WORDS, "X positive\n_ negative", "positive"),
        (WORDS, "_X_ positive\n___ negative", "positive"),
        (WORDS, "1. __ positive\n2. x negative", "negative"),
        (WORDS, "__ positive  X negative", "negative"),
        (WORDS, "Final answer: _ positive X negative", "negative"),
        (WORDS, "X positive\nX negative\n_ neutral", None),
        (WORDS, "Final answer: [x] positive [ ] negative", "positive"),
        (WORDS, "Final answer:\n[ ] positive\n[x] negative", "negative"),
        (WORDS, "Verdict: ☐ positive ☑ negative", "negative"),
        (WORDS, "[x] positive [ ] negative\nFinal answer: negative", None),
        (WORDS, "Final answer: [x] positive [x] negative", None),
        (WORDS, "Positive? No", "negative"),
        (WORDS, "Is this review positive? No.", "negative"),
        (WORDS, "Negative?\nno", "positive"),
        (WORDS, "Positive? No. Negative? Yes.", "negative"),
        (WORDS, "Positive? Yes", "positive"),
        (TOXIC, "Toxic? No", "not toxic"),
        (WORDS, "Positive? No. Negative? No.", None),
        (WORDS, "Positive? No.\nNegative? Unclear.", None),
        (WORDS, "Positive? No.\nIt is mixed.", None),
        (WORDS, "Positive? No, it is mixed.", None),
        (WORDS, "Very positive? No", None),
        (WORDS, "Is it only positive? No", None),
        (WORDS, "Is it not positive? No", None),
        (WORDS, "Is it positive or negative? No", None),
        ((*WORDS, "mixed"), "Positive? No", None),
        (("clean", "toxic"), "[x] not toxic\n[ ] toxic", None),
        (WORDS, "[x] positive\n[x] negative", None),
        (WORDS, "[ ] positive [ ] negative", None),
        (WORDS, "Label: [ ] positive [x] negative", "negative"),  # the box before, not behind
        (WORDS, "Answer: ☑ positive ☐ negative", "positive"),
        (WORDS, "positive: [ ] negative: [x]", "negative"),
    ],
)
def test_what_is_ticked_is_the_answer_and_what_is_not_never_is(
    classes: tuple[str, ...], answer: str, expected: str | None
) -> None:
    assert label(answer, classes) == expected


NEGATIONS = (
    "Das ist keineswegs {}.|{} 아님|{} নয়|{} இல்லை|{} نہیں|nije {}|ez da {}|nuk është {}|არ არის {}|{} չէ|{} emas"
    "|{} емес|si {}|hindi {}|{} కాదు|{} അല്ല|{} ಅಲ್ಲ|{} નથી|{} ਨਹੀਂ|{} නොවේ|{} မဟုတ်|មិន {}|{} አይደለም|{} नाही"
    "|{} deyil|ekki {}|nėra {}"
    "|~~{}~~|It is ~~{}~~|<del>{}</del>|!{}|**!{}**|¬{}|~{}|\\boxed{{\\neg {}}}|{} (no)|{}: N/A|{} - no|{}: never|0% {}"
    "|10% {}|zero {} content|Rarely {}|Answer: !{}|Answer: ~~{}~~"
    '|{{"label": "!{}"}}|{{"not_label": "{}"}}|{{"excluded": ["{}"]}}|{{"label": {{"not": "{}"}}}}'
    '|{{"label": "{}", "applies": false}}|{{"{}": "low"}}'
)


@pytest.mark.parametrize("negation", NEGATIONS.split("|"))
def test_negations_in_many_languages_and_marks(negation: str) -> None:
    assert label(negation.format("positive"), WORDS) is None


@pytest.mark.parametrize(
    "answer", ["90% positive", "> positive", "positive!", "<positive>", "positive (yes)", "[positive]"]
)
def test_marks_that_deny_nothing(answer: str) -> None:
    assert label(answer, WORDS) == "positive"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("four", "4"),
        ("Rating: ★★★★☆", "4"),
        ("⭐⭐⭐", "3"),
        ("4️⃣", "4"),
        ("2 of 5 stars", "2"),
        ("four out of five", "4"),
        ('{"score": 4, "confidence": 5}', "4"),
        ("<4>", "4"),
        ("Answer -> 4", "4"),
        ("★★☆", None),
        ("2 of 10", None),
        (">= 4", None),
        ("<3", None),
        ("≤ 2", None),
        ("Rating: <3", None),
        ("4 or more", None),
        ("up to 3", None),
        ('{"index":1}', None),
    ],
)
def test_ratings_are_read_and_bounds_are_not(answer: str, expected: str | None) -> None:
    assert label(answer, STARS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("very much negative", None),
        ("overwhelmingly negative", None),
        ("super-positive", None),
        ("positive (very)", None),
        ("a bit negative", None),
        ("clearly negative", "negative"),
        ("It is definitely positive.", "positive"),
        ("very positive", "very positive"),
    ],
)
def test_a_degree_of_a_class_may_mean_another(answer: str, expected: str | None) -> None:
    assert label(answer, DEGREES) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry, this content is too negative for me to process.",
        "I refuse to label. negative content",
        "Your prompt may be positive. Please rephrase.",
        "This text is too negative for me to classify.",
    ],
)
def test_refusals_that_name_a_class(answer: str) -> None:
    assert read_answer(answer, WORDS, WORDS) == Reading(None, Missing.REFUSED)


def test_chosen_fields_levels_and_letters() -> None:
    assert label('{"rejected": "positive", "chosen": "negative"}', WORDS) == "negative"
    assert label('{"negative": "low", "positive": "high"}', WORDS) == "positive"
    assert label("a", ("A", "B", "C")) == "A"  # the class is the letter: no article is meant
    assert read_answer('{"other": 3}', WORDS, WORDS).missing is Missing.NO_CLASS  # complete: not cut off
