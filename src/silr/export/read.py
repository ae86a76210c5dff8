"""An exported folder, read again: texts to class probabilities."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.export.annotator import DESCRIPTION, read_annotator
from silr.export.blocks import ENCODER, STATIC, WORDS
from silr.export.frozen import ORDER, PIPELINE
from silr.extras import need_models, needs
from silr.hf.devices import best_device
from silr.hf.fingerprint import check
from silr.hf.models import explain_load_errors, silence_transformers
from silr.io.files import read_json

Score = Callable[[Sequence[str]], NDArray[np.float64]]
BATCH = 32
SAVED = "api-*.json"  # records of embeddings of a server
ROOT = "sentence-transformers"  # the entry of the encoder that the folder itself is


def read_folder(folder: Path, device: str | None, role: str) -> tuple[list[str], Score]:
    """Classes of an exported folder, and what gives texts their probabilities, shape (n, K), or InputError."""
    if (folder / PIPELINE).is_file():
        return _sklearn(folder, device, role)
    need_models(role)
    return _transformers(folder, device)


def _transformers(folder: Path, device: str | None) -> tuple[list[str], Score]:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    from silr.export.finetuned import BASE_WEIGHTS

    auto: Any = AutoModelForSequenceClassification
    with explain_load_errors(str(folder)), silence_transformers():
        config: Any = AutoConfig.from_pretrained(folder)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        if (folder / "adapter_config.json").is_file():
            from peft import PeftConfig, PeftModel

            name = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
            check(str(name), getattr(config, BASE_WEIGHTS, None))
            base = auto.from_pretrained(name, config=config, dtype=torch.float32)
            network: Any = PeftModel.from_pretrained(base, str(folder))
        else:
            network = auto.from_pretrained(folder, dtype=torch.float32)
    network = network.eval().to(device or best_device())
    names = {int(number): str(name) for number, name in config.id2label.items()}

    def predict(texts: Sequence[str]) -> NDArray[np.float64]:
        order = np.argsort([len(text) for text in texts], kind="stable")
        scores = np.empty((len(texts), len(names)))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            inputs = tokenizer([texts[row] for row in rows], truncation=True, padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = network(**inputs.to(network.device)).logits.double()
            scores[rows] = (logits.sigmoid() if len(names) == 1 else logits.softmax(dim=1)).cpu().numpy()
        return scores

    return [names[number] for number in range(len(names))], predict


def _sklearn(folder: Path, device: str | None, role: str) -> tuple[list[str], Score]:
    with needs("export", f"{role} {folder}"):
        from skops import io
    with explain_load_errors(str(folder)):
        model: Any = io.load(folder / PIPELINE)
    classes = [str(name) for name in model.classes_]
    if hasattr(model, "steps"):
        return classes, lambda texts: model.predict_proba(list(texts))
    entries = [ROOT] if (folder / "modules.json").is_file() else []  # of version 0.1
    if (folder / ORDER).is_file():
        entries = read_json(folder / ORDER)
    if not entries:
        raise InputError(f"{role} {folder} reads features that texts alone have not; give the run directory itself")
    readers = [_reader(folder, entry, device, role) for entry in entries]
    return classes, lambda texts: model.predict_proba(np.hstack([read(list(texts)) for read in readers]))


def _reader(folder: Path, entry: str, device: str | None, role: str) -> Callable[[list[str]], Any]:
    """What computes one kind of features; `entry` is how `silr.export.blocks` named it."""
    if (folder / entry / DESCRIPTION).is_file():
        need_models(role)
        return read_annotator(folder / entry, device)
    if entry == "tfidf" and (folder / WORDS).is_file():
        from skops import io

        with explain_load_errors(str(folder)):
            words: Any = io.load(folder / WORDS)
        return lambda texts: words.transform(texts)
    where = folder if entry == ROOT else folder / entry
    if (where / "modules.json").is_file() and (entry == ROOT or entry.startswith(ENCODER)):
        from silr.features.sentence import SentenceFeatures

        return SentenceFeatures(str(where)).transform
    if entry.startswith(STATIC) and where.is_dir():
        from silr.features.static import StaticFeatures

        return StaticFeatures(str(where)).transform
    if fnmatch(entry, SAVED) and where.is_file():
        from silr.features.api import read_saved

        return read_saved(where).transform
    raise InputError(f"{role} {folder} reads features that texts alone have not; give the run directory itself")
