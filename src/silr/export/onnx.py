"""A classifier as one ONNX graph, `silr export --onnx`: labels are compared, and the code that uses it lies beside."""

from __future__ import annotations

import runpy
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.classifiers.linear import FeatureClassifier
from silr.errors import InputError
from silr.export.onnx_code import GUIDE, MODULE, guide, module_of
from silr.export.onnx_graph import Graph
from silr.export.onnx_head import Layer, add_head, add_outputs, folded
from silr.export.onnx_source import Source
from silr.extras import needs
from silr.features.file import FileFeatures, server_of
from silr.features.joined import JoinedFeatures
from silr.features.sentence import SentenceFeatures
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.io.words import short

MODEL, WEIGHTS = "model.onnx", "model.onnx.data"
LARGEST = 1_900_000_000  # bytes in one file; the weights of a larger graph lie beside it
NEAR = 1e-4  # probabilities that differ by less are a tie, which rounding may break either way
MOST_TEXTS, MOST_BY_NETWORK = 50_000, 500  # of the corpus, that are compared
STRANGE = [  # texts on which tokenizers differ
    "",
    " \t\n\u3000",
    "a",
    "I \u0130stanbul\u0131 \u0130\u0130",
    "\u039f\u0394\u039f\u03a3 \u03a3\u039f\u03a6\u039f\u03a3. \u03a3 \u03a3\u0391'\u03a3 \u03a3\u0391'",
    "don't can\u2019t_under_score",
    "x\u00b2 \u00bd \u2177 1,000.5",
    "\u01c5 \u00df \u1e9e \ufb01",
    "na\u00efve caf\u00e9 cafe\u0301 \u00c9COLE",
    "\U0001f600\U0001f44d\U0001f3fd good\U0001f600bad",
    "\u4e1c\u4eac \u5f88\u597d",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u05e9\u05dc\u05d5\u05dd",
    "a\x00b\x1c\x85c\u2028d",
    "very " * 300 + "good",
    "x" * 3000,
    "!?" * 200,
]


@dataclass(frozen=True)
class OnnxModel:
    """A graph that labels texts, and what its inputs are made by."""

    graph: Graph
    sources: list[Source]
    classes: list[str]


@dataclass(frozen=True)
class Written:
    """What there is to say of a graph in a folder."""

    note: str  # for the user
    packages: tuple[str, ...]  # that it needs


