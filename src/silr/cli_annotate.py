"""The command `silr annotate`: an LLM on this machine or behind a server labels every text."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from silr.cli_options import AsJson, Device, Quiet, Table, TextColumn, one_of, split_classes
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api import ApiAnnotator
    from silr.annotators.table import AnnotationSummary

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_API = "With --annotator api"


class Kind(StrEnum):
    """Where the LLM runs."""

    local = "local"
    api = "api"


class Strategy(StrEnum):
    """How the LLM comes to its label."""

    direct = "direct"
    self_refine = "self-refine"


def annotate(
    table: Table,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the labelled table goes.", show_default=False)],
    classes: Annotated[
        list[str],
        typer.Option(help="The classes: --classes negative positive, or negative,positive.", show_default=False),
    ],
    annotator: Annotated[
        Kind | None,
        typer.Option(
            help="local: on this machine. api: any OpenAI-compatible server; key in OPENAI_API_KEY. Default: api with "
            "--base-url, else local.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Hub name, model folder or .gguf file (default {DEFAULT_MODEL}), or the server's name for it.",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help='Such as "Is this review positive or negative?".', show_default=False)
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="The whole prompt, with {text}, and {question}, {classes} or {examples} if wanted.", show_default=False
        ),
    ] = None,
    class_word: Annotated[
        list[str] | None,
        typer.Option(help="What the LLM answers for a class, if not its name: CLASS=WORD.", show_default=False),
    ] = None,
    strategy: Annotated[
        Strategy, typer.Option(help="self-refine: answer, critique, answer again; several times the work.")
    ] = Strategy.direct,
    few_shot: Annotated[
        Path | None,
        typer.Option(help="Table with columns text and label: examples for the prompt.", show_default=False),
    ] = None,
    text_column: TextColumn = "text",
    opening: Annotated[
        str | None,
        typer.Option(help="Local: how the answer begins; default: the question restated.", show_default=False),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Local: contextual divides by the scores of texts without content.",
            autocompletion=one_of("contextual"),
            show_default=False,
        ),
    ] = None,
    features: Annotated[bool, typer.Option(help="Local: also write the hidden states of the same pass.")] = True,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Local: float32, bfloat16 or float16; default: what is fast here.",
            autocompletion=one_of("float32", "bfloat16", "float16"),
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Local: run code that comes with the model.")] = False,
    base_url: Annotated[
        str | None, typer.Option(help=f"{_API}: the server, such as http://127.0.0.1:8000/v1.", show_default=False)
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help=f"{_API}: answers a text; above 1, the share of votes is the score.")
    ] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help=f"{_API}: texts asked about at a time.")] = 8,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help=f"{_API}: stop after so many requests.", show_default=False)
    ] = None,
    max_tokens_total: Annotated[
        int | None, typer.Option(min=1, help=f"{_API}: stop after so many tokens, both ways.", show_default=False)
    ] = None,
    max_answer_tokens: Annotated[
        int | None, typer.Option(min=1, help=f"{_API}: longest answer; default: the server's.", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help=f"{_API}: seconds to wait for an answer.")] = 120.0,
    cache: Annotated[
        Path | None,
        typer.Option(
            help=f"{_API}: SQLite file of the answers paid for (default ~/.cache/silr/answers.sqlite).",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Let an LLM label every text.

    Adds llm_label and llm_score_CLASS (log-probabilities), and llm_missing where a text gets no label. A local model
    also writes OUTPUT's .features.npy. A killed annotation goes on where it stopped: run the same command again; what
    was paid for is not asked again.

    silr annotate reviews.csv -o labelled.csv --question "Is this review positive or negative?" --classes negative
    positive

    silr annotate reviews.csv -o labelled.csv --base-url http://127.0.0.1:8000/v1 --model NAME --classes negative
    positive
    """
    from silr.corpus import features_path, read_table
    from silr.corpus import text_column as read_texts

    if annotator is Kind.local and base_url is not None:
        raise InputError("--base-url is the address of a server: leave out --annotator local, or --base-url")
    annotator = annotator or (Kind.api if base_url is not None else Kind.local)
    classes = split_classes(classes)
    read_texts(read_table(table), text_column, table)  # a wrong table is said before a model is loaded
    features_path(output)
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")
    from silr.annotators.self_refine import SelfRefineAnnotator
    from silr.annotators.table import annotate_file

    common: dict[str, Any] = {
        "question": question,
        "class_words": _pairs(class_word or [], "--class-word"),
        "examples": _examples(few_shot, text_column),
    }
    if prompt is not None:
        common["prompt"] = prompt
    if annotator is Kind.local:
        from silr.annotators.local import LocalAnnotator

        common |= {"opening": opening, "calibrate": calibrate, "device": device, "dtype": dtype}
        chosen: Any = LocalAnnotator(model or DEFAULT_MODEL, classes, trust_remote_code=trust_remote_code, **common)
    else:
        from silr.annotators.answer_cache import AnswerCache, default_cache
        from silr.annotators.api import ApiAnnotator
        from silr.annotators.client import ChatClient

        if model is None:
            raise InputError("--annotator api needs --model, the server's name for it")
        client = ChatClient(
            model,
            AnswerCache(cache or default_cache()),
            base_url=base_url,
            max_answer_tokens=max_answer_tokens,
            max_requests=max_requests,
            max_tokens_total=max_tokens_total,
            timeout=timeout,
            say=None if quiet or as_json else _say,
        )
        chosen = ApiAnnotator(client, classes, samples=samples, concurrency=concurrency, **common)
    asking = SelfRefineAnnotator(chosen) if strategy is Strategy.self_refine else chosen
    done = annotate_file(table, output, asking, text_column=text_column, save_features=features, quiet=quiet or as_json)
    _report(done, chosen if annotator is Kind.api else None, quiet, as_json)


