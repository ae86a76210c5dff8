"""Refining and predicting whole tables: what the commands `silr refine` and `silr predict` do."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from silr.errors import InputError
from silr.features.api import PREFIX, check_server, with_server
from silr.features.default import check_default, default_features
from silr.features.file import name_of_states
from silr.features.on_workers import MakePieces
from silr.features.static import PREFIX as STATIC
from silr.hf.distributed import is_main
from silr.io.annotator_columns import label_columns, read_annotators, scored_classes
from silr.io.annotator_records import record_of_features, states_of
from silr.io.cells import sort_classes
from silr.io.class_names import ClassNames, listed, of_table
from silr.io.codebook import codebook_of_record, gold_example, recorded_codebook
from silr.io.corpus import (
    features_path,
    label_column,
    open_table,
    table_hash,
    text_column,
    text_counts,
    weight_column,
)
from silr.io.engines import check_engine, make_pieces
from silr.io.feature_rows import match
from silr.io.files import write_json
from silr.io.hub_tables import local_table, recorded
from silr.io.label_codes import check_classes
from silr.io.pieced_table import Frame
from silr.io.pieces import is_in_pieces
from silr.refine.iteration import Iteration
from silr.refine.label_refiner import LabelRefiner
from silr.refine.labels import write_labels
from silr.refine.method import Method, OnStep
from silr.refine.options import as_tuning, from_options
from silr.refine.problem import Problem
from silr.refine.run import TABLE
from silr.refine.tuning import FineTuned
from silr.stats.annotator_evidence import Annotator

OF_REFINER = ("random_state", "device")  # parameters of `LabelRefiner` itself
MANY = 50_000  # texts, from which on TF-IDF takes a while


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read; no `labels` are ``llm_label`` and every ``llm_label_NAME``."""

    text: str = "text"
    labels: tuple[str, ...] = ()
    gold: str = "gold"
    weight: str = "gold_weight"
    truth: str | None = None


def refine_table(
    table: str | Path,
    run: str | Path,
    *,
    columns: Columns | None = None,
    features: str | Path | Sequence[str | Path] | None = None,
    classes: Sequence[str] | None = None,
    on_iteration: Callable[[Iteration], None] | None = None,
    on_step: OnStep | None = None,
    say: Callable[[str], None] = lambda line: None,
    server: Mapping[str, Any] | None = None,
    engine: str = "local",
    quiet: bool = True,
    **options: Any,
) -> LabelRefiner:
    """Refine the LLM's labels of a table and write ``run/labels.csv``; of a table in pieces, ``run/labels/``.

    Parameters
    ----------
    table : str or Path
        A file; or a folder or a glob of parquet files, of which no more is in memory than codes of the labels.
    run : str or Path
        Run directory; an interrupted run goes on where it stopped.
    columns : Columns, default None
        None: the default names.
    features : str or sequence of str, default None
        "annotator" (the file beside the table), "tfidf", ``api:MODEL``, a sentence-transformers folder or name,
        ``static:MODEL`` of model2vec, or a ``.npy``; several are put side by side. None, with method "silr": all that
        is at hand of the annotator's states, a sentence encoder and TF-IDF, see `silr.features.default`; else
        "annotator" if that file is there, or "tfidf".
    classes : sequence of str, default None
        The classes, where a person may give one that no LLM gave, or where labels differ from a class in case. None:
        those of the score columns, else those that the LLMs gave.
    on_iteration, on_step : callable, default None
        As `LabelRefiner.fit` calls them.
    say : callable
        Called with lines that the user should read.
    server : mapping, default None
        For ``api:MODEL``: parameters of `silr.ApiFeatures`, such as ``base_url``; progress is shown.
    engine : {"local", "ray"}, default "local"
        What computes the features of a table in pieces: this process, or the workers of a Ray cluster.
    quiet : bool, default True
        Show no progress of these workers.
    **options
        As `LabelRefiner.from_options` takes them.

    Raises
    ------
    InputError, NoSignalError
        As `LabelRefiner.fit`, or the table cannot be used.
    """
    names, table = columns or Columns(), local_table(table)
    method, classifier = from_options({name: value for name, value in options.items() if name not in OF_REFINER})
    tuning = as_tuning(classifier)
    _check_features(features, method, tuning, server)
    workers = _workers(engine, table, tuning, options.get("device"), quiet, say)
    frame = open_table(table)
    texts = text_column(frame, names.text, table)
    say(str(text_counts(texts)))
    if classes is None:
        classes = _classes_of_codebook(frame, table, names, say)
    problem, labels = _problem(frame, table, names, method, classes, say)
    if tuning is None:
        specs = _features(table, features, method, say)
        if "tfidf" in specs and len(texts) > MANY:
            say(f"features: TF-IDF of {len(texts):,} texts, computed once; that can take minutes")
    else:
        specs, tuning.prompt = ["texts"], _prompt(table, tuning, method, say)
    named = with_server(specs, server, say)
    spec = named[0] if len(named) == 1 else named
    of_refiner = {name: options[name] for name in OF_REFINER if name in options}
    refiner = LabelRefiner(method, classifier, features=spec, run=run, **of_refiner)
    for each in specs:
        if each.endswith(".npy") and (words := match(each, texts).words):
            say(words)
    folder = Path(run)
    record = {
        "table": recorded(table, folder),
        "sha256": table_hash(table),
        "columns": {**vars(names), "labels": labels},
        "classes": None if classes is None else problem.class_names,
        "features": [_from(folder, each) for each in specs],
        **_codebook(frame, texts, names.gold, table),
    }

    def note(iteration: Iteration) -> None:
        if is_main():  # not only at the end: `silr report` reads runs that were cut off too
            write_json(folder / TABLE, {**record, "iterations": iteration.notes.of})
        if on_iteration is not None:
            on_iteration(iteration)

    refiner.fit_problem(texts, problem, on_iteration=note, on_step=on_step, make_pieces=workers)
    if is_main():
        write_json(folder / TABLE, {**record, "iterations": refiner.result_.iterations[0].notes.of})
        write_labels(frame, refiner, folder)
    return refiner


