"""The protocol of annotators: they plan batches of texts and score them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from silr.annotators.cost import Cost
from silr.annotators.missing import Missing
from silr.annotators.provenance import Provenance
from silr.annotators.said import Said
from silr.errors import InputError
from silr.io.files import Json
from silr.io.texts import distinct

Scores = tuple[NDArray[np.float32], NDArray[np.float16]]
"""Scores (n, K) and features (n, n_features) of the texts of a batch."""

Scored = tuple[int, NDArray[np.float32], NDArray[np.float16]]
"""Number of a batch, and the same."""

HEADERS = "headers"  # in an annotator's description: names of further headers of its requests

ScoreBatch = Callable[[Sequence[str]], Scores]
"""From the texts of a batch to their scores and features."""


@dataclass(frozen=True)
class Plan:
    """In which batches the texts are read; the same texts always give the same plan."""

    batches: list[NDArray[np.int64]]  # positions of texts; together each position once
    tokens: list[int]  # how much work each batch is
    cut: NDArray[np.bool_]  # of each text, whether the annotator leaves out its end, as it is too long


@dataclass
class Remarks:
    """What an annotator behind a server has to say of single texts, beside their scores."""

    missing: dict[str, Missing] = field(default_factory=dict)  # why a text has no label
    cut: set[str] = field(default_factory=set)  # texts of which the server did not take the end
    labelled: bool = False  # this model has given a label, in this session or before
    said: dict[str, Said] = field(default_factory=dict)  # what the model says beside the label, where that is wanted
    form: str | None = None  # of the answers; see `api.answer_form`
    failures: dict[str, str] = field(default_factory=dict)  # what the server says of those that may hit all texts
    provenance: dict[str, Provenance] = field(default_factory=dict)  # who answered about a text; taken out once stored
    parameters: dict[str, object] = field(default_factory=dict)  # what is sent beside the messages


def remarks_of(annotator: Annotator) -> Remarks:
    """Return the annotator's remarks; one on this machine has none."""
    return annotator.remarks if isinstance(annotator, Served) else Remarks()


def cost_of(annotator: Annotator) -> Cost | None:
    """Return what an annotator behind a server was paid in this session; one on this machine costs nothing."""
    return annotator.cost if isinstance(annotator, Served) else None


def identity_of(annotator: Annotator) -> Json:
    """What decides the labels: the annotator's description without the versions of software, and without headers."""
    return {key: value for key, value in annotator.describe().items() if key not in ("versions", HEADERS)}


def prepared(
    annotator: Annotator,
    texts: Sequence[str],
    identity: Mapping[str, object],
    output: Path,
    name: str,
    note_cost: Callable[[], None],
) -> AbstractContextManager[object]:
    """Let an annotator that has to see all texts at once do so, before they are scored; it is done where this ends.

    Only one that sends the texts in batches has a method `prepare`. `identity` tells annotations apart, and `name` LLMs
    that label one table. `note_cost` is called where something was paid.
    """
    if isinstance(annotator, Preparing):
        return annotator.prepare(texts, identity, output, name, note_cost)
    return nullcontext()


def check_any(remarks: Remarks, labelled: NDArray[np.bool_]) -> None:
    """Raise an `InputError` if no text has a label, for a reason that none of the texts has to do with."""
    if not labelled.any() and remarks.missing and set(remarks.missing) == set(remarks.failures):
        raise InputError(f"no text got a label: {next(reversed(remarks.failures.values()))}")


def label_only(label: int, n_classes: int) -> NDArray[np.float64]:
    """Return the scores (K,) of a label that came without any: probability 1, whose logarithm is 0, and -inf."""
    scores = np.full(n_classes, -np.inf)
    scores[label] = 0.0
    return scores


