"""The kinds of features of an exported folder: what lies in it, and the lines of Python that compute them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import FeatureUnion, make_pipeline

from silr.export.annotator import copy_licences, heavy, write_annotator
from silr.export.embeddings import Asked
from silr.features.file import FileFeatures, server_of
from silr.features.sentence import SentenceFeatures
from silr.features.static import StaticFeatures
from silr.features.tfidf import TfidfFeatures
from silr.hf.models import silence_transformers
from silr.io.files import atomic_write

WORDS, STATIC, ENCODER, ANNOTATOR = "tfidf.skops", "static", "encoder", "annotator"
ANY_LENGTH = "It reads plain texts of any length."
UNKNOWN = "its features are a .npy file, and nothing says how new texts get theirs"


@dataclass(frozen=True)
class Block:
    """One kind of features in a folder."""

    entry: str  # in features.json
    call: str  # the features of `texts`, as Python
    imports: str = ""
    library: str = "sklearn"  # that the hub knows
    base: str | None = None  # the model under it
    packages: tuple[str, ...] = ()  # that are needed beside scikit-learn
    reads: str = ANY_LENGTH
    note: str | None = None


def why_not(parts: Sequence[Any]) -> str | None:
    """Why kinds of features cannot lie in a folder that reads texts, None if they can."""
    for part in parts:
        if not isinstance(part, FileFeatures) or server_of(part) is not None:
            continue
        about = part.record["annotator"]
        if about is None or about.get("kind") != "local":
            return UNKNOWN
        if (reason := heavy(about)) is not None:
            return reason
    return None


def write_block(part: Any, folder: Path) -> Block:
    """Write one kind of features into an existing folder, beside others."""
    if (asked := Asked.of(part, folder)) is not None:
        return Block(asked.file, asked.call, asked.imports, packages=("openai",), reads=asked.reads, note=asked.note)
    if isinstance(part, TfidfFeatures):
        from skops import io

        with atomic_write(folder / WORDS) as file:
            file.write(io.dumps(sklearn_tfidf(part)))
        return Block("tfidf", f'load(Path(DIR) / "{WORDS}").transform(texts)')
    if isinstance(part, SentenceFeatures):
        return _sentence(part, folder)
    if isinstance(part, StaticFeatures):
        name = _free(folder, STATIC)
        part.model.save_pretrained(folder / name)
        copy_licences(Path(part.record["model"]), folder / name)
        call = f'StaticModel.from_pretrained(Path(DIR) / "{name}").encode(texts, max_length=None)'
        base = part.record["model"]
        return Block(name, call, "from model2vec import StaticModel\n", "model2vec", base, ("model2vec",))
    return _annotator(part, folder)


def sklearn_tfidf(features: TfidfFeatures) -> FeatureUnion:
    """The TF-IDF features as a fitted union of pipelines over texts."""
    pipelines = []
    for unit, kind in features.kinds.items():
        projection = TruncatedSVD(len(kind.components), random_state=0)
        projection.components_, projection.n_features_in_ = kind.components, kind.components.shape[1]
        pipelines.append((unit, make_pipeline(kind.vectorizer, projection)))
    return FeatureUnion(pipelines)


def _sentence(features: SentenceFeatures, folder: Path) -> Block:
    """The first encoder is the folder itself, as sentence-transformers reads it."""
    first = not (folder / "modules.json").exists()
    entry = features.record["kind"] if first else _free(folder, ENCODER)
    with silence_transformers():
        features.encoder.save(str(folder if first else folder / entry), create_model_card=False)
    copy_licences(Path(features.record["model"]), folder if first else folder / entry)
    most = features.encoder.max_seq_length
    where = "DIR" if first else f'str(Path(DIR) / "{entry}")'
    return Block(
        entry,
        f"SentenceTransformer({where}).encode(texts)",
        "from sentence_transformers import SentenceTransformer\n",
        "sentence-transformers",
        features.record["model"],
        ("sentence-transformers", "transformers", "torch"),
        f"It reads plain texts, up to {most:,} tokens; the end of longer ones is not read.",
    )


def _annotator(features: FileFeatures, folder: Path) -> Block:
    entry, about = _free(folder, ANNOTATOR), features.record["annotator"]
    write_annotator(about, folder / entry)
    model = str(about["model"])
    where = "in it" if Path(model).exists() else "of the Hugging Face hub"
    note = f"the folder reads texts by the annotator {Path(model).name} {where}, inside the run's prompt"
    packages = ("silr[export,local]", "transformers", "torch")
    reads = "It reads plain texts; the end of texts longer than the annotator's context is not read."
    return Block(entry, "", base=model, packages=packages, reads=reads, note=note)


def _free(folder: Path, name: str) -> str:
    """A name that nothing in the folder has yet."""
    number = 1
    while (folder / (own := name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return own