def write_onnx(classifier: Any, features: Any, classes: Iterable[object], folder: Path, texts: list[str]) -> Written:
    """Write ``model.onnx``, the tokenizers that it needs, and code, into an existing folder.

    Parameters
    ----------
    classifier : FeatureClassifier or FinetunedClassifier
    features : Features or None
        What turns texts into what the classifier reads; None where it was given a matrix.
    classes : iterable
        Names, in the order of the classifier's scores.
    folder : Path
        Where the classifier is fine-tuned, it holds the tokenizer, as `silr.export.finetuned` writes it.
    texts : list of str
        Texts of the corpus, to compare labels on; there may be none.

    Returns
    -------
    Written

    Raises
    ------
    InputError
        The features cannot be part of a graph, a package is missing, or a text gets another label than by silr.
    """
    with needs("onnx", "--onnx"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    names = [str(name) for name in classes]
    is_frozen = isinstance(classifier, FeatureClassifier)
    model = _frozen(classifier, features, names, folder) if is_frozen else _finetuned(classifier, names, folder)
    _save(model.graph, folder)
    (folder / MODULE).write_text(module_of(model.sources, names, MODEL), encoding="utf-8")
    compared = _compare(model, classifier, features, folder, texts)
    (folder / GUIDE).write_text(guide(model.sources, names, MODEL, compared), encoding="utf-8")
    packages = ("onnxruntime", "tokenizers") if any(source.setup for source in model.sources) else ("onnxruntime",)
    return Written(f"{MODEL}: {compared}; {GUIDE} says how to use it", packages)


def _frozen(classifier: FeatureClassifier, features: Any, classes: list[str], folder: Path) -> OnnxModel:
    parts = features.parts if isinstance(features, JoinedFeatures) else [features]
    for part in parts:
        _check(part, alone=len(parts) == 1)
    graph, layers = Graph(), folded(classifier)
    sources, start = [], 0
    for part in parts:
        width = len(layers[0][0]) if len(parts) == 1 else part.transform(["a text"]).shape[1]
        sources.append(_source(graph, part, layers[0][0][start : start + width], folder))
        start += width
    add_outputs(graph, add_head(graph, [source.value for source in sources], layers), _width(layers), classes)
    return OnnxModel(graph, sources, classes)


def _width(layers: Sequence[Layer]) -> int:
    return len(layers[-1][1])


def _check(part: Any, alone: bool) -> None:
    """InputError for features that cannot be part of a graph."""
    if (server := server_of(part)) is not None:
        what = f"embeddings that {server.record['model']} at a server computes"
    elif isinstance(part, FileFeatures) and part.record["annotator"] is not None:
        what = "hidden states of the annotator"
    elif isinstance(part, FileFeatures) and not alone:
        what = "features of a .npy file"
    else:
        return
    raise InputError(
        f"--onnx: the run reads {what}, which cannot be part of a graph; add --distill for a small classifier that can"
    )


def _source(graph: Graph, part: Any, weights: NDArray[np.float64], folder: Path) -> Source:
    """One kind of features as part of the graph; `weights`, shape (d, T), are those of the head's first layer."""
    if isinstance(part, TfidfFeatures):
        from silr.export.onnx_tfidf import add_tfidf

        return add_tfidf(graph, part, weights)
    if isinstance(part, StaticFeatures):
        from silr.export.onnx_static import add_static

        return add_static(graph, part, weights, folder)
    if isinstance(part, SentenceFeatures):
        with needs("local", "--onnx of a sentence encoder"):
            from silr.export.onnx_network import add_sentence

        return add_sentence(graph, part, weights, folder)
    given = graph.input("features", np.float32, ["n", len(weights)])
    shape = f"(n, {len(weights)}), float32 | features made as the run's were"
    return Source(
        graph.add("MatMul", graph.cast(given, np.float64), weights),
        {"features": "np.asarray(features, np.float32)"},
        {"features": shape},
    )


def _finetuned(classifier: Any, classes: list[str], folder: Path) -> OnnxModel:
    from transformers import AutoTokenizer

    from silr.classifiers.finetuned.backbone import output_layer
    from silr.export.onnx_network import add_finetuned

    graph, network = Graph(), classifier.merged()
    source = add_finetuned(graph, network, AutoTokenizer.from_pretrained(folder), folder)
    add_outputs(graph, source.value, output_layer(network).out_features, classes)
    return OnnxModel(graph, [source], classes)


def _save(graph: Graph, folder: Path) -> None:
    import onnx

    size = sum(len(constant.raw_data) for constant in graph.constants)
    onnx.save_model(graph.model(), folder / MODEL, save_as_external_data=size > LARGEST, location=WEIGHTS)


def _compare(model: OnnxModel, classifier: Any, features: Any, folder: Path, texts: list[str]) -> str:
    """Label texts by the folder's own code and by silr; the result in words, or InputError where labels differ."""
    predict: Callable[[Any], Any] = runpy.run_path(str(folder / MODULE))["predict"]
    if "features" in model.sources[0].entries:
        mean, scale = classifier.moments()
        rows: Any = np.random.default_rng(0).normal(mean, 1 / scale, (1000, len(mean))).astype(np.float32)
        wanted, compared = classifier.predict_proba(rows), "1,000 random rows of features"
    else:
        most = MOST_BY_NETWORK if any(source.is_network for source in model.sources) else MOST_TEXTS
        own = [texts[row] for row in np.unique(np.linspace(0, len(texts) - 1, min(most, len(texts))).astype(int))]
        rows = own + STRANGE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some texts are too long for the model, as they were for the run
            wanted = classifier.predict_proba(features.transform(rows))
        compared = f"{len(own):,} texts of the corpus and {len(STRANGE)} with rare characters"
        if not own:
            compared = f"{len(STRANGE)} texts with rare characters (the run's corpus is not at hand)"
    labels, _ = predict(rows)
    codes = np.array([model.classes.index(label) for label in labels])
    every = np.arange(len(codes))
    differs = wanted[every, wanted.argmax(axis=1)] - wanted[every, codes] > NEAR
    if differs.any():
        first = f"row {differs.argmax() + 1}" if isinstance(rows, np.ndarray) else repr(short(rows[differs.argmax()]))
        raise InputError(
            f"--onnx: the graph gives {differs.sum():,} of {len(codes):,} texts another label than silr, "
            f"such as {first}; export without --onnx, or refine with other features"
        )
    return f"the same labels as by silr on {compared}"