def _problem(
    frame: Frame,
    table: str | Path,
    names: Columns,
    method: Method,
    classes: Sequence[str] | None,
    say: Callable[[str], None],
) -> tuple[Problem, list[str]]:
    """What a table holds to be refined, and the columns of the LLMs' labels."""
    by_hand = label_column(frame, names.gold, table, required=names.gold != Columns.gold)
    asked = names.labels if names.labels or method.takes_several else label_columns(frame)[:1]
    llm = read_annotators(frame, table, asked, by_hand, say, classes, finished=False)
    named = classes is not None
    if len(llm.columns) > 1 and not method.takes_several:
        raise InputError(f"one LLM's labels are wanted, not {', '.join(llm.columns)}: give one --label-column")
    missing = int((np.max(llm.codes, axis=0) < 0).sum())
    if missing:
        say(f"{missing:,} texts have no {' or '.join(llm.columns)}: they train nothing, and are labelled all the same")
    gold = column_codes(frame, names.gold, llm.classes, table, required=names.gold != Columns.gold, named=named)
    if named and (count := ClassNames(llm.classes, named=True).folded(by_hand)):
        say(f"{count:,} gold labels differ from a class in case only, and count as it")
    if names.weight != Columns.weight:
        label_column(frame, names.weight, table)  # refuses a column that is named but absent
    gold = np.full(len(frame), -1, np.int16) if gold is None else gold
    occurring = np.concatenate([*llm.codes, gold])
    every = named or (llm.has_scores and method.reads_scores)  # scores tell of classes that no label has
    order = [code for code in map(llm.classes.index, sort_classes(llm.classes)) if every or code in occurring]
    recode = np.full(len(llm.classes) + 1, -1, np.int16)  # the last one is that of a missing label
    recode[order] = np.arange(len(order))
    wanted = [llm.classes[code] for code in order]
    check_classes(wanted)
    truth = None if names.truth is None else column_codes(frame, names.truth, wanted, table, required=True, named=named)
    problem = Problem(
        np.array(wanted),
        [
            Annotator(recode[codes], None if scores is None else scores[:, order], name)
            for name, codes, scores in zip(llm.names, llm.codes, llm.scores, strict=True)
        ],
        recode[gold],
        weight_column(frame, names.weight, table, gold >= 0),
        None if truth is None else truth.astype(np.int16),
    )
    return problem, list(llm.columns)


def _classes_of_codebook(
    frame: Frame, table: str | Path, names: Columns, say: Callable[[str], None]
) -> list[str] | None:
    """The codebook's classes, if a person gave one of them that no LLM gave; None: those of the LLMs."""
    codebook = recorded_codebook(table)
    if codebook is None:
        return None
    columns = [name for name in label_columns(frame, names.labels) if name in frame.columns]
    given = {label for name in columns for label in label_column(frame, name, table)} - {None}
    scored = {name for column in columns for name in scored_classes(frame, column)}
    gold = set(label_column(frame, names.gold, table, required=False)) - {None}
    of_codebook = ClassNames(codebook.class_names, named=True)
    by_llm = {of_codebook.code(str(name)) for name in given | scored}
    by_hand = {of_codebook.code(str(name)) for name in gold}
    if -1 in by_llm | by_hand or by_hand <= by_llm:
        return None
    say(f"classes: those of the codebook, {listed(codebook.class_names)}; no LLM gave some of them")
    return codebook.class_names


def _codebook(frame: Frame, texts: Sequence[str], gold: str, table: str | Path) -> dict[str, object]:
    """The codebook that the LLM read, for the run's record, with a warning if it has gold texts as examples."""
    codebook = recorded_codebook(table)
    if codebook is None:
        return {}
    labels = label_column(frame, gold, table, required=False)
    known = [row for row, label in enumerate(labels) if label is not None]
    if words := gold_example(codebook, texts, known, table):
        warnings.warn(f"{words}: the LLM has read its label, so its accuracy is overestimated; clear it", stacklevel=1)
    return {"codebook": codebook.to_dict()}


