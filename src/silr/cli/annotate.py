"""The command `silr annotate`: an LLM on this machine or behind a server labels every text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from silr.cli.options import AsJson, Device, Quiet, Table, TextColumn, choice, split_classes
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.client import ChatClient
    from silr.annotators.self_refine import Talking
    from silr.annotators.table import AnnotationSummary

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_API = "With --annotator api"

ANNOTATOR_HELP = (
    "local: on this machine. api: any OpenAI-compatible server; key in OPENAI_API_KEY. Default: api with "
    "--base-url, else local."
)
MODEL_HELP = f"Hub name, model folder or .gguf file (default {DEFAULT_MODEL}), or the server's name for it."
PROMPT_HELP = "The whole prompt, with {text}, and {question}, {classes} or {examples} if wanted."
CLASS_WORD_HELP = "What the LLM answers for a class, if not its name: CLASS=WORD."
STRATEGY_HELP = "self-refine: answer, critique, answer again; several times the work."
CALIBRATE_HELP = "Local: contextual divides by the scores of texts without content."
DTYPE_HELP = "Local: float32, bfloat16 or float16; default: what is fast here."
SAMPLES_HELP = f"{_API}: answers a text; above 1, the share of votes is the score."
MAX_TOKENS_TOTAL_HELP = f"{_API}: stop after so many tokens, both ways."
MAX_ANSWER_TOKENS_HELP = f"{_API}: longest answer; default: the server's."
CACHE_HELP = f"{_API}: SQLite file of the answers paid for (default ~/.cache/silr/answers.sqlite)."


def annotate(
    table: Table,
    output: Annotated[Path, Option("--output", "-o", help="Where the labelled table goes.")],
    classes: Annotated[list[str], Option(help="The classes: --classes negative positive, or negative,positive.")],
    annotator: Annotated[Literal["local", "api"] | None, Option(help=ANNOTATOR_HELP)] = None,
    model: Annotated[str | None, Option(help=MODEL_HELP)] = None,
    question: Annotated[str | None, Option(help='Such as "Is this review positive or negative?".')] = None,
    prompt: Annotated[str | None, Option(help=PROMPT_HELP)] = None,
    class_word: Annotated[list[str] | None, Option(help=CLASS_WORD_HELP)] = None,
    strategy: Annotated[Literal["direct", "self-refine"], Option(help=STRATEGY_HELP, metavar="TEXT")] = "direct",
    few_shot: Annotated[Path | None, Option(help="Table with columns text and label: examples for the prompt.")] = None,
    text_column: TextColumn = "text",
    opening: Annotated[str | None, Option(help="Local: how the answer begins; default: the question restated.")] = None,
    calibrate: Annotated[str | None, choice(CALIBRATE_HELP, "contextual")] = None,
    features: Annotated[bool, Option(help="Local: also write the hidden states of the same pass.")] = True,
    dtype: Annotated[str | None, choice(DTYPE_HELP, "float32", "bfloat16", "float16")] = None,
    device: Device = None,
    trust_remote_code: Annotated[bool, Option(help="Local: run code that comes with the model.")] = False,
    base_url: Annotated[str | None, Option(help=f"{_API}: the server, such as http://127.0.0.1:8000/v1.")] = None,
    samples: Annotated[int, Option(min=1, help=SAMPLES_HELP)] = 1,
    concurrency: Annotated[int, Option(min=1, help=f"{_API}: texts asked about at a time.")] = 8,
    max_requests: Annotated[int | None, Option(help=f"{_API}: stop after so many requests.", min=1)] = None,
    max_tokens_total: Annotated[int | None, Option(min=1, help=MAX_TOKENS_TOTAL_HELP)] = None,
    max_answer_tokens: Annotated[int | None, Option(min=1, help=MAX_ANSWER_TOKENS_HELP)] = None,
    timeout: Annotated[float, Option(min=0.1, help=f"{_API}: seconds to wait for an answer.")] = 120.0,
    cache: Annotated[Path | None, Option(help=CACHE_HELP)] = None,
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
    options, quiet = locals(), quiet or as_json
    if annotator == "local" and base_url is not None:
        raise InputError("--base-url is the address of a server: leave out --annotator local, or --base-url")
    classes = split_classes(classes)
    _check_table(table, output, text_column)
    from silr.annotators.self_refine import SelfRefineAnnotator
    from silr.annotators.table import annotate_file

    wording: dict[str, Any] = {"question": question, "class_words": _pairs(class_word or [])}
    wording |= {"examples": _examples(few_shot, text_column), **({} if prompt is None else {"prompt": prompt})}
    api: ApiAnnotator | None = None
    chosen: Talking
    if annotator == "api" or base_url is not None:
        from silr.annotators.api.annotator import ApiAnnotator

        client = _client(options, quiet)
        api = chosen = ApiAnnotator(client, classes, samples=samples, concurrency=concurrency, **wording)
    else:
        from silr.annotators.local import LocalAnnotator

        wording |= {"opening": opening, "calibrate": calibrate, "device": device, "dtype": dtype}
        chosen = LocalAnnotator(model or DEFAULT_MODEL, classes, trust_remote_code=trust_remote_code, **wording)
    asking = SelfRefineAnnotator(chosen) if strategy == "self-refine" else chosen
    done = annotate_file(table, output, asking, text_column=text_column, save_features=features, quiet=quiet)
    if as_json:
        print(json.dumps(_values(done, api)))
    elif not quiet:
        print("\n".join(_lines(done, api)))


def _check_table(table: Path, output: Path, column: str) -> None:
    """Refuse a wrong table before a model is loaded."""
    from silr.io.corpus import features_path, read_table, text_column

    text_column(read_table(table), column, table)
    features_path(output)
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")


def _client(options: Mapping[str, Any], quiet: bool) -> ChatClient:
    from silr.annotators.api.cache import AnswerCache
    from silr.annotators.api.client import ChatClient

    if options["model"] is None:
        raise InputError("--annotator api needs --model, the server's name for it")
    named = ("base_url", "max_answer_tokens", "max_requests", "max_tokens_total", "timeout")
    say = None if quiet else partial(print, file=sys.stderr, flush=True)
    return ChatClient(
        options["model"], AnswerCache(options["cache"]), say=say, **{name: options[name] for name in named}
    )


def _values(done: AnnotationSummary, api: ApiAnnotator | None) -> dict[str, object]:
    """The summary for --json."""
    values: dict[str, object] = {
        "output": str(done.output),
        "features": done.features and str(done.features),
        "labels": done.labels,
        **done.texts._asdict(),
        "cut": done.n_cut,
        "missing": done.n_missing,
        "missing_reasons": done.reasons,
        "scored": done.n_scored,
    }
    if api is not None:
        values |= {"requests": api.cost.requests, "cached_answers": api.cost.cached, "stopped_by": api.stopped_by}
        values |= {"prompt_tokens": api.cost.prompt_tokens, "completion_tokens": api.cost.completion_tokens}
        values["notes"] = api.notes
    if done.right is not None:
        values["gold_check"] = {**done.right._asdict(), "outside": done.gold_outside}
    return {**values, "seconds": round(done.seconds, 2)}


def _lines(done: AnnotationSummary, api: ApiAnnotator | None) -> Iterator[str]:
    """The summary in words."""
    from silr.io.class_names import listed

    yield str(done.texts)
    if done.n_cut:
        yield f"{done.n_cut:,} texts are longer than the model reads and were cut"
    if api is not None:
        cost = api.cost
        yield (
            f"cost: {cost.requests:,} requests, {cost.prompt_tokens:,} + {cost.completion_tokens:,} tokens (prompt + "
            f"answer); {cost.cached:,} answers were known already"
        )
    yield from _of_missing(done, api)
    if api is not None and api.stopped_by:
        yield f"stopped at the budget of {api.stopped_by}; run again with a higher one to go on"
    total = max(1, sum(done.labels.values()))
    shares = [f"{name} {n:,} ({n / total:.0%})" for name, n in done.labels.items()]
    yield "labels: " + ", ".join(shares) + (f"; missing {done.n_missing:,}" if done.n_missing else "")
    if done.right is not None:
        yield f"by the gold labels: {done.right}"
    if done.gold_outside:
        outside = listed(list(done.gold_outside), 5)
        yield f"{sum(done.gold_outside.values()):,} gold labels are none of --classes and count as wrong: {outside}"
    yield f"written: {done.output}" + (f" and {done.features}" if done.features else "")


def _of_missing(done: AnnotationSummary, api: ApiAnnotator | None) -> Iterator[str]:
    """Lines about texts without label, and about labels without scores."""
    from silr.annotators.missing import Missing

    if done.reasons:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in done.reasons.items())
        yield f"{done.n_missing:,} texts have no label: {reasons} (column llm_missing)"
    if api is None:
        return
    if failures := list(api.remarks.failures.values()):
        yield f"the last failure: {failures[-1]}"
    if Missing.SERVER in done.reasons:
        yield "run again to ask for those with a server error only"
    labels = sum(done.labels.values())
    if 0 < done.n_scored < labels:
        yield f"{labels - done.n_scored:,} of {labels:,} labels came without scores, which are empty"


def _examples(path: Path | None, text_column: str) -> list[tuple[str, str]]:
    if path is None:
        return []
    from silr.io.corpus import label_column, read_table
    from silr.io.corpus import text_column as read_texts

    frame = read_table(path)
    texts, labels = read_texts(frame, text_column, path), label_column(frame, "label", path)
    if not texts or any(label is None for label in labels):
        raise InputError(f"{path}: every example needs a text and a label")
    return list(zip(texts, map(str, labels), strict=True))


def _pairs(values: list[str]) -> dict[str, str]:
    if strange := [value for value in values if "=" not in value]:
        raise InputError(f"--class-word must look like CLASS=WORD, got {strange[0]!r}")
    return dict(value.split("=", 1) for value in values)
