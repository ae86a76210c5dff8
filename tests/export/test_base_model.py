"""What a model's own files say of it, and never where it lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from silr.export.base_model import BaseModel, base_model
from silr.export.card import without_paths
from silr.export.card_metadata import license_fields


def test_a_folder_says_its_name_and_licence(minilm: str, tmp_path: Path) -> None:
    known = base_model(minilm)
    assert (known.hub_id, known.license) == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")
    card = "---\nlicense: other\nlicense_name: acme-1\n---\n\n# acme/encoder\n\nA model.\n"
    for name, text in (("README.md", card), ("LICENSE.txt", "Acme"), ("notice", "by Acme"), ("config.json", "{}")):
        (tmp_path / name).write_text(text)
    files = [tmp_path / "LICENSE.txt", tmp_path / "notice"]
    assert base_model(str(tmp_path)) == BaseModel("acme/encoder", None, "acme-1", files)


def test_a_folder_that_says_little(tmp_path: Path) -> None:
    assert base_model(str(tmp_path)) == BaseModel() and "local model" in str(BaseModel())
    (tmp_path / "README.md").write_text("# My best model so far\n")
    (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": "acme/small"}))
    assert base_model(str(tmp_path)).name == "acme/small"
    (tmp_path / "config.json").write_text(json.dumps({"_name_or_path": str(tmp_path)}))
    assert base_model(str(tmp_path)).name is None and base_model("/gone/from/here").name is None


def test_a_snapshot_of_the_hub_has_its_revision(tmp_path: Path) -> None:
    folder = tmp_path / "models--acme--small" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    assert str(base_model(str(folder))) == f"acme/small (revision {'a' * 40})"


def test_a_gguf_file(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_name("Acme 1B")
    writer.add_license("apache-2.0")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert base_model(str(tmp_path / "m.gguf")) == BaseModel("Acme 1B", None, "apache-2.0")


def test_settings_without_paths(minilm: str, tmp_path: Path) -> None:
    settings = {"model": minilm, "parts": [{"path": str(tmp_path), "model": "/gone/my models/m"}], "seed": 0}
    settings["prompt"] = "/no_think Is it good? {text}"
    clean = without_paths(settings)
    assert clean["model"] == "sentence-transformers/all-MiniLM-L6-v2" and clean["prompt"] == settings["prompt"]
    assert clean["parts"] == [{"path": "a local file", "model": "a local file"}] and clean["seed"] == 0


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (None, {"license": "unknown"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("Acme Licence 1", {"license": "other", "license_name": "acme-licence-1"}),
    ],
)
def test_licences_of_the_hub(said: str | None, fields: dict[str, str]) -> None:
    assert license_fields(said) == fields
