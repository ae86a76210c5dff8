"""`silr.agreement`: how far several people agree, and whether an LLM may stand in for one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.annotator_columns import label_columns, read_annotators
from silr.io.class_names import ClassNames, class_names, of_table
from silr.io.corpus import label_column, open_table
from silr.io.pieced_table import Frame
from silr.io.votes import ADJUDICATED, VOTE, Votes, read_votes
from silr.stats.agreement import Agreement, class_agreement, cohen_kappa, krippendorff_alpha
from silr.stats.alternative_annotator import EPSILON, AlternativeAnnotator, alternative_annotator_test
from silr.stats.votes import disputed, majority_vote

Codes = NDArray[np.integer]


@dataclass(frozen=True)
class PeopleAgreement:
    """Agreement of the people who labelled a table. `str()` says it in lines, `to_dict()` is ready for JSON."""

    votes: dict[str, int]  # numbers by person
    texts: int  # with two votes or more
    alpha: Agreement | None  # Krippendorff's; None where it is not defined
    kappa: dict[tuple[str, str], Agreement | None]  # Cohen's, by pair
    classes: dict[str, Agreement | None]  # specific agreement
    disputed: int  # texts on which votes differ and nobody has decided
    tied: int  # of these, texts without a majority
    llms: dict[str, AlternativeAnnotator]  # by label column
    untested: str  # why the alternative annotator test could not be made; "" where it was

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "votes": self.votes,
            "texts": self.texts,
            "alpha": _json(self.alpha),
            "kappa": [
                {"persons": list(pair), **(_json(value) or {"value": None})} for pair, value in self.kappa.items()
            ],
            "classes": {name: _json(value) for name, value in self.classes.items()},
            "disputed": self.disputed,
            "tied": self.tied,
            "alternative_annotator": {
                name: {**asdict(test), "passed": test.passed, "verdict": verdict(name, test)}
                for name, test in self.llms.items()
            },
            "untested": self.untested,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{person} {number:,}" for person, number in self.votes.items())
        lines = [f"votes: {counts}; {self.texts:,} texts have two or more"]
        if not self.texts:
            return lines[0]
        alpha = "not defined: all votes are for one class" if self.alpha is None else str(self.alpha)
        lines.append(f"Krippendorff's alpha: {alpha}")
        pairs = [f"{a} and {b} {value}" for (a, b), value in self.kappa.items() if value is not None]
        lines += [f"Cohen's kappa: {'; '.join(pairs)}"] * bool(pairs)
        shares = [f"{name} {_percent(value)}" for name, value in self.classes.items() if value is not None]
        lines.append(f"where one person gives a class, another does: {'; '.join(shares)}")
        lines += [verdict(name, test) for name, test in self.llms.items()]
        lines += [f"may an LLM stand in for a person? Not tested yet: {self.untested}"] * bool(self.untested)
        return "\n".join(lines)


def agreement(
    source: str | Path | Frame, *, classes: Sequence[object] | None = None, epsilon: float = EPSILON
) -> PeopleAgreement:
    """Measure how far the people agree who labelled a table, and whether an LLM may stand in for one of them.

    All coefficients are of the texts that were labelled, each counted once. `silr label` draws texts whose label is
    unsure more often than others; on those people agree less than in the whole corpus.

    Parameters
    ----------
    source : str, Path or DataFrame
        A table with columns ``vote_NAME``, and perhaps ``llm_label`` or ``llm_label_NAME``.
    classes : sequence, default None
        None: those of the LLMs' labels and of column ``gold``; without these, those of the votes.
    epsilon : float, default 0.15
        Of the alternative annotator test: 0.2 for experts, 0.15 for trained people, 0.1 for crowd workers.

    Returns
    -------
    PeopleAgreement
        With Krippendorff's alpha, Cohen's kappa of each pair, the specific agreement on each class, each with a 95 %
        interval; and the alternative annotator test of each LLM.

    Raises
    ------
    InputError
        There are fewer than two people, a vote is none of the classes, or `epsilon` is out of range.

    References
    ----------
    Krippendorff, *Content Analysis*, 4th edition, 2019. Cohen, Educational and Psychological Measurement 20, 1960.
    Calderon, Reichart, Dror, "The alternative annotator test for LLM-as-a-judge", ACL 2025 (arXiv 2501.10970).

    Examples
    --------
    >>> import pandas as pd, silr
    >>> table = pd.DataFrame({"vote_ann": ["yes", "no", "no", "yes"], "vote_bob": ["yes", "no", "yes", "yes"]})
    >>> result = silr.agreement(table)
    >>> round(result.alpha.value, 2), result.disputed
    (0.53, 1)
    """
    path = "the table" if not isinstance(source, (str, Path)) else source
    frame = open_table(source) if isinstance(source, (str, Path)) else source
    names = _classes(frame, path, classes)
    votes = read_votes(frame, names, path, named=classes is not None)
    if votes is None or len(votes.persons) < 2:
        who = "no column vote_NAME" if votes is None else f"the votes of {votes.persons[0]} alone"
        raise InputError(f"{path} has {who}; agreement is of two persons or more: silr label TABLE --as NAME")
    columns = [name for name in label_columns(frame) if name in frame.columns]
    wording = of_table(path)
    known = ClassNames(names, named=classes is not None)
    llms = {name: known.codes(label_column(frame, name, path), name, wording) for name in columns}
    decided = np.array([label is not None for label in label_column(frame, ADJUDICATED, path, required=False)])
    return agreement_of(votes, names, llms, decided, epsilon)


def agreement_of(
    votes: Votes,
    classes: Sequence[str],
    llms: Mapping[str, Codes],
    decided: NDArray[np.bool_],
    epsilon: float = EPSILON,
) -> PeopleAgreement:
    """The same of votes as codes, with the LLMs' codes (n,) by label column, and which texts (n,) were adjudicated."""
    codes, K = votes.codes, len(classes)
    differ = disputed(codes) & ~decided
    pairs = combinations(range(len(votes.persons)), 2)
    tests: dict[str, AlternativeAnnotator] = {}
    untested = ""
    for name, labels in llms.items():
        try:
            tests[name] = alternative_annotator_test(labels, codes, K, votes.persons, epsilon)
        except InputError as error:
            if not 0 <= epsilon < 1:
                raise
            untested = str(error)
    return PeopleAgreement(
        {person: int(number) for person, number in zip(votes.persons, (codes >= 0).sum(axis=0), strict=True)},
        int(((codes >= 0).sum(axis=1) > 1).sum()),
        krippendorff_alpha(codes, K),
        {(votes.persons[i], votes.persons[j]): cohen_kappa(codes[:, i], codes[:, j], K) for i, j in pairs},
        dict(zip(classes, class_agreement(codes, K), strict=True)),
        int(differ.sum()),
        int((differ & (majority_vote(codes, K) < 0)).sum()),
        tests,
        untested,
    )


