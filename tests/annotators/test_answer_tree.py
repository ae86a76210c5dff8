"""What an engine is asked, and scores from what it answers, beside sums over whole answers."""

from __future__ import annotations

import numpy as np

from silr.annotators.answer_tree import AnswerTree

ANSWERS = [[1], [1, 2], [3, 4, 5], [3, 4, 6], [200]]
ENDS = [0, 9]


def next_token(beginning: tuple[int, ...]) -> np.ndarray:
    """Log-probabilities of 300 tokens after a beginning, of a language that is made up."""
    logits = np.random.default_rng([len(beginning), *beginning]).normal(size=300)
    return logits - np.logaddexp.reduce(logits)


def answered(tree: AnswerTree) -> np.ndarray:
    """What the language says to all steps, (1, width)."""
    values = np.full(tree.width, np.nan)
    for step in tree.steps:
        values[step.columns] = next_token(step.beginning)[list(step.tokens)]
    return values[None]


def expected(ends: list[int]) -> np.ndarray:
    sums = []
    for answer in ANSWERS:
        whole = sum(next_token(tuple(answer[:at]))[token] for at, token in enumerate(answer))
        sums.append(whole + (np.log(np.exp(next_token(tuple(answer))[ends]).sum()) if ends else 0))
    return np.array(sums) - np.log(np.exp(sums).sum())


def test_scores_are_sums_over_the_tokens_of_answers() -> None:
    for ends in ([], ENDS):
        scores = AnswerTree(ANSWERS, ends).scores(answered(AnswerTree(ANSWERS, ends)))
        np.testing.assert_allclose(scores[0], expected(ends), atol=1e-12)


def test_what_answers_share_is_asked_once() -> None:
    asked = [(step.beginning, step.tokens) for step in AnswerTree(ANSWERS).steps]
    assert asked == [((), (1, 3, 200)), ((1,), (2,)), ((3,), (4,)), ((3, 4), (5, 6))]
    ended = {step.beginning: step.tokens for step in AnswerTree(ANSWERS, ENDS).steps}
    assert ended[(1,)] == (0, 9, 2) and ended[(200,)] == (0, 9)


def test_more_answers_than_one_question_takes_are_several() -> None:
    answers = [[token] for token in range(300)]
    tree = AnswerTree(answers)
    assert [len(step.tokens) for step in tree.steps] == [128, 128, 44] and tree.width == 300
    np.testing.assert_allclose(tree.scores(answered(tree))[0], next_token(()), atol=1e-12)
