"""Class scores from an engine that gives log-probabilities of single tokens: what to ask it, and how to add them up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Step(NamedTuple):
    """A question about a text: after its prompt and a beginning of answers, how likely is each of some tokens next?"""

    beginning: tuple[int, ...]
    tokens: tuple[int, ...]
    columns: slice  # where the log-probabilities of the tokens go


class AnswerTree:
    """The steps that score answers of one token or more, each beginning that answers share being asked once.

    Scores are those of `silr.annotators.local.LocalAnnotator`: the log-probabilities of an answer's tokens, added up.
    Where there are `ends`, it counts too that one of those tokens follows the answer.

    Parameters
    ----------
    answers : sequence of sequences of int, of length K
        The tokens of each class word.
    ends : sequence of int, default ()
        Tokens that end an answer; none where no answer begins another one.
    most : int, default 128
        Tokens in one step at most: of so many vLLM gives log-probabilities at once.

    Attributes
    ----------
    steps : list of Step
        The first has an empty beginning.
    width : int
        Log-probabilities that the steps ask for, together.

    Examples
    --------
    >>> tree = AnswerTree([[5], [7, 8]])
    >>> [(step.beginning, step.tokens) for step in tree.steps]
    [((), (5, 7)), ((7,), (8,))]
    >>> tree.scores(np.log([[0.4, 0.5, 0.2]])).round(3).tolist()
    [[-0.223, -1.609]]
    """

    def __init__(self, answers: Sequence[Sequence[int]], ends: Sequence[int] = (), most: int = 128) -> None:
        nodes: dict[tuple[int, ...], dict[int, None]] = {(): {}}
        for answer in map(tuple, answers):
            for at, token in enumerate(answer):
                nodes.setdefault(answer[:at], {})[token] = None
            if ends:
                nodes.setdefault(answer, {}).update(dict.fromkeys(ends))
        self.steps: list[Step] = []
        column: dict[tuple[int, ...], int] = {}
        for beginning, children in nodes.items():
            tokens = tuple(children)
            for start in range(0, len(tokens), most):
                part, first = tokens[start : start + most], len(column)
                column |= {(*beginning, token): first + place for place, token in enumerate(part)}
                self.steps.append(Step(beginning, part, slice(first, len(column))))
        self.width = len(column)
        self._paths = [[column[(*answer[: at + 1],)] for at in range(len(answer))] for answer in map(tuple, answers)]
        self._ends = [[column[(*answer, end)] for end in ends] for answer in map(tuple, answers)]

    def scores(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """From log-probabilities (n, width) the classes' scores (n, K), whose exponentials sum to one in each row."""
        values = np.asarray(values, np.float64)
        scores = np.stack([values[:, path].sum(axis=1) for path in self._paths], axis=1)
        if self._ends[0]:
            scores += np.stack([np.logaddexp.reduce(values[:, ends], axis=1) for ends in self._ends], axis=1)
        return normalized(scores)


def normalized(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities (n, K) whose exponentials sum to one in each row."""
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
