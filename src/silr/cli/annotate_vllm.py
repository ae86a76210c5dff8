"""`silr annotate --engine vllm`: a table in pieces, of which vLLM reads the prompts on a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from silr.cli.annotate_build import vllm_annotator
from silr.cli.options import narrator
from silr.errors import InputError
from silr.io.factories import Factory, registered

if TYPE_CHECKING:
    from silr.annotators.pieces import AnnotatedPieces
    from silr.annotators.vllm import VllmAnnotator


def check_options(options: Mapping[str, Any]) -> None:
    """Raise InputError for an option that vLLM cannot heed."""
    if options["strategy"] != "direct":
        raise InputError(
            f"--strategy {options['strategy']} is a conversation, which vLLM does not hold: give --engine ray"
        )
    if options["device"] is not None:
        raise InputError("--engine vllm takes the devices that Ray gives: leave --device out")


def by_vllm(
    options: Mapping[str, Any],
    of_model: Mapping[str, Any],
    classes: list[str] | None,
    settings: dict[str, Any],
    quiet: bool,
) -> AnnotatedPieces:
    """Annotate a folder or a glob; `of_model` are the options that make the annotator."""
    from silr.annotators.vllm_pieces import annotate_by_vllm

    say = narrator(quiet)
    if options["features"]:
        say("vLLM gives no hidden states, so none are written; silr refine has other features (--features)")
    make = Factory.of(annotator_for_vllm, options=of_model, classes=classes)
    named = {"text_column": options["text_column"], "name": options["name"]}
    return annotate_by_vllm(options["table"], options["output"], make, settings, **named, quiet=quiet, say=say)


@registered
def annotator_for_vllm(options: Mapping[str, Any], classes: list[str] | None) -> VllmAnnotator:
    """The annotator that says what vLLM is asked."""
    return vllm_annotator(options, classes)
