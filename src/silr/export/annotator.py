"""The annotator whose hidden states a run reads, in an exported folder: its prompt, and its weights where they fit.

Weights of a model on this machine are copied. A model of the hub is named with its revision.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from silr.annotators.feature_blocks import KEY
from silr.errors import InputError
from silr.hf.fingerprint import check, fingerprint
from silr.io.files import Json, read_json, write_json

DESCRIPTION = "annotator.json"
REVISION = "revision"  # of a model of the hub
HEAVIEST = 2**30  # bytes of weights that are carried
COPIED = (".safetensors", ".json", ".txt", ".model", ".jinja")
LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "COPYING*")
# what a description says of the hidden states
KEPT = (
    *("kind", "weights", "tokenizer", "classes", "question", "prompt", "opening", "class_words", "examples"),
    *("codebook", "thinking", "dtype", KEY),
)


def heavy(about: Json) -> str | None:
    """Why an annotator cannot be carried, by its description; None if it can be."""
    name = Path(str(about["model"])).name
    if about.get("trust_remote_code"):
        return f"the annotator {name} brings Python code of its own, which an export does not carry"
    try:
        weights = _weights(about)
    except InputError:
        return f"the annotator {name} is no longer on this machine where it was"
    if not weights:
        return f"the weights of the annotator {name} are no safetensors files"
    size = sum(path.stat().st_size for path in weights)
    if size > HEAVIEST:
        return f"the annotator {name} has {size / 2**30:.1f} GiB of weights, and {HEAVIEST / 2**30:.0f} GiB is the most"
    return None


def write_annotator(about: Json, folder: Path) -> None:
    """Write what `read_annotator` needs into a new folder: the description, and the weights of a local model.

    Raises
    ------
    InputError
        The model is another one than annotated the corpus.
    """
    folder.mkdir()
    kept: Json = {name: about[name] for name in KEPT if name in about}
    kept |= {"calibrate": None, "trust_remote_code": False, "model": "."}  # scores are of no interest
    if Path(str(about["model"])).exists():
        _copy(_source(about), folder)
        copy_licences(Path(str(about["model"])), folder)
    else:
        kept |= {"model": about["model"], REVISION: fingerprint(str(about["model"]))}
    write_json(folder / DESCRIPTION, kept)
    try:
        read_annotator(folder, "cpu")
    except InputError as error:
        where = f"the annotator {about['model']}"
        raise InputError(
            f"{where} cannot be exported: {str(error).replace(str(folder), str(about['model']))}"
        ) from error


def read_annotator(folder: Path, device: str | None) -> Callable[[Sequence[str]], NDArray[np.float16]]:
    """The hidden states of texts, shape (n, d), by the annotator in a folder; InputError if it is another one now."""
    from silr.annotators.local import LocalAnnotator

    about = read_json(folder / DESCRIPTION)
    revision = about.pop(REVISION, None)
    if about["model"] == ".":
        about["model"] = str(folder)
    check(about["model"], revision)
    annotator = LocalAnnotator.from_description(about, device=device)
    return lambda texts: annotator.annotate(texts).features


def copy_licences(model: Path, folder: Path) -> None:
    """Copy the licence files of a model folder, or of the folder that a model's file lies in; none of a hub's name."""
    if not model.exists():
        return
    where = model if model.is_dir() else model.parent
    for path in sorted({path for pattern in LICENCES for path in where.glob(pattern) if path.is_file()}):
        shutil.copyfile(path, folder / path.name)


def _weights(about: Json) -> list[Path]:
    """The files with a model's weights; that of a large model in GGUF form is not converted first."""
    model = Path(str(about["model"]))
    if model.is_file() and model.stat().st_size > HEAVIEST:
        return [model]
    return sorted(_source(about).glob("*.safetensors"))


def _source(about: Json) -> Path:
    """The folder of the model's files; InputError if they are not on this machine."""
    from huggingface_hub import try_to_load_from_cache

    from silr.hf.models import folder_of, locate

    model = locate(str(about["model"]))
    if Path(model).exists():
        return Path(folder_of(model, str(about["dtype"])))
    cached = try_to_load_from_cache(model, "config.json")
    if not isinstance(cached, str):
        raise InputError(f"the model {model} is not in the hub's cache")
    return Path(cached).parent


def _copy(source: Path, folder: Path) -> None:
    """Copy a model's files; `silr.export.complete` drops the places where somebody had them."""
    for path in sorted(source.iterdir()):
        if path.suffix in COPIED and path.is_file():
            shutil.copyfile(path, folder / path.name)
