"""All that it takes to do the run again: the command, settings, seeds, splits, hashes, versions and hardware."""

import json
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from silr.errors import InputError
from silr.features.api import KIND as API
from silr.features.api import ApiFeatures
from silr.features.static import PREFIX as STATIC
from silr.io.class_names import in_commas
from silr.io.corpus import features_path, file_hash
from silr.io.files import Json
from silr.io.hub_tables import table_of_record
from silr.io.words import short, visible
from silr.refine.label_refiner import LabelRefiner
from silr.refine.method import derived_seed, held_out
from silr.refine.options import from_options, to_options
from silr.refine.record import Record
from silr.refine.table import Columns
from silr.report.annotation import annotation

LONGEST_VALUE, MOST_SEEDS = 400, 100
NOT_AN_OPTION = ("leak",)  # of the Python interface only


def reproduce(record: Record, by: Sequence[str] = ()) -> Json:
    """The section's values: `command` or `python`, and `groups` of (title, rows of name and value).

    With columns of groups, `by`, `report` is the command of this page about the new run.
    """
    manifest = record.run.manifest
    identity, configuration = manifest["identity"], record.run.configuration
    seed, last = int(configuration["seed"]), record.iterations[-1].number
    drawn: Json = {"seed": seed}
    if any(iteration.notes.fit for iteration in record.iterations):
        n = len(record.llm)
        validation = int(held_out(n, seed).sum())
        fitted = [iteration.number for iteration in record.iterations if iteration.notes.fit]
        drawn["seeds of the iterations"] = ", ".join(str(derived_seed(seed, number)) for number in fitted[:MOST_SEEDS])
        drawn["split"] = f"{n - validation:,} texts train, {validation:,} choose the epoch (7:1, drawn with the seed)"
    command = None if record.table is None else _command(record, record.table)
    wanted = record.iterations[0].notes.of or last
    hashes = {"input (texts, labels, gold)": identity["input"], **flat(identity["features"], "features")}
    if record.table is not None:
        hashes = {"table": record.table["table"], "table, SHA-256": record.table["sha256"], **hashes}
        hashes["table today"] = _today(record, record.table)
    return {
        "command": command,
        "report": visible(shlex.join(["silr", "report", "../run-again", *by_options(by)])) if by else None,
        "python": None if command else _python(configuration, identity["features"], wanted),
        "groups": [
            ("The LLM", fact_rows(annotation(record))),
            ("Settings", fact_rows(flat(configuration) | {"iterations finished": last})),
            ("Seeds and split", fact_rows(drawn)),
            ("Input", fact_rows(hashes)),
            ("Versions", fact_rows({"silr": manifest.get("silr", "unknown"), **manifest.get("packages", {})})),
            ("Hardware", fact_rows(flat(manifest.get("hardware", {})))),
        ],
    }


def _command(record: Record, table: Json) -> str:
    """The `silr refine` command, as it is given inside the run's folder; it makes a new run beside it."""
    configuration = record.run.configuration
    words = ["silr", "refine", table["table"], "-o", "../run-again"]
    if configuration["classifier"] == "frozen":
        words += [word for spec in table["features"] for word in ("--features", _asked(spec, table["table"]))]
        words += _server(record.run.manifest["identity"]["features"])
    for name, value in to_options(configuration).items():
        if name == "priors":
            words += ["--oracle"] if value == "oracle" else []
        elif name not in NOT_AN_OPTION:
            words += [f"--{name.replace('_', '-')}", _word(value)]
    words += ["--seed", str(configuration["seed"])]
    words += ["--iterations", str(table["iterations"] or record.iterations[-1].number)]
    if table.get("classes"):
        words += ["--classes", in_commas(table["classes"])]
    columns, usual = table["columns"], vars(Columns())
    words += [word for column in columns["labels"] for word in ("--label-column", column)]
    for name in ("text", "gold", "weight", "truth"):
        if columns.get(name) not in (None, usual[name]):
            words += [f"--{name}" if name == "truth" else f"--{name}-column", columns[name]]
    starts = [at for at, word in enumerate(words) if word.startswith("--")]
    lines = [words[at:end] for at, end in pairwise([0, *starts, len(words)])]
    return visible(" \\\n    ".join(map(shlex.join, lines)))


def by_options(by: Sequence[str]) -> list[str]:
    """The columns of groups as the command line takes them."""
    return [word for column in by for word in ("--by", column)]


def _word(value: Any) -> str:
    """A setting as the command line takes it: rows of a matrix with semicolons between them."""
    if not isinstance(value, list):
        return str(value)
    rows = value if isinstance(value[0], list) else [value]
    return ";".join(",".join(map(repr, row)) for row in rows)


def _asked(spec: str, table: str) -> str:
    """What names a kind of features on the command line."""
    try:
        return "annotator" if Path(spec) == features_path(table) else spec
    except InputError:
        return spec


def _server(features: Json) -> list[str]:
    """The options of the server that embeddings came from."""
    for part in features.get("parts", [features]):
        if part["kind"] == API:
            width = ["--features-dimensions", str(part["dimensions"])] if "dimensions" in part else []
            return ["--features-url", part["server"], *width]
    return []


def _python(configuration: Json, features: Json, iterations: int) -> str:
    method, classifier = from_options({**to_options(configuration), "iterations": iterations})
    refiner = LabelRefiner(method, classifier, features=_spec(features) or "tfidf", random_state=configuration["seed"])
    return visible(f"{refiner}.fit(features_or_texts, llm_labels, gold=gold_labels)")


def _spec(features: Json) -> Any:
    """What names features in Python, from their record; None of a matrix, a file or what a model reads itself."""
    parts = [_spec(part) for part in features.get("parts", ())]
    if parts:
        return ["FILE.npy" if part is None else part for part in parts]
    if features["kind"] == API:
        return ApiFeatures.of_record(features)
    kind, model = features["kind"], features.get("model")
    kinds = {"tfidf": "tfidf", "sentence-transformers": model, "static": f"{STATIC}{model}", "file": "FILE.npy"}
    return kinds.get(kind)


def _today(record: Record, table: Json) -> str:
    path = table_of_record(record.run.folder, table["table"])
    if not path.is_file():
        return "no longer there"
    return "as it was" if file_hash(path) == table["sha256"] else "changed since it was refined"


def flat(values: Any, name: str = "") -> Json:
    """Return the values of nested dicts by their dotted names."""
    if not isinstance(values, dict):
        return {name: values}
    return {
        key: value
        for each, inner in values.items()
        for key, value in flat(inner, f"{name}.{each}" if name else str(each)).items()
    }


def fact_rows(values: Json) -> list[tuple[str, str]]:
    """Return names and values as the page shows them; those that are None are left out."""
    shown = {
        name: value if isinstance(value, str) else "none" if value == [] else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }
    return [(short(name), short(value, LONGEST_VALUE)) for name, value in shown.items()]
