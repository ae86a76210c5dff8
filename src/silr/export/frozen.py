"""A head on frozen features as a scikit-learn pipeline, kept by skops: no pickle, and only types that skops trusts."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from silr.classifiers.linear import FeatureClassifier
from silr.errors import InputError
from silr.export.card import Parts
from silr.export.embeddings import Asked
from silr.extras import needs
from silr.features.joined import JoinedFeatures
from silr.features.sentence import SentenceFeatures
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.hf.models import silence_transformers
from silr.io.files import atomic_write, write_json

if TYPE_CHECKING:
    from silr.refine.label_refiner import LabelRefiner

PIPELINE, WORDS, ORDER, STATIC = "model.skops", "tfidf.skops", "features.json", "static"
READ = f'from pathlib import Path\n\nfrom skops.io import load\n\nmodel = load(Path(DIR) / "{PIPELINE}")\n'
TEXTS = '["a text", "another"]'
ANY_LENGTH, PREDICT = "It reads plain texts of any length.", "`silr predict` reads texts"
ENCODERS = ("sentence-transformers", "static")  # kinds that lie in the folder
ENCODE_STATIC = f'StaticModel.from_pretrained(Path(DIR) / "{STATIC}").encode({{texts}}, max_length=None)'
HIDDEN_STATES = "the run reads hidden states of the annotator, which no standard pipeline computes"


def write_frozen(refiner: LabelRefiner, folder: Path) -> Parts:
    """Write ``model.skops``, and the sentence encoder beside it where there is one, into an existing folder."""
    with needs("export", "the export of a run with frozen features"):
        from skops import io
    features: Any = getattr(refiner, "features_", None)
    model = sklearn_head(refiner.classifier_, refiner.classes_)
    if isinstance(features, TfidfFeatures):
        model = make_pipeline(sklearn_tfidf(features), model)
    with atomic_write(folder / PIPELINE) as file:
        file.write(io.dumps(model))
    if isinstance(features, TfidfFeatures):
        return Parts("sklearn", f"{READ}model.predict({TEXTS})", None, ANY_LENGTH)
    if isinstance(features, SentenceFeatures):
        usage = f"{_encoder_import(features, folder)}{READ}model.predict(SentenceTransformer(DIR).encode({TEXTS}))"
        return Parts("sentence-transformers", usage, features.record["model"], _limit(features))
    if isinstance(features, StaticFeatures):
        write_json(folder / ORDER, [features.record["kind"]])
        usage = f"{_static_import(features, folder)}{READ}model.predict({ENCODE_STATIC.format(texts=TEXTS)})"
        return Parts("model2vec", usage, features.record["model"], ANY_LENGTH)
    if isinstance(features, JoinedFeatures):
        return _joined(features, folder)
    if (asked := Asked.of(features, folder)) is not None:
        write_json(folder / ORDER, [asked.file])
        usage = f"{asked.imports}{READ}texts = {TEXTS}\nmodel.predict({asked.call})"
        return Parts("sklearn", usage, None, asked.reads, [asked.note])
    width = f"shape (n, {refiner.n_features_in_})"
    note = f"the run was made from features, not from texts: {PIPELINE} reads the same features, {width}"
    if features is not None and features.record["annotator"] is not None:
        note = f"{HIDDEN_STATES}: {PIPELINE} reads them from `silr annotate`'s .features.npy, {width}; {PREDICT}"
    reads = f"It reads features of {width}, made as the run's were."
    return Parts("sklearn", f"{READ}model.predict(features)", None, reads, [note])


def _joined(features: JoinedFeatures, folder: Path) -> Parts:
    """Write what the parts need; the head reads them side by side."""
    from skops import io

    kinds = [part.record["kind"] for part in features.parts]
    if twice := next((kind for kind in ENCODERS if kinds.count(kind) > 1), None):
        raise InputError(f"an export holds one {twice} model, and this run has {kinds.count(twice)}; {PREDICT}")

    blocks, imports, library, base, notes = [], "import numpy as np\n", "sklearn", None, []
    reads, order = ANY_LENGTH, []
    for part in features.parts:
        asked = Asked.of(part, folder)
        order.append(part.record["kind"] if asked is None else asked.file)
        if asked is not None:
            imports += asked.imports
            blocks.append(asked.call)
            notes.append(asked.note)
            reads = asked.reads
        elif isinstance(part, TfidfFeatures):
            with atomic_write(folder / WORDS) as file:
                file.write(io.dumps(sklearn_tfidf(part)))
            blocks.append(f'load(Path(DIR) / "{WORDS}").transform(texts)')
        elif isinstance(part, SentenceFeatures):
            imports += _encoder_import(part, folder)
            blocks.append("SentenceTransformer(DIR).encode(texts)")
            library, base, reads = "sentence-transformers", part.record["model"], _limit(part)
        elif isinstance(part, StaticFeatures):
            imports += _static_import(part, folder)
            blocks.append(ENCODE_STATIC.format(texts="texts"))
            library, base = ("model2vec", part.record["model"]) if base is None else (library, base)
        else:
            blocks.append("features")
            reads = "It reads plain texts, and features of them that are made as the run's were."
            notes.append(f"{HIDDEN_STATES}: `features` are those of `silr annotate`'s .features.npy; {PREDICT}")
    usage = f"{imports}{READ}texts = {TEXTS}\nmodel.predict(np.hstack([{', '.join(blocks)}]))"
    write_json(folder / ORDER, order)
    return Parts(library, usage, base, reads, notes)


def _encoder_import(features: SentenceFeatures, folder: Path) -> str:
    with silence_transformers():
        features.encoder.save(str(folder), create_model_card=False)
    return "from sentence_transformers import SentenceTransformer\n"


def _static_import(features: StaticFeatures, folder: Path) -> str:
    features.model.save_pretrained(folder / STATIC)
    return "from model2vec import StaticModel\n"


def _limit(features: SentenceFeatures) -> str:
    most = features.encoder.max_seq_length
    return f"It reads plain texts, up to {most:,} tokens; the end of longer ones is not read."


def sklearn_head(
    classifier: FeatureClassifier, classes: NDArray[np.generic]
) -> LogisticRegression | MLPClassifier | Pipeline:
    """The fitted head with the same `predict_proba`, standardisation and offsets worked in; `classes` are sorted."""
    layers, (mean, scale) = classifier.layers(), classifier.moments()
    weights, biases = [weight for weight, _ in layers], [bias.copy() for _, bias in layers]
    weights[0] = weights[0] * scale
    biases[0] -= weights[0] @ mean
    offsets = classifier.offsets_
    biases[-1] += offsets[1] - offsets[0] if len(offsets) == 2 else offsets
    example = np.random.default_rng(0).normal(size=(len(classes), len(mean)))  # a fit makes what `predict` looks for
    if len(weights) == 1:
        linear = LogisticRegression(max_iter=1)
        _quietly(linear, example, classes)
        linear.coef_, linear.intercept_ = weights[0], biases[0]
        return linear
    layered = MLPClassifier(len(biases[0]), max_iter=1, random_state=0)
    _quietly(layered, example, classes)
    del layered._optimizer  # of no use for predictions, and of a type that skops does not trust
    layered.coefs_, layered.intercepts_ = [weight.T for weight in weights], biases
    return layered


def sklearn_tfidf(features: TfidfFeatures) -> FeatureUnion:
    """The TF-IDF features as a fitted union of pipelines over texts."""
    pipelines = []
    for unit, kind in features.kinds.items():
        projection = TruncatedSVD(len(kind.components), random_state=0)
        projection.components_, projection.n_features_in_ = kind.components, kind.components.shape[1]
        pipelines.append((unit, make_pipeline(kind.vectorizer, projection)))
    return FeatureUnion(pipelines)


def _quietly(estimator: BaseEstimator, X: NDArray[np.float64], y: NDArray[np.generic]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, and need not
        estimator.fit(X, y)
