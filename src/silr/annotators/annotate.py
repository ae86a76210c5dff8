"""The function `silr.annotate`: an LLM on this machine or behind a server labels texts."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from silr.annotators.base import Annotator, cost_of
from silr.annotators.build import make_annotator
from silr.annotators.columns import column, own_columns
from silr.annotators.cost import Cost
from silr.annotators.embed import check_states
from silr.annotators.table import annotate_file
from silr.errors import InputError
from silr.io.cells import is_missing
from silr.io.codebook import Codebook
from silr.io.corpus import SCORE_PREFIX, read_table, write_table
from silr.io.hub_tables import local_table
from silr.io.pieces import is_in_pieces


def annotate(
    source: str | Path | pd.DataFrame | Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    model: str | Path | None = None,
    base_url: str | None = None,
    question: str | None = None,
    codebook: Codebook | str | Path | None = None,
    annotator: Annotator | None = None,
    embeddings: str | None = None,
    embeddings_url: str | None = None,
    embeddings_dimensions: int | None = None,
    output: str | Path | None = None,
    text_column: str = "text",
    batch: bool = False,
    quiet: bool = True,
    name: str = "",
    **options: Any,
) -> pd.DataFrame:
    """Let an LLM label every text.

    Parameters
    ----------
    source : str, Path, DataFrame or sequence of str
        A table as a file or in memory, or texts.
    classes : sequence of str
        The classes to choose from.
    model : str or Path
        With `base_url` the server's name for the model; else a model folder, a ``.gguf`` file or a hub name.
    base_url : str, default None
        An OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``. Its key is in ``OPENAI_API_KEY``. None: the
        model runs on this machine.
    question : str, default None
        Asked about every text, such as "Is this review positive or negative?".
    codebook : Codebook, str or Path, default None
        The question and the classes with definitions and examples, also as a YAML file. Then `classes` and `question`
        may be left out.
    annotator : Annotator, default None
        Anything else that scores texts, in the place of `classes`, `model`, `base_url`, `question`, `codebook` and
        `options`.
    embeddings : str, default None
        A model of the server: its embeddings of the texts go beside `output`, as features of `silr.LabelRefiner`.
    embeddings_url : str, default None
        The server of `embeddings`. None: `base_url`.
    embeddings_dimensions : int, default None
        The width of `embeddings`, of models that have several. None: the model's own.
    output : str or Path, default None
        Where the table goes as a file, with the hidden states of a local model beside it; an interrupted call goes on
        where it stopped. None: nothing is kept.
    text_column : str, default "text"
        Of a table.
    batch : bool, default False
        With `base_url`: send the questions as batches, which are answered within 24 hours at half the price. Needs
        `output`, beside which the batches under way are kept: an interrupted call goes on.
    quiet : bool, default True
        Show no progress.
    name : str, default ""
        Of the LLM, where several label one table: the columns are ``llm_label_NAME`` and so on, beside those of others.
    **options
        On this machine those of `silr.annotators.local.LocalAnnotator`. Behind a server those of
        `silr.annotators.api.annotator.ApiAnnotator` (``samples``, ``concurrency``, ``examples``), of
        `silr.annotators.api.client.ChatClient` (``api_version``, ``max_requests``, ``max_dollars``, ``timeout``), of
        `silr.annotators.api.request.RequestOptions` (``temperature``, ``reasoning_effort``, ``service_tier``,
        ``extra_body``, ``headers``, ``max_answer_tokens``), of `silr.annotators.api.prices.price_of` (``price_in``,
        ``price_out``, ``prices``), and ``cache``, a path.

    Returns
    -------
    DataFrame
        The table, row for row, its other columns as they were: with ``llm_label``, ``llm_score_<class>`` where the LLM
        gives scores, ``llm_confidence`` and ``llm_reason`` where they are asked for, and ``llm_missing`` where a text
        has no label.

    Raises
    ------
    InputError
        There is no model or no class, an option is unknown, the model or the server cannot be used, the table cannot be
        read, or an extra of silr is missing.

    Examples
    --------
    A model behind a server, and one on this machine:

    >>> texts = ["What a lovely film.", "I want my money back."]
    >>> server = "https://api.openai.com/v1"
    >>> annotate(texts, ["negative", "positive"], model="gpt-5-mini", base_url=server)  # doctest: +SKIP
    >>> options = {"reasoning_effort": "minimal", "max_requests": 1000}
    >>> annotate(texts, ["negative", "positive"], model="gpt-5-mini", base_url=server, **options)  # doctest: +SKIP
    >>> annotate("reviews.csv", ["negative", "positive"], model="Qwen/Qwen3-4B", output="out.csv")  # doctest: +SKIP

    Any object with the methods of `silr.annotators.base.Annotator` labels texts too:

    >>> import numpy as np
    >>> from silr import annotate
    >>> from silr.annotators.base import Plan
    >>> class Keyword:
    ...     classes, n_features = ("negative", "positive"), 0
    ...     def plan(self, texts):
    ...         return Plan([np.arange(len(texts))], [len(texts)], np.zeros(len(texts), bool))
    ...     def score_batches(self, batches):
    ...         for number, texts in enumerate(batches):
    ...             p = np.array([0.9 if "lovely" in text else 0.2 for text in texts])
    ...             scores = np.log(np.column_stack([1 - p, p])).astype(np.float32)
    ...             yield number, scores, np.empty((len(texts), 0), np.float16)
    ...     def describe(self):
    ...         return {"kind": "keyword"}
    >>> annotate(texts, annotator=Keyword())["llm_label"].tolist()
    ['positive', 'negative']
    """
    if isinstance(source, (str, Path)) and is_in_pieces(source):
        raise InputError(f"{source} is a table in pieces: use silr.annotators.pieces.annotate_pieces, or silr annotate")
    if embeddings is not None:
        _check_embeddings(annotator is None and base_url is None, output, name)
    if annotator is None:
        if (classes is None and codebook is None) or model is None:
            raise InputError("annotate needs classes and a model, or an annotator")
        if batch and (base_url is None or output is None):
            raise InputError("batch needs base_url and output")
        if codebook is not None:
            options["codebook"] = codebook if isinstance(codebook, Codebook) else Codebook.read(codebook)
        annotator = make_annotator(classes, model, base_url, question, options, batch=batch)
    elif options:
        raise InputError(f"annotate: {next(iter(options))} is no option of an annotator that is made already")

    frame = source if isinstance(source, pd.DataFrame) else None
    if frame is None and not isinstance(source, (str, Path)):
        frame = pd.DataFrame({text_column: list(source)}, dtype=object)
    with TemporaryDirectory() as folder:
        path = local_table(source) if isinstance(source, (str, Path)) else Path(folder) / "texts.parquet"
        target = Path(folder) / "labelled.parquet" if output is None else Path(output)
        if frame is not None:
            write_table(frame, path)
        keep = output is not None
        done = annotate_file(
            path, target, annotator, text_column=text_column, save_features=keep, quiet=quiet, name=name
        )
        if done.unwritten is not None:
            warnings.warn(done.kept_table(), stacklevel=2)
            return _with_annotation(done.unwritten if frame is None else frame, done.unwritten, name)
        if embeddings is not None:
            url = base_url if embeddings_url is None else embeddings_url
            wanted = _of_embeddings(options, annotator, embeddings_dimensions, embeddings_url is None)
            _embed(target, embeddings, url, wanted, text_column, quiet)
        annotated = read_table(target)
    return _with_annotation(annotated if frame is None else frame, annotated, name)


def _check_embeddings(is_local: bool, output: str | Path | None, name: str) -> None:
    if output is None:
        raise InputError("embeddings go beside the table: give its output")
    if is_local:
        raise InputError("embeddings go with base_url; a model on this machine gives its hidden states itself")
    if name:
        check_states(output)


def _of_embeddings(
    options: dict[str, Any], annotator: Annotator, dimensions: int | None, is_same_server: bool
) -> dict[str, Any]:
    """The options of the labels that hold for their embeddings, too, and what the labels left of the budget."""
    names = ("cache", "timeout", "concurrency", "rpm", "tpm", *(("headers", "api_version") if is_same_server else ()))
    wanted = {name: options[name] for name in names if name in options} | {"dimensions": dimensions}
    cost = cost_of(annotator) or Cost()
    for name, spent in (("max_requests", cost.requests), ("max_tokens_total", cost.tokens)):
        if options.get(name) is not None:
            wanted[name] = max(0, options[name] - spent)
    return wanted


def _embed(table: Path, model: str, url: str | None, wanted: dict[str, Any], text_column: str, quiet: bool) -> None:
    from silr.annotators.api.cache import AnswerCache
    from silr.annotators.api.embeddings import EmbeddingsClient
    from silr.annotators.api.vectors import VectorCache
    from silr.annotators.embed import embed_file

    path = wanted.pop("cache", None)
    path = path.path if isinstance(path, AnswerCache) else path
    client = EmbeddingsClient(model, VectorCache(None if path is None else Path(path)), base_url=url, **wanted)
    embed_file(table, client, text_column=text_column, quiet=quiet)


def _with_annotation(frame: pd.DataFrame, annotated: pd.DataFrame, name: str) -> pd.DataFrame:
    """A table with the annotation's columns: labels and reasons as text or None, numbers as numbers."""
    frame = frame.drop(columns=own_columns(frame.columns, name))
    for own in own_columns(annotated.columns, name):
        values = annotated[own].to_numpy(dtype=object)
        if own.startswith(SCORE_PREFIX) or own == column("confidence", name):
            frame[own] = pd.to_numeric(values).astype("float64")
        else:
            labels = [None if is_missing(value) else value or None for value in values]
            frame[own] = pd.Series(labels, index=frame.index, dtype=object)
    return frame
