"""A model is known by its content: not by its path, nor by the version of the library that wrote it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from silr.errors import InputError
from silr.hf import fingerprint as module
from silr.hf.fingerprint import check, fingerprint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "pooling").mkdir(parents=True)
    save_file({"weight": np.arange(5000, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"width": 8, "transformers_version": "4"}))
    (folder / "tokenizer.json").write_text('{"vocab": ["a", "b"]}')
    (folder / "modules.json").write_text('[{"path": ""}, {"path": "pooling"}]')
    (folder / "pooling" / "config.json").write_text('{"mode": "mean"}')
    return folder


def test_what_counts_and_what_does_not(model: Path, tmp_path: Path) -> None:
    before = fingerprint(str(model))
    assert before is not None and len(before) == 32
    moved = tmp_path / "elsewhere"
    shutil.copytree(model, moved)
    (moved / "README.md").write_text("notes")
    (moved / "results.json").write_text("{}")
    (moved / "pytorch_model.bin").write_bytes(b"an older form, which is not read")
    (moved / "config.json").write_text(json.dumps({"transformers_version": "5", "width": 8}))
    assert fingerprint(str(moved)) == before
    check(str(moved), before)
    check(str(moved), None)
    for file, content in (
        ("tokenizer.json", '{"vocab": ["b", "a"]}'),
        ("pooling/config.json", '{"mode": "cls"}'),
        ("config.json", '{"width": 9}'),
    ):
        kept = (moved / file).read_text()
        (moved / file).write_text(content)
        assert fingerprint(str(moved)) != before, file
        (moved / file).write_text(kept)
    save_file({"weight": np.arange(5000, dtype=np.float32) + 1}, moved / "model.safetensors")
    with pytest.raises(InputError, match="has other weights, or another tokenizer, than when this run was made"):
        check(str(moved), before)


def test_of_a_large_file_some_is_read_from_everywhere(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 1000)
    monkeypatch.setattr(module, "BLOCK", 16)
    monkeypatch.setattr(module, "BLOCKS", 64)
    before = module._content(model / "model.safetensors")
    values = np.arange(5000, dtype=np.float32)
    values[2000:2400] += 1  # a twelfth of the weights
    save_file({"weight": values}, model / "model.safetensors")
    assert module._content(model / "model.safetensors") != before


def test_files_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gguf").write_bytes(b"weights")
    (tmp_path / "b.gguf").write_bytes(b"weights")
    assert fingerprint(str(tmp_path / "a.gguf")) == fingerprint(str(tmp_path / "b.gguf")) is not None
    assert fingerprint(str(tmp_path / "gone")) is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fingerprint("nobody/has-this-model") is None


def test_a_name_on_the_hub_is_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert fingerprint("some/model") == "hub:abc123"
