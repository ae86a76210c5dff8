"""The annotator that the options of `silr annotate` describe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.cli.annotate_options import DEFAULT_MODEL
from silr.cli.options import split_classes
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.client import ChatClient
    from silr.annotators.api.dry_client import DryClient
    from silr.annotators.cost import Price
    from silr.annotators.local import LocalAnnotator
    from silr.annotators.prompts import Prompt
    from silr.annotators.vllm import VllmAnnotator
    from silr.io.codebook import Codebook

_OF_SERVER = {  # options that only a server heeds, and their defaults
    **dict.fromkeys(("api_version", "header", "temperature", "reasoning_effort", "service_tier", "extra_body")),
    **{"confidence": None, "explain": False, "answer": "auto", "samples": 1},
    **dict.fromkeys(("rpm", "tpm", "max_requests", "max_tokens_total", "max_answer_tokens", "max_dollars")),
    **dict.fromkeys(("price_in", "price_out", "prices")),
}
_OF_THIS_MACHINE = {"opening": None, "calibrate": None, "dtype": None, "device": None, "trust_remote_code": False}
Options = Mapping[str, Any]
"""Values of the command's options by their names in Python."""


def is_behind_server(options: Options) -> bool:
    """Whether a server is asked; InputError if the options contradict each other."""
    if options["annotator"] == "local" and options["base_url"] is not None:
        raise InputError("--base-url is the address of a server: leave out --annotator local, or --base-url")
    if options["annotator"] == "local" and is_in_batches(options):
        raise InputError("batches are for a server: leave out --annotator local")
    behind_server = options["annotator"] == "api" or options["base_url"] is not None or is_in_batches(options)
    others = _OF_THIS_MACHINE if behind_server else _OF_SERVER
    given = [name for name, usual in others.items() if options[name] != usual and options[name] != []]
    if given:
        remedy = "leave it out" if behind_server else "give --base-url, or --annotator api"
        place = "a model on this machine" if behind_server else "a server"
        raise InputError(f"--{given[0].replace('_', '-')} is for {place}: {remedy}")
    if behind_server and options["thinking"] is not None:
        raise InputError(
            "--thinking and --no-thinking are for a model on this machine; a server may take "
            '--extra-body \'{"chat_template_kwargs": {"enable_thinking": false}}\''
        )
    return behind_server


def is_in_batches(options: Options) -> bool:
    """Whether the questions go into batches, at a server or in files."""
    return bool(options["batch"] or options["batch_file"] or options["batch_results"])


def named_classes(options: Options) -> list[str] | None:
    """The classes of --classes; None: those of the codebook. InputError if there is neither."""
    if options["classes"]:
        return split_classes(options["classes"])
    if options["codebook"] is None:
        raise InputError("name the classes: --classes negative positive, or --codebook FILE that has them")
    return None


def api_annotator(options: Options, classes: list[str] | None, quiet: bool) -> ApiAnnotator:
    """The annotator behind a server."""
    from silr.annotators.api.annotator import ApiAnnotator

    return ApiAnnotator(_client(options, quiet), classes, **_of_answers(options), **_wording(options))


def dry_annotator(options: Options, classes: list[str] | None) -> tuple[ApiAnnotator, DryClient]:
    """The annotator behind a server that is not asked, and the client that keeps what it would be."""
    from silr.annotators.api.addresses import chosen_server
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.batch.client import OFFLINE, OfflineClient
    from silr.annotators.api.dry_client import DryClient, ReadOnlyCache
    from silr.cli.annotate_batch import client_kind

    chosen = {**options, "base_url": chosen_server(options["base_url"])}
    client = DryClient(options["model"], ReadOnlyCache(options["cache"]), **_of_client(chosen))
    if options["base_url"] is None and client_kind(options) is OfflineClient:
        client.server = OFFLINE
    return ApiAnnotator(client, classes, **_of_answers(options), **_wording(options)), client


