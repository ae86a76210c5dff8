"""An exported folder, read again: texts to class probabilities."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.export.frozen import ORDER, PIPELINE, STATIC, WORDS
from silr.extras import need_models, needs
from silr.hf.devices import best_device
from silr.hf.fingerprint import check
from silr.hf.models import explain_load_errors, silence_transformers

Score = Callable[[Sequence[str]], NDArray[np.float64]]
BATCH = 32
SAVED = "api-*.json"  # records of embeddings of a server


def read_folder(folder: Path, device: str | None, role: str) -> tuple[list[str], Score]:
    """Classes of an exported folder, and what gives texts their probabilities, shape (n, K), or InputError."""
    if (folder / PIPELINE).is_file():
        return _sklearn(folder, role)
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


def _sklearn(folder: Path, role: str) -> tuple[list[str], Score]:
    with needs("export", f"{role} {folder}"):
        from skops import io
    with explain_load_errors(str(folder)):
        model: Any = io.load(folder / PIPELINE)
    classes = [str(name) for name in model.classes_]
    if hasattr(model, "steps"):
        return classes, lambda texts: model.predict_proba(list(texts))
    kinds = json.loads((folder / ORDER).read_bytes()) if (folder / ORDER).is_file() else ["sentence-transformers"]
    readers: dict[str, Callable[[list[str]], Any]] = {}
    if (folder / "modules.json").is_file():
        from silr.features.sentence import SentenceFeatures

        readers["sentence-transformers"] = SentenceFeatures(str(folder)).transform
    if (folder / STATIC).is_dir():
        from silr.features.static import StaticFeatures

        readers["static"] = StaticFeatures(str(folder / STATIC)).transform
    if (folder / WORDS).is_file():
        with explain_load_errors(str(folder)):
            readers["tfidf"] = io.load(folder / WORDS).transform
    for path in folder.glob(SAVED):
        from silr.features.api import read_saved

        readers[path.name] = read_saved(path).transform
    if any(kind not in readers for kind in kinds):
        raise InputError(f"{role} {folder} reads features that texts alone have not; give the run directory itself")
    return classes, lambda texts: model.predict_proba(np.hstack([readers[kind](list(texts)) for kind in kinds]))