def has_scores(scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows (n,) of scores (n, K) are of the annotator's own; see `label_only`."""
    return np.asarray(np.isfinite(scores).all(axis=1))


@dataclass(frozen=True)
class Annotation:
    """Scores of n texts, row for row.

    Attributes
    ----------
    scores : float32 array of shape (n, K)
        Log-probabilities of the classes; each row's exponentials sum to one. NaN where a text got no label; 0 and -inf
        where the label is all that the annotator gives.
    features : float16 array of shape (n, n_features)
        Hidden states, see `silr.annotators.local.LocalAnnotator`; no columns where the annotator has none.
    n_cut : int
        Texts whose end was left out because they are too long, repeated ones counted too.
    """

    scores: NDArray[np.float32]
    features: NDArray[np.float16]
    n_cut: int


class Annotator(Protocol):
    """Gives each text one log-probability a class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the scores' columns."""

    @property
    def n_features(self) -> int:
        """Width of the features, 0 if there are none."""

    def plan(self, texts: Sequence[str]) -> Plan:
        """Split the texts into batches."""

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Score the texts of batches of a plan, in any order; a batch that gets no label is left out."""

    def describe(self) -> dict[str, object]:
        """Return all that is needed to build the same annotator again, ready for JSON."""


@runtime_checkable
class Served(Protocol):
    """What an annotator behind a server has besides."""

    @property
    def remarks(self) -> Remarks:
        """What there is to say of single texts."""

    @property
    def cost(self) -> Cost | None:
        """What was paid in this session; None if the annotator that it wraps is on this machine."""


@runtime_checkable
class Preparing(Protocol):
    """What an annotator has besides that has to see all texts before they are scored; see `prepared`."""

    @property
    def prepare(self) -> Callable[..., AbstractContextManager[object]]:
        """Make ready for the texts; within the block they can be scored."""


class AroundAnnotator:
    """What an annotator around another one takes from it."""

    _annotator: Annotator

    @property
    def remarks(self) -> Remarks:
        """Those of the annotator."""
        return remarks_of(self._annotator)

    @property
    def cost(self) -> Cost | None:
        """That of the annotator."""
        return cost_of(self._annotator)

    def plan(self, texts: Sequence[str]) -> Plan:
        """Split the texts as the annotator does."""
        return self._annotator.plan(texts)


def blank(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts say nothing, shape (n,): they get no label, and no server is asked about them."""
    return np.array([not text.strip() for text in texts], dtype=np.bool_)


def plan_for(annotator: Annotator, texts: Sequence[str], with_features: bool) -> Plan:
    """The annotator's plan; blank texts are in it only where their hidden states are wanted."""
    plan, empty = annotator.plan(texts), blank(texts)
    if with_features or not empty.any():
        return plan
    kept = [(rows[~empty[rows]], tokens) for rows, tokens in zip(plan.batches, plan.tokens, strict=True)]
    kept = [(rows, tokens) for rows, tokens in kept if len(rows)]
    return Plan([rows for rows, _ in kept], [tokens for _, tokens in kept], plan.cut)


def annotate_texts(annotator: Annotator, texts: Sequence[str]) -> Annotation:
    """Annotate texts in memory; equal texts are read once; blank ones get no label, and no server is asked about them.

    Parameters
    ----------
    annotator : Annotator
    texts : sequence of str, of length n

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        A server gave no text a label, for a reason that none of the texts has to do with.
    """
    unique, where = distinct(texts)
    plan = plan_for(annotator, unique, annotator.n_features > 0)
    scores = np.full((len(unique), len(annotator.classes)), np.nan, np.float32)
    features = np.full((len(unique), annotator.n_features), np.nan, np.float16)
    batches = [[unique[row] for row in rows] for rows in plan.batches]
    for number, batch_scores, batch_features in annotator.score_batches(batches):
        scores[plan.batches[number]], features[plan.batches[number]] = batch_scores, batch_features
    scores[blank(unique)] = np.nan
    check_any(remarks_of(annotator), ~np.isnan(scores[:, 0]))
    return Annotation(scores[where], features[where], int(plan.cut[where].sum()))
