"""The annotator that the options of `silr annotate` describe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.cli.annotate_options import DEFAULT_MODEL
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.client import ChatClient
    from silr.annotators.local import LocalAnnotator

Options = Mapping[str, Any]
"""Values of the command's options by their names in Python."""


def is_behind_server(options: Options) -> bool:
    """Whether a server is asked; InputError if the options contradict each other."""
    if options["annotator"] == "local" and options["base_url"] is not None:
        raise InputError("--base-url is the address of a server: leave out --annotator local, or --base-url")
    behind_server = options["annotator"] == "api" or options["base_url"] is not None
    if not behind_server and (options["confidence"] or options["explain"]):
        named = "--confidence" if options["confidence"] else "--explain"
        raise InputError(f"{named} needs a server: a model on this machine gives scores (--base-url, --annotator api)")
    return behind_server


def api_annotator(options: Options, classes: list[str], quiet: bool) -> ApiAnnotator:
    """The annotator behind a server."""
    from silr.annotators.api.annotator import ApiAnnotator

    named = {name: options[name] for name in ("samples", "concurrency", "answer", "confidence", "explain")}
    return ApiAnnotator(_client(options, quiet), classes, **named, **_wording(options))


def local_annotator(options: Options, classes: list[str]) -> LocalAnnotator:
    """The annotator on this machine."""
    from silr.annotators.local import LocalAnnotator

    named = {name: options[name] for name in ("opening", "calibrate", "device", "dtype", "trust_remote_code")}
    return LocalAnnotator(options["model"] or DEFAULT_MODEL, classes, **named, **_wording(options))


def _wording(options: Options) -> dict[str, Any]:
    """What is asked."""
    wording: dict[str, Any] = {"question": options["question"], "class_words": _pairs(options["class_word"] or [])}
    wording["examples"] = _examples(options["few_shot"], options["text_column"])
    return wording if options["prompt"] is None else wording | {"prompt": options["prompt"]}


def _client(options: Mapping[str, Any], quiet: bool) -> ChatClient:
    from silr.annotators.api.cache import AnswerCache
    from silr.annotators.api.client import ChatClient
    from silr.annotators.api.request import RequestOptions

    if options["model"] is None:
        raise InputError("--annotator api needs --model, the server's name for it")
    named = {name: options[name] for name in ("base_url", "max_requests", "max_tokens_total", "timeout")}
    say = None if quiet else partial(print, file=sys.stderr, flush=True)
    wanted = RequestOptions(max_answer_tokens=options["max_answer_tokens"])
    return ChatClient(options["model"], AnswerCache(options["cache"]), options=wanted, say=say, **named)


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
