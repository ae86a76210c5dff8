"""What makes an exported folder whole: pinned requirements, the base model's licence, no path of this machine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from silr.export.base_model import base_model
from silr.export.card import Parts
from silr.export.requirements import write_requirements
from silr.io.files import Json, write_json

NAMES = ("_name_or_path", "name_or_path")  # in configurations of transformers: where their model was read from


def add_files(folder: Path, parts: Parts) -> None:
    """Complete a folder that holds the classifier and its card."""
    write_requirements(folder, parts.packages)
    if parts.base_model:
        for file in base_model(parts.base_model).files:
            if not (folder / file.name).exists():  # that of an encoder
                shutil.copyfile(file, folder / file.name)
    for path in folder.rglob("*.json"):
        _forget_paths(path)


def _forget_paths(path: Path) -> None:
    """Drop where a model was read from, of a configuration.

    An adapter's own configuration keeps it: it is how peft finds the model that the adapter sits on.
    """
    if path.name == "adapter_config.json" or path.name.startswith("tokenizer.") or path.name == "vocab.json":
        return
    try:
        values: Json = json.loads(path.read_bytes())
    except ValueError:
        return
    there = [name for name in NAMES if isinstance(values, dict) and os.sep in str(values.get(name, ""))]
    if there:
        write_json(path, {name: value for name, value in values.items() if name not in there})
