"""The model under a classifier, as its own files describe it: its name on the hub, revision and licence."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from silr.errors import InputError
from silr.features.encoders import MODEL as MINILM
from silr.hf.hub import answers
from silr.io.files import Json
from silr.io.hub import hub_errors

README = "README.md"
LICENSE_FILE = re.compile(r"licen[cs]e|notice|copying", re.IGNORECASE)  # how the names of licences' texts begin
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
IN_CACHE = re.compile(r"models--([\w.-]+?)--([\w.-]+)/snapshots/([0-9a-f]{40})")
PATIENCE = 3.0  # seconds for the hub to say a model's licence


@dataclass(frozen=True)
class BaseModel:
    """What is known of a model; None and empty where its files do not say it."""

    name: str | None = None  # as its makers call it, never a path
    revision: str | None = None  # commit on the hub
    license: str | None = None
    files: list[Path] = field(default_factory=list)  # texts of its licence

    @property
    def hub_id(self) -> str | None:
        """OWNER/NAME on the hub."""
        return self.name if self.name and HUB_ID.fullmatch(self.name) else None

    def __str__(self) -> str:
        revision = f" (revision {self.revision})" if self.revision else ""
        return f"{self.name or 'a local model whose files do not say its name'}{revision}"


def base_model(given: str) -> BaseModel:
    """Describe a model folder, a GGUF file, or a name on the hub."""
    path = Path(given)
    if path.suffix == ".gguf" and path.is_file():
        return _of_gguf(path)
    if path.is_dir():
        return _of_folder(path)
    return _of_hub(given) if HUB_ID.fullmatch(given) else BaseModel(None if path.is_absolute() else given)


def _of_folder(folder: Path) -> BaseModel:
    metadata, heading = read_card(folder / README)
    files = sorted(path for path in folder.iterdir() if path.is_file() and LICENSE_FILE.match(path.name))
    license_id = _license(metadata)
    if cached := IN_CACHE.search(folder.absolute().as_posix()):
        owner, name, revision = cached.groups()
        return BaseModel(f"{owner}/{name}", revision, license_id, files)
    if heading == MINILM.partition("/")[2] and metadata.get("library_name") == "sentence-transformers":
        heading = MINILM  # this card leaves the owner out
    name = heading if heading and not re.search(r"\s", heading) else _name_in_config(folder)
    return BaseModel(name, None, license_id, files)


def _name_in_config(folder: Path) -> str | None:
    """The name on the hub that a configuration was read from, if it says one."""
    try:
        name = json.loads((folder / "config.json").read_bytes()).get("_name_or_path")
    except (OSError, ValueError, AttributeError):
        return None
    return name if isinstance(name, str) and HUB_ID.fullmatch(name) and not Path(name).exists() else None


def _of_gguf(path: Path) -> BaseModel:
    from silr.hf.gguf_config import read_gguf

    metadata = read_gguf(path).metadata
    of_hub = re.search(r"huggingface\.co/([\w.-]+/[\w.-]+)", str(metadata.get("general.base_model.0.repo_url")))
    name = of_hub[1] if of_hub else metadata.get("general.name")
    return BaseModel(name and str(name), None, metadata.get("general.license"))


def _of_hub(name: str) -> BaseModel:
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    at, said = try_to_load_from_cache(name, "config.json"), None
    here = IN_CACHE.search(Path(at).as_posix()) if isinstance(at, str) else None
    card = try_to_load_from_cache(name, README)
    if isinstance(card, str):
        said = _license(read_card(Path(card))[0])
    if said is None and not constants.HF_HUB_OFFLINE and answers(constants.ENDPOINT, PATIENCE):
        with suppress(InputError), hub_errors(name):  # refused: then its licence is unknown
            data: Any = HfApi().model_info(name, timeout=PATIENCE).card_data
            said = _license(data.to_dict() if data else {})
    return BaseModel(name, here and here[3], said)


def _license(metadata: Json) -> str | None:
    said = metadata.get("license_name") if metadata.get("license") == "other" else metadata.get("license")
    if isinstance(said, list):
        said = said[0] if len(said) == 1 else " and ".join(map(str, said))
    return str(said) if said else None


def read_card(path: Path) -> tuple[Json, str | None]:
    """The metadata on top of a model card, and its first heading."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}, None
    block = re.match(r"\s*---\n(.*?)\n---\s*\n", text, re.DOTALL)
    try:
        metadata = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError:
        metadata = {}
    heading = re.search(r"^# +(.+?)\s*$", text[block.end() :] if block else text, re.MULTILINE)
    return metadata if isinstance(metadata, dict) else {}, heading[1] if heading else None
