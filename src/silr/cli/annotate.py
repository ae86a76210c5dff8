"""The command `silr annotate`: an LLM on this machine or behind a server labels every text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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


class Kind(StrEnum):
    """Where the LLM runs."""

    local = "local"
    api = "api"


class Strategy(StrEnum):
    """How the LLM comes to its label."""

    direct = "direct"
    self_refine = "self-refine"


Where = Annotated[
    Kind | None,
    Option(
        help="local: on this machine. api: any OpenAI-compatible server; key in OPENAI_API_KEY. Default: api with "
        "--base-url, else local."
    ),
]
Model = Annotated[
    str | None,
    Option(help=f"Hub name, model folder or .gguf file (default {DEFAULT_MODEL}), or the server's name for it."),
]
WholePrompt = Annotated[
    str | None, Option(help="The whole prompt, with {text}, and {question}, {classes} or {examples} if wanted.")
]
ClassWords = Annotated[list[str] | None, Option(help="What the LLM answers for a class, if not its name: CLASS=WORD.")]
How = Annotated[Strategy, Option(help="self-refine: answer, critique, answer again; several times the work.")]
Calibration = Annotated[
    str | None, choice("Local: contextual divides by the scores of texts without content.", "contextual")
]
DTYPES = ("float32", "bfloat16", "float16")
Dtype = Annotated[str | None, choice("Local: float32, bfloat16 or float16; default: what is fast here.", *DTYPES)]
Samples = Annotated[int, Option(min=1, help=f"{_API}: answers a text; above 1, the share of votes is the score.")]
MaxAnswer = Annotated[int | None, Option(help=f"{_API}: longest answer; default: the server's.", min=1)]
Cache = Annotated[
    Path | None, Option(help=f"{_API}: SQLite file of the answers paid for (default ~/.cache/silr/answers.sqlite).")
]


def annotate(
    table: Table,
    output: Annotated[Path, Option("--output", "-o", help="Where the labelled table goes.")],
    classes: Annotated[list[str], Option(help="The classes: --classes negative positive, or negative,positive.")],
    annotator: Where = None,
    model: Model = None,
    question: Annotated[str | None, Option(help='Such as "Is this review positive or negative?".')] = None,
    prompt: WholePrompt = None,
    class_word: ClassWords = None,
    strategy: How = Strategy.direct,
    few_shot: Annotated[Path | None, Option(help="Table with columns text and label: examples for the prompt.")] = None,
    text_column: TextColumn = "text",
    opening: Annotated[str | None, Option(help="Local: how the answer begins; default: the question restated.")] = None,
    calibrate: Calibration = None,
    features: Annotated[bool, Option(help="Local: also write the hidden states of the same pass.")] = True,
    dtype: Dtype = None,
    device: Device = None,
    trust_remote_code: Annotated[bool, Option(help="Local: run code that comes with the model.")] = False,
    base_url: Annotated[str | None, Option(help=f"{_API}: the server, such as http://127.0.0.1:8000/v1.")] = None,
    samples: Samples = 1,
    concurrency: Annotated[int, Option(min=1, help=f"{_API}: texts asked about at a time.")] = 8,
    max_requests: Annotated[int | None, Option(help=f"{_API}: stop after so many requests.", min=1)] = None,
    max_tokens_total: Annotated[
        int | None, Option(help=f"{_API}: stop after so many tokens, both ways.", min=1)
    ] = None,
    max_answer_tokens: MaxAnswer = None,
    timeout: Annotated[float, Option(min=0.1, help=f"{_API}: seconds to wait for an answer.")] = 120.0,
    cache: Cache = None,
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
    kind, quiet = _kind(annotator, base_url), quiet or as_json
    classes = split_classes(classes)
    _check_table(table, output, text_column)
    from silr.annotators.self_refine import SelfRefineAnnotator
    from silr.annotators.table import annotate_file

    wording = _wording(question, prompt, class_word, _examples(few_shot, text_column))
    api: ApiAnnotator | None = None
    chosen: Talking
    if kind is Kind.local:
        from silr.annotators.local import LocalAnnotator

        wording |= {"opening": opening, "calibrate": calibrate, "device": device, "dtype": dtype}
        chosen = LocalAnnotator(model or DEFAULT_MODEL, classes, trust_remote_code=trust_remote_code, **wording)
    else:
        from silr.annotators.api.annotator import ApiAnnotator

        limits = (max_answer_tokens, max_requests, max_tokens_total, timeout)
        client = _client(model, base_url, cache, *limits, quiet)
        api = chosen = ApiAnnotator(client, classes, samples=samples, concurrency=concurrency, **wording)
    asking = SelfRefineAnnotator(chosen) if strategy is Strategy.self_refine else chosen
    done = annotate_file(table, output, asking, text_column=text_column, save_features=features, quiet=quiet)
    if as_json:
        print(json.dumps(_values(done, api)))
    elif not quiet:
        print("\n".join(_lines(done, api)))


def _kind(annotator: Kind | None, base_url: str | None) -> Kind:
    if annotator is Kind.local and base_url is not None:
        raise InputError("--base-url is the address of a server: leave out --annotator local, or --base-url")
    return annotator or (Kind.local if base_url is None else Kind.api)


def _check_table(table: Path, output: Path, column: str) -> None:
    """Refuse a wrong table before a model is loaded."""
    from silr.io.corpus import features_path, read_table, text_column

    text_column(read_table(table), column, table)
    features_path(output)
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")


def _wording(
    question: str | None, prompt: str | None, class_word: list[str] | None, examples: list[tuple[str, str]]
) -> dict[str, Any]:
    """Options of the prompt, for either annotator; the default template is the annotator's."""
    template = {} if prompt is None else {"prompt": prompt}
    return {"question": question, "class_words": _pairs(class_word or []), "examples": examples, **template}


def _client(
    model: str | None,
    base_url: str | None,
    cache: Path | None,
    max_answer_tokens: int | None,
    max_requests: int | None,
    max_tokens_total: int | None,
    timeout: float,
    quiet: bool,
) -> ChatClient:
    from silr.annotators.api.cache import AnswerCache, default_cache
    from silr.annotators.api.client import ChatClient

    if model is None:
        raise InputError("--annotator api needs --model, the server's name for it")
    return ChatClient(
        model,
        AnswerCache(cache or default_cache()),
        base_url=base_url,
        max_answer_tokens=max_answer_tokens,
        max_requests=max_requests,
        max_tokens_total=max_tokens_total,
        timeout=timeout,
        say=None if quiet else partial(print, file=sys.stderr, flush=True),
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