def _features(
    table: str | Path, asked: str | Path | Sequence[str | Path] | None, method: Method, say: Callable[[str], None]
) -> list[str]:
    """The kinds of features to read, files by their paths."""
    path, states = features_path(table), list(map(str, states_of(table)))
    if asked is None:
        if method.weighs_llm:
            return default_features(states, say)
        say("features: " + (name_of_states(path) if states else "TF-IDF"))
        return states or ["tfidf"]
    specs = [str(asked)] if isinstance(asked, (str, Path)) else list(map(str, asked))
    if "annotator" in specs and not states:
        raise InputError(f"{path} does not exist; `silr annotate` writes it, or take --features tfidf")
    for spec in specs:
        if spec not in ("annotator", "tfidf") and not spec.endswith(".npy") and not spec.startswith((PREFIX, STATIC)):
            say(f"features: sentence embeddings by {spec}, computed once; on a CPU that can take minutes")
    return [each for spec in specs for each in (states if spec == "annotator" else [spec])]


def _check_features(
    asked: str | Path | Sequence[str | Path] | None,
    method: Method,
    tuning: FineTuned | None,
    server: Mapping[str, Any] | None,
) -> None:
    """Refuse options that contradict each other, before anything is read."""
    if tuning is not None and asked is not None:
        raise InputError("a fine-tuned model reads the texts themselves: leave out --features")
    if asked is None and tuning is None and method.weighs_llm:
        check_default(server)
    else:
        check_server([str(asked)] if isinstance(asked, (str, Path)) else list(map(str, asked or ())), server)


def _workers(
    engine: str,
    table: str | Path,
    tuning: FineTuned | None,
    device: str | None,
    quiet: bool,
    say: Callable[[str], None],
) -> MakePieces | None:
    """What computes the features of a table in pieces on an engine; None for this process."""
    check_engine(engine, in_pieces=is_in_pieces(table))
    if engine == "local":
        return None
    if tuning is not None:
        raise InputError(f"--engine {engine} computes features: fine-tune on many machines by accelerate launch")
    if device is not None:
        raise InputError(f"--engine {engine} gives each worker its device: leave --device out")
    return partial(make_pieces, engine=engine, quiet=quiet, say=say)


def _from(folder: Path, spec: str) -> str:
    """A path as it is seen from the run's folder, also behind a prefix; other names stay."""
    if spec.startswith(STATIC):
        return STATIC + _from(folder, spec.removeprefix(STATIC))
    return os.path.relpath(spec, folder) if spec not in ("tfidf", "texts") and Path(spec).exists() else spec


def _prompt(table: str | Path, tuning: FineTuned, method: Method, say: Callable[[str], None]) -> str | None:
    """What a fine-tuned model reads around each text: by default, if it was the annotator, what it read then."""
    asked = tuning.prompt == "annotator"
    if not asked and (tuning.prompt is not None or not method.takes_prompt):
        return tuning.prompt
    from silr.annotators.chat_template import recorded_thinking
    from silr.annotators.encoding import prompt_around_text
    from silr.annotators.prompts import Prompt
    from silr.hf.models import load_tokenizer, locate

    record, model = record_of_features(features_path(table)), locate(str(tuning.model))
    if record is None or record.get("kind") != "local":
        if asked:
            raise InputError(
                f"no annotator's prompt is known for {table}: `silr annotate` with a local model keeps it; or give "
                "--prompt the words themselves, with {text}"
            )
        return None
    if not asked and record.get("model") != model:
        return None
    given: dict[str, Any] = {name: record.get(name) for name in ("question", "opening", "class_words")}
    examples = [tuple(example) for example in record.get("examples", ())]
    given["codebook"] = codebook_of_record(record.get("codebook"))
    words = Prompt(record.get("classes", ()), template=record.get("prompt", ""), examples=examples, **given)
    say("the model reads each text inside the annotator's prompt (--prompt '{text}': the text alone)")
    return prompt_around_text(words, load_tokenizer(model), thinking=recorded_thinking(record))


def column_codes(
    frame: Frame,
    name: str,
    classes: list[str],
    table: str | Path,
    *,
    required: bool,
    named: bool = False,
    finished: bool = False,
) -> Any:
    """Class numbers of a column of labels, -1 where missing; None if it is not `required` and absent or empty.

    The classes are those of the table, those that somebody has `named`, or those of a `finished` run; see `ClassNames`.

    Raises InputError if it is required and has no label, or one that is none of `classes`.
    """
    values = label_column(frame, name, table, required=required)
    if all(value is None for value in values):
        if required:
            raise InputError(f"column {name!r} of {table} has no label")
        return None
    return ClassNames(classes, named=named or finished).codes(values, name, of_table(table, option=not finished))
