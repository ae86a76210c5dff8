"""Embeddings in the same go as the labels: `silr annotate --embeddings`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from silr.annotators.cost import in_words, said
from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.cost import Cost
    from silr.annotators.embed import EmbeddingSummary
    from silr.annotators.table import AnnotationSummary


@dataclass(frozen=True)
class Fetched:
    """What came of it, what it cost, and why it did not come; all None if no embeddings were wanted."""

    done: EmbeddingSummary | None = None
    cost: Cost | None = None
    problem: str | None = None
    unknown: str = "dollars unknown"  # why, where nobody knows what was spent

    @property
    def dollars(self) -> float | None:
        """What was spent; 0 where nothing was asked for, None where that is unknown."""
        if self.cost is None or not self.cost.requests:
            return 0.0
        return self.cost.dollars

    def values(self) -> dict[str, object]:
        """The summary for --json."""
        if self.cost is None:
            return {}
        about: dict[str, object] = {"requests": self.cost.requests, "tokens": self.cost.tokens}
        about |= {"cached": self.cost.cached, "problem": self.problem, "dollars": said(self.dollars)}
        if self.done is None:
            return {"embeddings": about}
        about |= {"model": self.done.model, "width": self.done.width}
        about |= {"cut": self.done.n_cut, "missing": self.done.n_lacking}
        return {"features": str(self.done.path), "embeddings": about}

    def lines(self) -> Iterator[str]:
        """The summary in words."""
        if self.cost is not None:
            spent = f"{self.cost.requests:,} requests, {self.cost.tokens:,} tokens"
            dollars = self.unknown if self.dollars is None else f"spent: {in_words(self.dollars)}"
            yield f"embeddings: {spent}; {self.cost.cached:,} were known already; {dollars}"
        if self.done is not None:
            if self.done.n_cut:
                yield f"{self.done.n_cut:,} texts are longer than {self.done.model} reads and were cut"
            if self.done.n_lacking:
                yield f"{self.done.n_lacking:,} texts got no embedding and count as zeros"
            yield f"written: {self.done.path}, {self.done.width:,} numbers a text by {self.done.model}"


def check_embeddings(options: Mapping[str, Any], behind_server: bool) -> None:
    """Refuse options that contradict each other, before anything is asked."""
    named = [name for name in ("embeddings_url", "embeddings_dimensions") if options[name] is not None]
    if options["embeddings"] is None and named:
        raise InputError(f"--{named[0].replace('_', '-')} goes with --embeddings MODEL")
    if options["embeddings"] is not None and not options["embeddings"].strip():
        raise InputError("--embeddings needs the server's name of an embedding model")
    has_files = options["batch_file"] is not None or options["batch_results"] is not None
    if options["embeddings"] is not None and has_files and not (options["embeddings_url"] or options["base_url"]):
        raise InputError(
            "--embeddings needs --embeddings-url beside --batch-file and --batch-results: no server is asked for "
            "labels, and none gets the texts unless you name it"
        )
    if options["embeddings"] is not None and not behind_server:
        raise InputError(
            "--embeddings is for --annotator api; a local model writes its hidden states itself, and `silr refine "
            "--features api:MODEL` asks a server for embeddings of any table"
        )
    if options["embeddings"] is not None and options["name"]:
        from silr.annotators.embed import check_states

        check_states(options["output"])


def fetch_embeddings(
    options: Mapping[str, Any], labels: AnnotationSummary, api: ApiAnnotator | None, quiet: bool
) -> Fetched:
    """Ask for embeddings of the annotated table: the labels are on the disk, whatever happens here."""
    if options["embeddings"] is None or not options["features"] or api is None or labels.unwritten is not None:
        return Fetched()
    from silr.annotators.api.addresses import chosen_server
    from silr.annotators.api.embeddings import EmbeddingsClient, OptionNames
    from silr.annotators.api.prices import embeddings_price, explain_unknown_embeddings
    from silr.annotators.api.vectors import VectorCache
    from silr.annotators.embed import embed_file

    url = options["embeddings_url"] or options["base_url"]
    price = embeddings_price(options["embeddings"], chosen_server(url), prices=options["prices"])
    unknown = explain_unknown_embeddings(options["embeddings"], chosen_server(url))
    names = OptionNames("--embeddings", "--embeddings-url", "--embeddings-dimensions")
    client: EmbeddingsClient | None = None
    try:
        client = EmbeddingsClient(
            options["embeddings"],
            VectorCache(options["cache"]),
            base_url=url,
            price=price,
            max_dollars=None if price is None else _rest(options["max_dollars"], api.cost.counted_dollars),
            dimensions=options["embeddings_dimensions"],
            max_requests=_rest(options["max_requests"], api.cost.requests),
            max_tokens_total=_rest(options["max_tokens_total"], api.cost.tokens),
            **{name: options[name] for name in ("rpm", "tpm", "concurrency", "timeout")},
            say=None if quiet else partial(print, file=sys.stderr, flush=True),
            names=names,
            **_of_the_same_server(options),
        )
        done = embed_file(labels.output, client, text_column=options["text_column"], quiet=quiet)
    except InputError as error:
        from silr.annotators.cost import Cost

        problem = f"the labels are written, the embeddings are not: {error}"
        return Fetched(None, Cost() if client is None else client.cost, problem, unknown)
    return Fetched(done, client.cost, unknown=unknown)


def _of_the_same_server(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the server of the labels wants of a request; another one gets none of it."""
    if options["embeddings_url"] is not None:
        return {}
    from silr.annotators.api.headers import read_headers

    return {"api_version": options["api_version"], "headers": read_headers(options["header"] or [])}


def _rest(most: float | None, spent: float) -> Any:
    """What the labels have left of a budget."""
    return None if most is None else max(0, most - spent)
