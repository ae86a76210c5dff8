"""An annotator from options by their names: those of the annotator, of the client and of its requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from silr.annotators.base import Annotator
from silr.errors import InputError

_OF_COMMAND = {
    "class_word": "class_words",
    "few_shot": "examples",
    "header": "headers",
    "trust_code": "trust_remote_code",
}


def make_annotator(
    classes: Sequence[str] | None,
    model: str | Path,
    base_url: str | None,
    question: str | None,
    options: Mapping[str, Any],
) -> Annotator:
    """Return the local annotator, or with a `base_url` the one behind that server; InputError for an unknown option."""
    if base_url is None:
        from silr.annotators.local import LocalAnnotator

        known = _keywords(LocalAnnotator)
        _check(options, known, "a model on this machine")
        return LocalAnnotator(model, classes, question=question, **options)
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.cache import AnswerCache
    from silr.annotators.api.client import ChatClient
    from silr.annotators.api.request import RequestOptions

    _check(options, _server_options(), "a model behind a server")
    request = {field.name: options[field.name] for field in fields(RequestOptions) if field.name in options}
    client = {name: options[name] for name in _keywords(ChatClient) if name in options}
    own = {name: options[name] for name in _keywords(ApiAnnotator) if name in options}
    path = options.get("cache")
    cache = path if isinstance(path, AnswerCache) else AnswerCache(None if path is None else Path(path))
    chat = ChatClient(str(model), cache, base_url=base_url, options=RequestOptions(**request), **client)
    return ApiAnnotator(chat, classes, question=question, **own)


def _server_options() -> list[str]:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.client import ChatClient
    from silr.annotators.api.request import RequestOptions

    of_request = [field.name for field in fields(RequestOptions)]
    return [*_keywords(ApiAnnotator), *_keywords(ChatClient), *of_request, "cache"]


def _keywords(call: Callable[..., object]) -> list[str]:
    """Names that may be given to a constructor, but for those that `silr.annotate` has itself."""
    kinds = inspect.signature(call).parameters.values()
    names = [kind.name for kind in kinds if kind.kind is inspect.Parameter.KEYWORD_ONLY]
    return [name for name in names if name not in ("base_url", "question", "options")]


def _check(options: Mapping[str, Any], known: Sequence[str], of: str) -> None:
    for name in options:
        if name in known:
            continue
        if name in _server_options():
            raise InputError(f"annotate: {name} is an option of a model behind a server: give base_url")
        named = _OF_COMMAND.get(name)
        near = [named] if named in known else get_close_matches(name, known, 1, 0.5)
        raise InputError(f"annotate: {of} has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
