"""The command `silr annotate`: an LLM on this machine or behind a server labels every text."""

import json
from pathlib import Path
from typing import Any

from silr.cli import annotate_options as of
from silr.cli.options import AsJson, Device, Quiet, TableOrPieces, TextColumn
from silr.errors import InputError


def annotate(
    table: TableOrPieces,
    output: of.Output,
    classes: of.Classes = None,
    annotator: of.Annotator = None,
    model: of.Model = None,
    question: of.Question = None,
    codebook: of.CodebookFile = None,
    prompt: of.PromptText = None,
    class_word: of.ClassWord = None,
    strategy: of.Strategy = "direct",
    few_shot: of.FewShot = None,
    text_column: TextColumn = "text",
    opening: of.Opening = None,
    calibrate: of.Calibrate = None,
    thinking: of.Thinking = None,
    features: of.Features = True,
    dtype: of.Dtype = None,
    device: Device = None,
    trust_remote_code: of.TrustRemoteCode = False,
    base_url: of.BaseUrl = None,
    embeddings: of.Embeddings = None,
    embeddings_url: of.EmbeddingsUrl = None,
    embeddings_dimensions: of.EmbeddingsDimensions = None,
    api_version: of.ApiVersion = None,
    header: of.Header = None,
    temperature: of.Temperature = None,
    reasoning_effort: of.ReasoningEffort = None,
    service_tier: of.ServiceTier = None,
    extra_body: of.ExtraBody = None,
    answer: of.Answer = "auto",
    confidence: of.Confidence = None,
    explain: of.Explain = False,
    samples: of.Samples = 1,
    concurrency: of.Concurrency = 8,
    rpm: of.Rpm = None,
    tpm: of.Tpm = None,
    max_requests: of.MaxRequests = None,
    max_tokens_total: of.MaxTokensTotal = None,
    max_answer_tokens: of.MaxAnswerTokens = None,
    timeout: of.Timeout = 120.0,
    cache: of.Cache = None,
    name: of.Name = "",
    dry_run: of.DryRun = False,
    tokenizer: of.Tokenizer = None,
    price_in: of.PriceIn = None,
    price_out: of.PriceOut = None,
    prices: of.Prices = None,
    max_dollars: of.MaxDollars = None,
    batch: of.Batch = False,
    batch_file: of.BatchFile = None,
    batch_results: of.BatchResults = None,
    engine: of.Engine = "local",
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
    _annotate(locals())


def _annotate(options: dict[str, Any]) -> None:
    from silr.cli.annotate_build import api_annotator, is_behind_server, local_annotator, named_classes

    as_json, table, output = options["as_json"], options["table"], options["output"]
    quiet = options["quiet"] or as_json
    behind_server = is_behind_server(options)
    classes = named_classes(options)
    from silr.io.engines import ENGINES, VLLM, check_engine
    from silr.io.pieces import is_in_pieces

    check_engine(options["engine"], in_pieces=is_in_pieces(table), known=(*ENGINES, VLLM))
    if is_in_pieces(table):
        from silr.cli.annotate_pieces import annotate_in_pieces

        annotate_in_pieces(options, classes, behind_server)
        return
    _check_table(table, output, options["text_column"])
    from silr.annotators.self_refine import SelfRefineAnnotator
    from silr.annotators.table import annotate_file
    from silr.cli.annotate_batch import Batches
    from silr.cli.annotate_embeddings import check_embeddings, fetch_embeddings
    from silr.cli.annotate_summary import lines, values

    check_embeddings(options, behind_server)
    if options["dry_run"]:
        from silr.cli.annotate_dry_run import print_dry_run

        print_dry_run(options, classes)
        return
    api = api_annotator(options, classes, quiet) if behind_server else None
    chosen = api or local_annotator(options, classes)
    asking = SelfRefineAnnotator(chosen) if options["strategy"] == "self-refine" else chosen
    batches = Batches(options, asking, api, quiet)
    if batches.has_only_files:
        print(batches.written(as_json)) if as_json or not quiet else None
        return
    named = {"text_column": options["text_column"], "save_features": options["features"], "name": options["name"]}
    done = annotate_file(table, output, batches.annotator, quiet=quiet, **named)
    batches.finish()
    embedded = fetch_embeddings(options, done, api, quiet)
    if as_json:
        print(json.dumps({**values(done, api), **batches.values(), **embedded.values()}))
    elif not quiet:
        print("\n".join([*lines(done, api), *batches.lines(), *embedded.lines()]))
    if embedded.problem is not None:
        raise InputError(embedded.problem)


def _check_table(table: Path, output: Path, column: str) -> None:
    """Refuse a wrong table before a model is loaded."""
    from silr.io.corpus import features_path, read_table, text_column

    text_column(read_table(table), column, table)
    features_path(output)
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} does not exist")
