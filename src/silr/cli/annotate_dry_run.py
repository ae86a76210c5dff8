"""`silr annotate --dry-run`: the bill before the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.annotators.cost import BATCH_SHARE
from silr.cli.annotate_build import dry_annotator, is_behind_server, local_prompt, price
from silr.cli.annotate_options import DEFAULT_MODEL
from silr.errors import InputError
from silr.io.engines import VLLM
from silr.io.files import Json

if TYPE_CHECKING:
    from silr.annotators.api.embedding_bill import EmbeddingBill
    from silr.annotators.dry_run import DryRun


def print_dry_run(options: Mapping[str, Any], classes: list[str] | None, settings: Json | None = None) -> None:
    """Print what the command would ask and cost; of a table in pieces, with the `settings` of its pieces."""
    from silr.annotators.dry_run import dry_run, local_dry_run
    from silr.annotators.self_refine import SelfRefineAnnotator

    refines = options["strategy"] == "self-refine"
    named = {name: options[name] for name in ("text_column", "name")}
    if is_behind_server(options):
        from silr.annotators.api.instruction import assumed_answers
        from silr.annotators.api.prices import share_of_files

        annotator, client = dry_annotator(options, classes)
        asking = SelfRefineAnnotator(annotator) if refines else annotator
        words = assumed_answers(annotator.prompt.words, annotator.said, options["answer"] == "structured")
        single = price(options)
        share = BATCH_SHARE if options["batch"] else 1.0
        if options["batch_file"] or options["batch_results"]:
            share = share_of_files(options["model"], options["base_url"], single, options["service_tier"])
        cost = single.times(share) if single is not None and share != 1 else single
        named |= {"words": words, "tokenizer": options["tokenizer"], "price": cost}
        reckon = partial(dry_run, asking=asking, client=client, **named)
        done = _of_table(options, reckon, settings)
        if options["answer"] == "auto" and done.asked and not done.known:
            done.notes.append("one request more may show whether the server holds the model to the classes")
        if cost is not single:
            more = "; one text is asked about at the full one" if options["batch"] else ""
            done.notes.append(f"batches cost half the price{more}")
    else:
        if options["tokenizer"] is not None:
            raise InputError("--tokenizer is for a model behind a server: one on this machine has its own")
        prompt = local_prompt(options, classes)
        model = options["model"] or DEFAULT_MODEL
        how = {"self_refine": refines, "thinking": options["thinking"], **named}
        done = _of_table(options, partial(local_dry_run, model=model, prompt=prompt, **how), settings)
    if options["embeddings"] is not None:
        done.embeddings = _of_embeddings(options)
    if options["as_json"]:
        print(json.dumps(done.values(), ensure_ascii=False))
    elif not options["quiet"]:
        print("\n".join(done.lines()))


def _of_table(options: Mapping[str, Any], reckon: Callable[[Path, Path], DryRun], settings: Json | None) -> DryRun:
    if settings is None:
        return reckon(options["table"], options["output"])
    from silr.annotators.dry_run_pieces import dry_run_pieces

    return dry_run_pieces(
        options["table"],
        options["output"],
        reckon,
        settings,
        **{"text_column": options["text_column"], "name": options["name"]},
        save_features=options["features"] and options["engine"] != VLLM,
        quiet=options["quiet"] or options["as_json"],
    )


def _of_embeddings(options: Mapping[str, Any]) -> EmbeddingBill:
    from silr.annotators.api.embedding_bill import embedding_bill
    from silr.io import corpus

    table = options["table"]
    return embedding_bill(
        corpus.text_column(corpus.read_table(table), options["text_column"], table),
        options["embeddings"],
        base_url=options["embeddings_url"] or options["base_url"],
        dimensions=options["embeddings_dimensions"],
        cache=options["cache"],
        prices=options["prices"],
    )
