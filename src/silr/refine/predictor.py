"""A run's classifier and what it reads of new texts: loaded once, for one table or for all pieces of a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.annotators.embed import EMBEDDINGS
from silr.annotators.feature_blocks import columns_of
from silr.annotators.missing import Missing
from silr.classifiers.posterior import PosteriorClassifier
from silr.errors import InputError
from silr.features.api import ApiFeatures
from silr.features.base import Features
from silr.features.file import FileFeatures, annotator_of, server_of
from silr.features.joined import JoinedFeatures
from silr.features.sentence import SentenceFeatures
from silr.hf.tokens import TokenFeatures, Tokens
from silr.io.annotator_columns import for_new_texts
from silr.io.chunks import Compute, in_chunks
from silr.io.corpus import LABEL
from silr.io.feature_rows import features_of_texts, has_record, match
from silr.refine.classifier_caution import classifier_caution
from silr.refine.label_refiner import LabelRefiner
from silr.refine.labels import REFINED_LABEL, REFINED_SCORE
from silr.refine.run import TABLE, Run
from silr.refine.table import Columns

if TYPE_CHECKING:
    import pandas as pd

REFINED_MISSING = "refined_missing"
# what decides an annotator's states
ANNOTATOR = (
    *("kind", "weights", "tokenizer", "question", "prompt", "opening", "class_words", "examples"),
    *("codebook", "thinking"),
)
Given = Callable[[Sequence[str], NDArray[np.bool_]], NDArray[np.number]]
"""From the texts of a table, and which of them are none empty, to the features of those, from a file."""


class Predictor:
    """Labels new texts with a run's classifier.

    `caution` are words against its labels, once there are any; None if nothing speaks against them.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        text: str | None = None,
        features_url: str | None = None,
        scores: bool = False,
        device: str | None = None,
        quiet: bool = True,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._refiner = LabelRefiner.load(run, device)
        self._run, self._scores, self._quiet, self._say = Run(run), scores, quiet, say
        self._columns, self._text = columns_of_run(self._run), text
        self._known = getattr(self._refiner, "features_", None)
        _prepare_servers(self._known, features_url, None if quiet else say)
        self.caution: str | None = None

    def text_of(self, columns: Sequence[str]) -> str:
        """The column with the texts: the one that is asked for, else the run's, else "text"."""
        return text_of(self._columns, self._text, columns)

    def features_of(self, path: str | Path, texts: Sequence[str], filled: NDArray[np.bool_]) -> NDArray[np.number]:
        """Features of the texts that are none empty, from a file."""
        columns = self.check_features(path)
        some = [text for text, is_filled in zip(texts, filled, strict=True) if is_filled]
        if has_record(path):
            if words := match(path, some).words:
                self._say(words)
            matrix = features_of_texts(path, some)
        else:
            self._say(match(path, texts).words)
            matrix = np.asarray(features_of_texts(path, texts)[filled])
        return matrix if columns is None else np.asarray(matrix[:, columns])

    def check_features(self, path: str | Path) -> NDArray[np.int64] | None:
        """Refuse a file of other features than the run's; return which of its columns the run had, None for all."""
        columns = None
        for part in _parts(self._known):
            if isinstance(part, FileFeatures):
                columns = _check_annotator(Path(path), part.record["annotator"])
        return columns

    def add_labels(
        self, frame: pd.DataFrame, source: str | Path, texts: Sequence[str], given: Given | None, folder: Path
    ) -> NDArray[np.generic]:
        """Add label and score to a table's rows, and return the labels of those that have a text.

        `folder` keeps what takes long until the caller removes it.
        """
        refiner, known = self._refiner, self._known
        filled = np.array([bool(text.strip()) for text in texts], np.bool_)
        some = [text for text, is_filled in zip(texts, filled, strict=True) if is_filled]
        llm = _llm_of_new(refiner, self._columns.labels, frame, source, filled, self._say)
        ready = None if given is None else given(texts, filled)
        reading = _Reading(refiner, self._run, folder, self._quiet)
        if not some:
            labels, probabilities = refiner.classes_[:0], np.empty((0, len(refiner.classes_)), np.float32)
        elif isinstance(known, TokenFeatures):
            if ready is not None:
                raise InputError("this run's classifier reads the texts themselves: leave out --features")
            probabilities = reading.tokens(known, some)
            labels = refiner.classes_[probabilities.argmax(axis=1)]
            if llm:
                labels, probabilities = refiner.keep_llm_labels(llm["llm_labels"], probabilities)
        else:
            X: Any = reading.matrix(known, some, ready)
            # a run on features knows its texts by them
            labels, probabilities = refiner.predict_with_proba(X, **llm, texts=None if known is None else some)
        _add(frame, filled, labels, probabilities, refiner.classes_, self._scores)
        are_the_llms = bool(llm) and refiner.verdict_.kept == "llm"  # `_llm_of_new` says so
        self.caution = None if are_the_llms else classifier_caution(refiner.result_, with_llm=bool(llm))
        return np.asarray(labels)

    def count(self, labels: NDArray[np.generic]) -> dict[str, int]:
        """Rows of each class that has any."""
        return {str(name): int(count) for name in self._refiner.classes_ if (count := (labels == name).sum())}