def _report(done: AnnotationSummary, api: ApiAnnotator | None, quiet: bool, as_json: bool) -> None:
    if as_json:
        values: dict[str, Any] = {
            "output": str(done.output),
            "features": done.features and str(done.features),
            "labels": done.labels,
        }
        values |= {**done.texts._asdict(), "cut": done.n_cut, "missing": done.n_missing}
        values |= {"missing_reasons": done.reasons, "scored": done.n_scored}
        if api is not None:
            values |= {"requests": api.cost.requests, "cached_answers": api.cost.cached, "stopped_by": api.stopped_by}
            values |= {"prompt_tokens": api.cost.prompt_tokens, "completion_tokens": api.cost.completion_tokens}
            values["notes"] = api.notes
        if done.right is not None:
            values["gold_check"] = {**done.right._asdict(), "outside": done.gold_outside}
        print(json.dumps({**values, "seconds": round(done.seconds, 2)}))
        return
    if quiet:
        return
    print(f"{done.texts}")
    if done.n_cut:
        print(f"{done.n_cut:,} texts are longer than the model reads and were cut")
    if api is not None:
        cost = api.cost
        print(
            f"cost: {cost.requests:,} requests, {cost.prompt_tokens:,} + {cost.completion_tokens:,} tokens (prompt + "
            f"answer); {cost.cached:,} answers were known already"
        )
    for line in _of_missing(done, api):
        print(line)
    if api is not None and api.stopped_by:
        print(f"stopped at the budget of {api.stopped_by}; run again with a higher one to go on")
    total = max(1, sum(done.labels.values()))
    shares = [f"{name} {n:,} ({n / total:.0%})" for name, n in done.labels.items()]
    print("labels: " + ", ".join(shares) + (f"; missing {done.n_missing:,}" if done.n_missing else ""))
    if done.right is not None:
        print(f"by the gold labels: {done.right}")
    if done.gold_outside:
        from silr.class_names import listed

        print(
            f"{sum(done.gold_outside.values()):,} gold labels are none of --classes and count as wrong: "
            f"{listed(list(done.gold_outside), 5)}"
        )
    print(f"written: {done.output}" + (f" and {done.features}" if done.features else ""))


def _of_missing(done: AnnotationSummary, api: ApiAnnotator | None) -> list[str]:
    """What to say of texts without label, and of labels without scores."""
    from silr.annotators.missing import Missing

    lines = []
    if done.reasons:
        listed = ", ".join(f"{n:,} {reason}" for reason, n in done.reasons.items())
        lines.append(f"{done.n_missing:,} texts have no label: {listed} (column llm_missing)")
    if api is None:
        return lines
    if failures := list(api.remarks.failures.values()):
        lines.append(f"the last failure: {failures[-1]}")
    if Missing.SERVER in done.reasons:
        lines.append("run again to ask for those with a server error only")
    labels = sum(done.labels.values())
    if 0 < done.n_scored < labels:
        lines.append(f"{labels - done.n_scored:,} of {labels:,} labels came without scores, which are empty")
    return lines


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _examples(path: Path | None, text_column: str) -> list[tuple[str, str]]:
    if path is None:
        return []
    from silr.corpus import label_column, read_table
    from silr.corpus import text_column as read_texts

    frame = read_table(path)
    texts, labels = read_texts(frame, text_column, path), label_column(frame, "label", path)
    if not texts or any(label is None for label in labels):
        raise InputError(f"{path}: every example needs a text and a label")
    return list(zip(texts, map(str, labels), strict=True))


def _pairs(values: list[str], option: str) -> dict[str, str]:
    if strange := [value for value in values if "=" not in value]:
        raise InputError(f"{option} must look like CLASS=WORD, got {strange[0]!r}")
    return dict(value.split("=", 1) for value in values)