def verdict(name: str, test: AlternativeAnnotator) -> str:
    """The alternative annotator test in plain words."""
    won = sum(contest.won for contest in test.contests)
    answer = "yes" if test.passed else "no, or not shown yet by so few texts"
    return (
        f"may {name} stand in for a person? {answer}: it does as well as {won} of {len(test.contests)} persons "
        f"(winning rate {test.winning_rate:.0%}, half are needed; advantage probability {test.advantage:.2f}, "
        f"epsilon {test.epsilon:g})"
    )


def _classes(frame: Frame, path: str | Path, classes: Sequence[object] | None) -> list[str]:
    if classes is not None:
        return [str(name) for name in classes]
    columns = [name for name in label_columns(frame) if name in frame.columns]
    gold = label_column(frame, "gold", path, required=False)
    if columns:
        names = read_annotators(frame, path, columns, gold).classes
        return class_names({"llm": names, "gold": gold}, of_table(path), gold=gold, known=names)
    voted = {name: label_column(frame, name, path) for name in map(str, frame.columns) if name.startswith(VOTE)}
    return class_names({**voted, "gold": gold}, of_table(path))


def _json(value: Agreement | None) -> dict[str, Any] | None:
    return None if value is None else {**value._asdict(), "interval": list(value.interval)}


def _percent(value: Agreement) -> str:
    low, high = value.interval
    return f"{value.value:.0%} ({low:.0%} to {high:.0%})"