def columns_of_run(run: Run) -> Columns:
    """The columns that the run was made from; the default names for a run that was made in Python."""
    try:
        columns = json.loads((run.folder / TABLE).read_bytes())["columns"]
        return Columns(columns["text"], tuple(columns["labels"]))
    except (OSError, ValueError, KeyError, TypeError):
        names = run.manifest["identity"].get("annotators", [""])
        return Columns(labels=tuple(f"{LABEL}_{name}" if name else LABEL for name in names))


def reads_file(run: Run) -> bool:
    """Whether the run's features, or some of them, came from a file or an array."""
    return any(kind in ("file", "given") for kind in _kinds(run))


def reads_by_model(run: Run, *, with_file: bool) -> bool:
    """Whether a language model reads new texts for the run; `with_file` says that a file has its features."""
    light = ("tfidf", "given", "static", "api", *(("file",) if with_file else ()))
    return any(kind not in light for kind in _kinds(run))


def _kinds(run: Run) -> list[str]:
    record = run.manifest["identity"]["features"]
    return [str(part["kind"]) for part in record.get("parts", [record])]


def text_of(run: Columns, asked: str | None, columns: Sequence[str]) -> str:
    """The column with the texts of a new table: the one that is asked for, else the run's, else "text"."""
    own = run.text in columns or Columns.text not in columns
    return asked or (run.text if own else Columns.text)


class _Reading:
    """What a run's classifier reads of new texts; what takes long is kept as it comes."""

    def __init__(self, refiner: LabelRefiner, run: Run, folder: Path, quiet: bool) -> None:
        self._refiner, self._folder, self._quiet = refiner, folder, quiet
        self._run = json.dumps(run.manifest["identity"], sort_keys=True)

    def matrix(self, features: Any, texts: list[str], ready: NDArray[np.number] | None) -> Any:
        """Features of texts, shape (n, d); `ready` are those of a file."""
        if ready is not None and isinstance(features, JoinedFeatures):
            if not any(isinstance(part, FileFeatures) for part in features.parts):
                raise InputError("this run computes all its features from the texts: leave out --features")
        elif ready is not None or features is None:
            return texts if ready is None else ready
        matrices = [
            ready if ready is not None and isinstance(part, FileFeatures) else self._part(part, texts)
            for part in _parts(features)
        ]
        joined = isinstance(features, JoinedFeatures)
        return np.hstack(matrices).astype(np.float32, copy=False) if joined else matrices[0]

    def tokens(self, features: TokenFeatures, texts: list[str]) -> NDArray[np.float32]:
        """Probabilities of a fine-tuned classifier, shape (n, K)."""
        classifier = self._refiner.classifier_

        def make(unique: list[str]) -> Compute:
            tokens = features.transform(unique)

            def compute(rows: NDArray[np.int64]) -> NDArray[np.number]:
                ids = [tokens.ids[at] for at in tokens.where[rows]]
                return np.asarray(classifier.predict_proba(Tokens(ids, np.arange(len(ids)))))

            return compute

        identity = f"{self._run} {self._refiner.classifier_iteration_}"
        scores = in_chunks(texts, make, identity=identity, folder=self._folder, name="Predicting", quiet=self._quiet)
        return np.asarray(scores, np.float32)

    def _part(self, part: Any, texts: list[str]) -> NDArray[np.number]:
        if not isinstance(part, SentenceFeatures | FileFeatures) or servers_of(part):  # those keep what they get
            return np.asarray(part.transform(texts))
        identity = f"{self._run} {json.dumps(part.record, sort_keys=True)}"

        def make(unique: list[str]) -> Compute:
            return lambda rows: np.asarray(part.transform([unique[at] for at in rows]))

        return in_chunks(texts, make, identity=identity, folder=self._folder, quiet=self._quiet)


