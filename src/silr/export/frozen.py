"""A head on frozen features as a scikit-learn pipeline, kept by skops: no pickle, and only types that skops trusts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from silr.classifiers.linear import FeatureClassifier
from silr.export.blocks import ANY_LENGTH, Block, sklearn_tfidf, write_block
from silr.export.card import Parts
from silr.export.requirements import SKLEARN
from silr.extras import needs
from silr.features.joined import JoinedFeatures
from silr.features.tfidf import TfidfFeatures
from silr.io.files import atomic_write, write_json

PIPELINE, ORDER = "model.skops", "features.json"
READ = f'from pathlib import Path\n\nfrom skops.io import load\n\nmodel = load(Path(DIR) / "{PIPELINE}")\n'
TEXTS = '["a text", "another"]'
SILR = f"import silr\n\nmodel = silr.load(DIR)\nmodel.predict({TEXTS})"


def parts_of(features: Any) -> list[Any]:
    """The kinds of features, of which there may be several; none of a run that was made from a matrix."""
    if features is None:
        return []
    return list(features.parts) if isinstance(features, JoinedFeatures) else [features]


def write_frozen(classifier: FeatureClassifier, classes: NDArray[np.generic], features: Any, folder: Path) -> Parts:
    """Write ``model.skops``, and beside it what computes the features of texts, into an existing folder."""
    with needs("export", "the export of a run with frozen features"):
        from skops import io
    model = sklearn_head(classifier, classes)
    alone = isinstance(features, TfidfFeatures)
    if alone:
        model = make_pipeline(sklearn_tfidf(features), model)
    with atomic_write(folder / PIPELINE) as file:
        file.write(io.dumps(model))
    if alone:
        return Parts("sklearn", f"{READ}model.predict({TEXTS})", None, ANY_LENGTH, packages=SKLEARN)
    blocks = [write_block(part, folder) for part in parts_of(features)]
    write_json(folder / ORDER, [block.entry for block in blocks])
    return _parts(blocks)


def write_head(classifier: FeatureClassifier, classes: NDArray[np.generic], file: Path) -> str:
    """Write a head alone, for features that texts alone have not; returns what it reads, as a clause."""
    with needs("export", "the export of a run with frozen features"):
        from skops import io
    with atomic_write(file) as opened:
        opened.write(io.dumps(sklearn_head(classifier, classes)))
    return f"{file.name} reads features made as the run's were, shape (n, {len(classifier.moments()[0])})"


def head_alone(reason: str, reads: str) -> Parts:
    """What the card says of a folder with ``model.skops`` alone; the reason is why it does not read texts."""
    note = f"the folder does not read texts: {reason}; {reads}"
    return Parts("sklearn", f"{READ}model.predict(features)", None, f"{reads}.", [note], packages=SKLEARN)


def _parts(blocks: Sequence[Block]) -> Parts:
    """What the card says of a head on kinds of features side by side."""
    named = next((block for block in blocks if block.library != "sklearn"), blocks[0])
    base = next((block.base for block in blocks if block.base is not None), None)
    limited = next((block.reads for block in blocks if block.reads != ANY_LENGTH), ANY_LENGTH)
    packages = (*SKLEARN, *(name for block in blocks for name in block.packages))
    notes = [block.note for block in blocks if block.note is not None]
    if any(not block.call for block in blocks):
        return Parts("sklearn", SILR, base, limited, notes, packages=packages)
    imports = "".join(dict.fromkeys(block.imports for block in blocks))
    matrix = blocks[0].call
    if len(blocks) > 1:
        imports, matrix = f"import numpy as np\n{imports}", f"np.hstack([{', '.join(block.call for block in blocks)}])"
    usage = f"{imports}{READ}texts = {TEXTS}\nmodel.predict({matrix})"
    return Parts(named.library, usage, base, limited, notes, packages=packages)


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


def _quietly(estimator: BaseEstimator, X: NDArray[np.float64], y: NDArray[np.generic]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, and need not
        estimator.fit(X, y)