def _of_answers(options: Options) -> dict[str, Any]:
    return {name: options[name] for name in ("samples", "concurrency", "answer", "confidence", "explain")}


def local_prompt(options: Options, classes: list[str] | None) -> Prompt:
    """The prompt of the annotator on this machine."""
    from silr.annotators.prompts import TEMPLATE, Prompt, with_codebook

    wording = {"prompt": TEMPLATE, **_wording(options)}
    template = with_codebook(wording.pop("prompt"), wording["codebook"], TEMPLATE)
    return Prompt(classes, template=template, opening=options["opening"], **wording)


def local_annotator(options: Options, classes: list[str] | None) -> LocalAnnotator:
    """The annotator on this machine."""
    from silr.annotators.local import LocalAnnotator

    names = ("opening", "calibrate", "device", "dtype", "trust_remote_code", "thinking")
    named = {name: options[name] for name in names}
    return LocalAnnotator(options["model"] or DEFAULT_MODEL, classes, **named, **_wording(options))


def vllm_annotator(options: Options, classes: list[str] | None) -> VllmAnnotator:
    """The annotator of which vLLM reads the prompts."""
    from silr.annotators.vllm import VllmAnnotator

    names = ("opening", "calibrate", "dtype", "trust_remote_code", "thinking")
    named = {name: options[name] for name in names}
    return VllmAnnotator(options["model"] or DEFAULT_MODEL, classes, **named, **_wording(options))


def _wording(options: Options) -> dict[str, Any]:
    """What is asked."""
    wording: dict[str, Any] = {"question": options["question"], "class_words": _pairs(options["class_word"] or [])}
    wording["examples"] = _examples(options["few_shot"], options["text_column"])
    wording["codebook"] = _codebook(options["codebook"])
    return wording if options["prompt"] is None else wording | {"prompt": options["prompt"]}


def price(options: Options) -> Price | None:
    """What the model costs; None if nobody knows."""
    from silr.annotators.api.addresses import chosen_server
    from silr.annotators.api.prices import price_of

    given = {name: options[name] for name in ("price_in", "price_out", "prices")} | {"tier": options["service_tier"]}
    return price_of(options["model"], chosen_server(options["base_url"]), **given)


def _client(options: Options, quiet: bool) -> ChatClient:
    from silr.annotators.api.cache import AnswerCache
    from silr.cli.annotate_batch import client_kind

    named, kind = _of_client(options), client_kind(options)
    say = None if quiet else partial(print, file=sys.stderr, flush=True)
    return kind(options["model"], AnswerCache(options["cache"]), say=say, **named)


def _of_client(options: Options) -> dict[str, Any]:
    """What a client is built with, beside model and cache."""
    from silr.annotators.api.request import RequestOptions

    if options["model"] is None:
        raise InputError("--annotator api needs --model, the server's name for it")
    names = ("base_url", "api_version", "max_requests", "max_tokens_total", "max_dollars", "rpm", "tpm", "timeout")
    wanted = RequestOptions(**_request(options))
    return {**{name: options[name] for name in names}, "options": wanted, "price": price(options)}


def _request(options: Options) -> dict[str, Any]:
    """What is wanted of every request."""
    from silr.annotators.api.extra_body import read_body
    from silr.annotators.api.headers import read_headers

    named = ("max_answer_tokens", "temperature", "reasoning_effort", "service_tier")
    wanted = {name: options[name] for name in named}
    if options["extra_body"] is not None:
        wanted["extra_body"] = read_body(options["extra_body"])
    return wanted | {"headers": read_headers(options["header"] or [])}


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


def _codebook(path: Path | None) -> Codebook | None:
    from silr.io.codebook import Codebook

    return None if path is None else Codebook.read(path)


def _pairs(values: list[str]) -> dict[str, str]:
    if strange := [value for value in values if "=" not in value]:
        raise InputError(f"--class-word must look like CLASS=WORD, got {strange[0]!r}")
    return dict(value.split("=", 1) for value in values)