def _prepare_servers(known: Features | None, url: str | None, say: Callable[[str], None] | None) -> None:
    """Let servers of embeddings be asked at another address, if there is one, and tell how far they are."""
    servers = servers_of(known)
    if url is not None and not servers:
        raise InputError("this run has no features of an embeddings server: leave out --features-url")
    for server in servers:
        if url is not None:
            server.at(url)
        if say is not None:
            server.narrate(say)


def servers_of(features: Features | None) -> list[ApiFeatures]:
    """The kinds of features that a server computes."""
    return [server for part in _parts(features) if (server := server_of(part)) is not None]


def _parts(features: Features | None) -> list[Any]:
    """The kinds of features, of which there may be several."""
    return features.parts if isinstance(features, JoinedFeatures) else [features]


def _check_annotator(path: Path, before: dict[str, Any] | None) -> NDArray[np.int64] | None:
    """Refuse the states of another annotator, or of another prompt, than the run had, where both are known.

    The run may have been made with fewer of the blocks of states; then the result are their columns.
    """
    now = annotator_of(path)
    if before is None or now is None:
        return None
    if EMBEDDINGS in before or EMBEDDINGS in now:
        _check_embeddings(path, before.get(EMBEDDINGS), now.get(EMBEDDINGS))
        return None
    older = "tokenizer" not in before or "tokenizer" not in now
    known = [name for name in ANNOTATOR if not (older and name == "tokenizer")]
    if changed := [name for name in known if before.get(name) != now.get(name)]:
        raise InputError(
            f"{path} was made by another annotator than the run's features ({', '.join(changed)}): annotate these "
            "texts as the run's were annotated"
        )
    try:
        return columns_of(before, now)
    except InputError as error:
        raise InputError(f"{path} is not like the run's features: {error}; annotate these texts again") from error


def _check_embeddings(path: Path, before: Any, now: Any) -> None:
    """Refuse embeddings of another model than the run had; the same one may have another address."""
    alike = ("model", "dimensions", "width")
    if before is None or now is None or any(before.get(name) != now.get(name) for name in alike):
        models = [record["model"] if record else "the annotator" for record in (before, now)]
        raise InputError(
            f"{path} holds features of {models[1]}, the run has those of {models[0]}: make it the same way"
        )


def _llm_of_new(
    refiner: LabelRefiner,
    columns: Sequence[str],
    frame: pd.DataFrame,
    table: str | Path,
    filled: NDArray[np.bool_],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What LLMs say of new texts, where the run's classifier takes it and the table has it."""
    classifier, kept = refiner.classifier_, refiner.verdict_.kept == "llm"
    if not kept and not isinstance(classifier, PosteriorClassifier):
        return {}
    scales = classifier.mixture.scales if isinstance(classifier, PosteriorClassifier) else [None]
    classes = [str(name) for name in refiner.classes_]
    scored = [scale is not None for scale in scales]
    llm = for_new_texts(frame, table, columns, classes, scored)
    if isinstance(llm, str):
        say(f"the features alone label these texts: {llm}")
        return {}
    if kept:
        say(f"labels are those of {', '.join(columns)}, where there is one: the run found none that are better")
    else:
        say(f"labels lean on {', '.join(columns)}, where there is one, and on the features")
    labels, scores = ({name: values[filled] for name, values in part.items()} for part in llm)
    return {"llm_labels": labels, "llm_scores": scores}


def _add(
    frame: pd.DataFrame,
    filled: NDArray[np.bool_],
    labels: NDArray[np.generic],
    scores: NDArray[np.float32],
    classes: NDArray[np.generic],
    each_class: bool,
) -> None:
    """Add labels and probabilities of the rows that have a text."""
    column = np.full(len(frame), None, object)
    column[filled] = labels
    frame[REFINED_LABEL] = column
    place = {name: number for number, name in enumerate(classes)}
    columns = {REFINED_SCORE: np.array([row[place[label]] for row, label in zip(scores, labels, strict=True)])}
    if each_class:
        columns |= {f"{REFINED_SCORE}_{name}": column for name, column in zip(classes, scores.T, strict=True)}
    for name, values in columns.items():
        numbers = np.full(len(frame), np.nan)
        numbers[filled] = [float(f"{value:.4g}") for value in values]
        frame[name] = numbers
    if not filled.all():
        frame[REFINED_MISSING] = np.array([Missing.EMPTY.value, None], object)[filled.astype(int)]
    elif REFINED_MISSING in frame.columns:  # of an earlier prediction
        del frame[REFINED_MISSING]
