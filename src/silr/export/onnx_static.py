"""Static embeddings in a graph: the mean of the vectors of a text's tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.export.onnx_graph import Graph, ints
from silr.export.onnx_source import Source, numbered, save_tokenizer
from silr.features.static import StaticFeatures

LEAST_NORM = 1e-32  # as in model2vec


def add_static(graph: Graph, features: StaticFeatures, weights: NDArray[np.float64], folder: Path) -> Source:
    """The nodes from tokens to what a linear layer makes of the embeddings; the tokenizer goes into `folder`.

    Tokens of all texts come one after another, so that no long text makes others long.
    """
    from tokenizers import Tokenizer

    model = features.model
    tokenizer = Tokenizer.from_str(model.tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    read, number = save_tokenizer(tokenizer, folder)
    name = read.partition(" ")[0]
    ids_name, counts_name, encoded = numbered(["token_ids", "token_counts", "encoded"], number)
    ids, counts = graph.input(ids_name, np.int64, ["tokens"]), graph.input(counts_name, np.int64, ["n"])
    count = graph.size(counts)
    rows = _rows(graph, ids, counts)
    if (unknown := model.unk_token_id) is not None:
        known = graph.add("Not", graph.add("Equal", ids, ints(unknown)))
        ids, rows = (graph.add("Compress", value, known) for value in (ids, rows))
    sums, known_counts = _sums(graph, model, ids, rows, count), _counts(graph, rows, count)
    divisor = graph.add("Unsqueeze", graph.cast(graph.add("Max", known_counts, ints(1)), np.float32), ints(1))
    embeddings = _rounded(graph, graph.add("Div", sums, divisor), model)
    if model.normalize:
        square = graph.add("ReduceSum", graph.add("Mul", embeddings, embeddings), ints(1))
        norm = graph.add("Add", graph.add("Sqrt", square), np.array(LEAST_NORM, np.float32))
        embeddings = _rounded(graph, graph.add("Div", embeddings, norm), model)
    return Source(
        graph.add("MatMul", graph.cast(embeddings, np.float64), weights),
        {
            ids_name: f"np.array([number for each in {encoded} for number in each.ids], np.int64)",
            counts_name: f"np.array([len(each.ids) for each in {encoded}], np.int64)",
        },
        {
            ids_name: "(tokens,), int64 | the token numbers of all texts, one after another, none of them special",
            counts_name: "(n,), int64 | the number of tokens of each text",
        },
        read,
        f"{encoded} = {name}.encode_batch_fast(texts, add_special_tokens=False)",
    )


def _rows(graph: Graph, ids: str, counts: str) -> str:
    """Of each token its text."""
    ends = graph.add("CumSum", counts, np.array(0))
    size = graph.size(ids)
    steps = graph.zeros(graph.add("Add", size, ints(1)), np.int64)  # texts without tokens may end at the end
    ones = graph.add("Expand", ints(1), graph.add("Shape", counts))
    steps = graph.add("ScatterElements", steps, ends, ones, reduction="add")
    rows = graph.add("CumSum", steps, np.array(0))
    return graph.part(rows, 0, -1)


def _sums(graph: Graph, model: object, ids: str, rows: str, count: str) -> str:
    """Weighted sums of the vectors of each text's tokens, float32 of shape (n, d)."""
    vectors, mapping, weights = (getattr(model, name) for name in ("embedding", "token_mapping", "weights"))
    at = ids if mapping is None else graph.add("Gather", np.asarray(mapping, np.int64), ids)
    values = graph.cast(graph.add("Gather", np.asarray(vectors), at), np.float32)
    if weights is not None:
        weight = graph.add("Gather", np.asarray(weights, np.float32), ids)
        values = graph.add("Mul", values, graph.add("Unsqueeze", weight, ints(1)))
    shape = graph.joined(count, ints(np.shape(vectors)[1]))
    places = graph.add("Unsqueeze", rows, ints(1))
    return graph.add("ScatterND", graph.zeros(shape, np.float32), places, values, reduction="add")


def _counts(graph: Graph, rows: str, count: str) -> str:
    ones = graph.add("Expand", ints(1), graph.add("Shape", rows))
    return graph.add("ScatterElements", graph.zeros(count, np.int64), rows, ones, reduction="add")


def _rounded(graph: Graph, values: str, model: object) -> str:
    """Rounded as a model in half precision rounds."""
    if np.asarray(model.embedding[:1]).dtype != np.float16:  # type: ignore[attr-defined]
        return values
    return graph.cast(graph.cast(values, np.float16), np.float32)
