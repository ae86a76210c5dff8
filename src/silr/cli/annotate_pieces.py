"""`silr annotate` of a table in pieces, on one machine or on many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.cli.annotate_build import api_annotator, local_annotator
from silr.cli.annotate_options import DEFAULT_MODEL
from silr.cli.annotate_vllm import by_vllm, check_options
from silr.cli.options import narrator
from silr.errors import InputError
from silr.io.engines import VLLM
from silr.io.factories import Factory, registered

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.base import Annotator
    from silr.annotators.local import LocalAnnotator

DECISIVE = (  # options that decide the labels
    *("question", "prompt", "class_word", "strategy", "opening", "calibrate", "thinking", "dtype", "base_url"),
    *("api_version", "temperature", "reasoning_effort", "extra_body", "answer", "confidence", "explain", "samples"),
)
OF_LOCAL_MODEL = (  # options that make the annotator of a worker
    *("model", "question", "codebook", "prompt", "class_word", "strategy", "few_shot", "text_column", "opening"),
    *("calibrate", "thinking", "dtype", "device", "trust_remote_code"),
)
OF_ONE_TABLE = ("batch", "batch_file", "batch_results", "embeddings")


def annotate_in_pieces(options: Mapping[str, Any], classes: list[str] | None, behind_server: bool) -> None:
    """Annotate a folder or a glob, and say what became of it."""
    if given := [name for name in OF_ONE_TABLE if options[name]]:
        raise InputError(f"--{given[0].replace('_', '-')} is for a table in one file: give it one of the pieces")
    if behind_server and options["engine"] != "local":
        engine = options["engine"]
        raise InputError(f"--engine {engine} is for a model on the machines; a server is asked by one process")
    if options["engine"] == VLLM:
        check_options(options)
    if options["dry_run"]:
        from silr.cli.annotate_dry_run import print_dry_run

        print_dry_run(options, classes, _settings(options, classes, behind_server))
        return
    from silr.annotators.pieces import annotate_pieces
    from silr.cli.annotate_summary import of_dollars

    quiet = options["quiet"] or options["as_json"]
    api = api_annotator(options, classes, quiet) if behind_server else None
    settings = _settings(options, classes, behind_server)
    known = {name: options[name] for name in OF_LOCAL_MODEL}
    if options["engine"] == VLLM:
        done = by_vllm(options, known, classes, settings, quiet)
    else:
        local = Factory.of(annotator_of_worker, options=known, classes=classes)
        make = local if api is None else partial(_asking, api, options["strategy"])
        done = annotate_pieces(
            options["table"],
            options["output"],
            make,
            settings,
            **{"text_column": options["text_column"], "save_features": options["features"], "name": options["name"]},
            **{"engine": options["engine"], "has_model": api is None, "quiet": quiet, "say": narrator(quiet)},
        )
    values: dict[str, object] = {"output": str(options["output"]), "pieces": done.pieces, "resumed": done.resumed}
    values |= {"unfinished": done.unfinished, "texts": done.texts, "labels": done.labels}
    values |= {"missing_reasons": done.reasons, "features": done.features and str(done.features)}
    if api is not None:
        cost = api.cost
        values |= {"requests": cost.requests, "cached_answers": cost.cached, "dollars": cost.dollars}
        values |= {"prompt_tokens": cost.prompt_tokens, "completion_tokens": cost.completion_tokens}
        values |= {"stopped_by": api.stopped_by, "price": cost.price and cost.price.describe(), "notes": api.notes}
        values |= {kind: done.record.get(kind) for kind in ("cost", "answers")}
    if options["as_json"]:
        print(json.dumps(values))
    elif not quiet:
        print("\n".join(_lines(values, options["output"], [] if api is None else of_dollars(api, done.record))))


def _lines(values: Mapping[str, Any], output: Path, dollars: Iterable[str]) -> list[str]:
    lines: list[str] = []
    if "requests" in values:
        tokens = f"{values['prompt_tokens']:,} + {values['completion_tokens']:,} tokens"
        lines.append(
            f"cost: {values['requests']:,} requests, {tokens} (prompt + answer); {values['cached_answers']:,} answers "
            "were known already"
        )
    lines += dollars
    total = max(1, sum(values["labels"].values()))
    shares = [f"{name} {n:,} ({n / total:.0%})" for name, n in values["labels"].items()]
    lines.append("labels: " + (", ".join(shares) or "none"))
    if values["missing_reasons"]:
        lines.append("no label: " + ", ".join(f"{n:,} {reason}" for reason, n in values["missing_reasons"].items()))
    if values["unfinished"]:
        why = f", stopped at the budget of {values['stopped_by']}" if values.get("stopped_by") else ""
        lines.append(
            f"{values['unfinished']:,} of {values['pieces']:,} pieces are not finished{why}; run again to go on"
        )
    return [*lines, f"written: {output}" + (f" and {values['features']}" if values["features"] else "")]


@registered
def annotator_of_worker(options: Mapping[str, Any], classes: list[str] | None) -> Annotator:
    """The annotator of a worker, which may be on another machine."""
    return _asking(local_annotator(options, classes), options["strategy"])


def _asking(annotator: ApiAnnotator | LocalAnnotator, strategy: str) -> Annotator:
    from silr.annotators.self_refine import SelfRefineAnnotator

    return SelfRefineAnnotator(annotator) if strategy == "self-refine" else annotator


def _settings(options: Mapping[str, Any], classes: list[str] | None, behind_server: bool) -> dict[str, Any]:
    """All that decides the labels; files count by their content."""
    from silr.hf.fingerprint import fingerprint

    model = options["model"] if behind_server else options["model"] or DEFAULT_MODEL
    settings = {name: options[name] for name in DECISIVE}
    files = {name: options[name] and _digest(options[name]) for name in ("codebook", "few_shot")}
    known = {"classes": classes, "model": Path(str(model)).name, **files}
    known |= {"engine": VLLM} if options["engine"] == VLLM else {}  # whose numbers are its own
    return {**settings, **known, "weights": None if behind_server else fingerprint(str(model))}


def _digest(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()
