"""`silr annotate --dry-run`: the bill before the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from silr.cli.annotate_build import dry_annotator, is_behind_server, is_in_batches, local_prompt, price
from silr.cli.annotate_options import DEFAULT_MODEL
from silr.errors import InputError

_FORM = "whether the server holds the model to the classes, one or two further requests find out with the first text"


def print_dry_run(options: Mapping[str, Any], classes: list[str] | None) -> None:
    """Print what the command would ask and cost."""
    from silr.annotators.cost import BATCH_SHARE
    from silr.annotators.dry_run import dry_run, local_dry_run
    from silr.annotators.self_refine import SelfRefineAnnotator

    refines = options["strategy"] == "self-refine"
    named = {name: options[name] for name in ("text_column", "name")}
    if is_behind_server(options):
        annotator, client = dry_annotator(options, classes)
        asking = SelfRefineAnnotator(annotator) if refines else annotator
        named |= {"words": annotator.prompt.words, "tokenizer": options["tokenizer"], "price": price(options)}
        named |= {"said_beside": annotator.said}
        if is_in_batches(options) and named["price"] is not None:
            named["price"] = named["price"].times(BATCH_SHARE)
        done = dry_run(options["table"], options["output"], asking, client, **named)
        if annotator.form_is_assumed and annotator.remarks.form != "free":
            done.notes.append(_FORM)
    else:
        if options["tokenizer"] is not None:
            raise InputError("--tokenizer is for a model behind a server: one on this machine has its own")
        prompt = local_prompt(options, classes)
        model = options["model"] or DEFAULT_MODEL
        done = local_dry_run(
            options["table"],
            options["output"],
            model,
            prompt,
            self_refine=refines,
            thinking=options["thinking"],
            **named,
        )
    if options["embeddings"] is not None:
        done.notes.append(f"the embeddings by {options['embeddings']} are not in this bill")
    if options["as_json"]:
        print(json.dumps(done.values(), ensure_ascii=False))
    elif not options["quiet"]:
        print("\n".join(done.lines()))
