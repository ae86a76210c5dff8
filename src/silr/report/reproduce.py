"""All that it takes to do the run again: the command, settings, seeds, splits, hashes, versions and hardware."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from silr.class_names import in_commas
from silr.corpus import features_path, file_hash
from silr.errors import InputError
from silr.refine import derived_seed, held_out
from silr.refine_table import Columns
from silr.refiner_settings import foreign_settings, is_default
from silr.report.record import Record
from silr.report.words import short, visible

LONGEST_VALUE, MOST_SEEDS = 400, 100
COMMAND_OPTIONS = (
    *("method", "classifier", "model", "prompt", "tune_top", "batch_size", "learning_rate", "max_length"),
    *("hidden_units", "loss", "correction", "epochs", "seed"),
)


def reproduce(record: Record) -> dict[str, Any]:
    """The section's values: `command` or `python`, and `groups` of (title, rows of name and value)."""
    manifest = record.run.manifest
    identity = manifest["identity"]
    configuration = identity["configuration"]
    seed = int(configuration["seed"])
    n = len(record.llm)
    validation = int(held_out(n, seed).sum())
    last = record.iterations[-1].number
    seeds = ", ".join(str(derived_seed(seed, number)) for number in range(1, last + 1)[:MOST_SEEDS])
    split = f"{n - validation:,} texts train, {validation:,} choose the epoch (7:1, drawn with the seed)"
    drawn: dict[str, Any] = {"seed": seed}
    if not is_default(configuration) or configuration["classifier"] != "frozen":
        drawn |= {"seeds of the iterations": seeds, "split": split}
    foreign = foreign_settings(configuration)
    foreign += ["leak"] if "correction" in foreign else []
    own = {name: value for name, value in configuration.items() if name not in foreign}
    command = None if record.table is None else _command(record, record.table)
    hashes = {"input (texts, labels, gold)": identity["input"], **flat(identity["features"], "features")}
    if record.table is not None:
        hashes = {"table": record.table["table"], "table, SHA-256": record.table["sha256"], **hashes}
        hashes["table today"] = _today(record, record.table)
    return {
        "command": command,
        "python": None if command else _python(configuration, last),
        "groups": [
            ("Settings", fact_rows(flat(own) | {"iterations finished": last})),
            ("Seeds and split", fact_rows(drawn)),
            ("Input", fact_rows(hashes)),
            ("Versions", fact_rows({"silr": manifest.get("silr", "unknown"), **manifest.get("packages", {})})),
            ("Hardware", fact_rows(flat(manifest.get("hardware", {})))),
        ],
    }


def _command(record: Record, table: dict[str, Any]) -> str:
    """The `silr refine` command, as it is given inside the run's folder; it makes a new run beside it."""
    configuration = record.run.manifest["identity"]["configuration"]
    words = ["silr", "refine", table["table"], "-o", "../run-again"]
    if configuration["classifier"] == "frozen":
        words += [word for spec in table["features"] for word in ("--features", _asked(spec, table["table"]))]
    foreign = foreign_settings(configuration)
    for name in COMMAND_OPTIONS:
        if configuration.get(name) is not None and name not in foreign:
            words += [f"--{name.replace('_', '-')}", str(configuration[name])]
    words += ["--iterations", str(table["iterations"] or record.iterations[-1].number)]
    if configuration.get("theta") is not None:
        words += ["--theta", ";".join(",".join(map(repr, row)) for row in configuration["theta"])]
    if configuration.get("class_prior") is not None:
        words += ["--class-prior", ",".join(map(repr, configuration["class_prior"]))]
    if table.get("classes"):
        words += ["--classes", in_commas(table["classes"])]
    columns, usual = table["columns"], vars(Columns())
    words += [word for column in columns["labels"] for word in ("--label-column", column)]
    for name in ("text", "gold", "weight", "truth"):
        if columns.get(name) not in (None, usual[name]):
            words += [f"--{name}" if name == "truth" else f"--{name}-column", columns[name]]
    if configuration.get("priors") == "oracle":
        words.append("--oracle")
    lines = shlex.join(words[:5]), *(shlex.join(words[at : at + 2]) for at in range(5, len(words), 2))
    return visible(" \\\n    ".join(lines))


def _asked(spec: str, table: str) -> str:
    """What names a kind of features on the command line."""
    try:
        return "annotator" if Path(spec) == features_path(table) else spec
    except InputError:
        return spec


def _python(configuration: dict[str, Any], iterations: int) -> str:
    settings = {**configuration, "random_state": configuration["seed"], "iterations": iterations}
    for name in ("seed", *foreign_settings(configuration)):
        settings.pop(name, None)
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items() if value is not None)
    return visible(f"LabelRefiner({given}).fit(features_or_texts, llm_labels, gold=gold_labels)")


def _today(record: Record, table: dict[str, Any]) -> str:
    path = record.run.folder / table["table"]
    if not path.is_file():
        return "no longer there"
    return "as it was" if file_hash(path) == table["sha256"] else "changed since it was refined"


def flat(values: Any, name: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by their dotted names."""
    if not isinstance(values, dict):
        return {name: values}
    return {
        key: value
        for each, inner in values.items()
        for key, value in flat(inner, f"{name}.{each}" if name else str(each)).items()
    }


def fact_rows(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and values as the page shows them; those that are None are left out."""
    shown = {
        name: value if isinstance(value, str) else "none" if value == [] else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }
    return [(short(name), short(value, LONGEST_VALUE)) for name, value in shown.items()]
