import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from silr.errors import InputError
from silr.hf import models
from silr.hf.devices import best_dtype


@pytest.mark.slow
def test_a_gguf_is_converted_once_and_exactly(smollm, gguf):
    """Against gguf's own dequantisation, for two tensors; the second load makes nothing new."""
    from gguf import GGUFReader, dequantize

    folder = Path(smollm._network.config._name_or_path)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert models._converted(gguf, "float32") == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    weights = smollm._network.state_dict()
    names = {"blk.7.ffn_down.weight": "model.layers.7.mlp.down_proj.weight", "token_embd.weight": "lm_head.weight"}
    for tensor in GGUFReader(gguf).tensors:
        if tensor.name in names:
            exact = dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(weights[names.pop(tensor.name)].numpy(), exact)
    assert not names
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


def test_locate(tmp_path, tiny_llama, gguf):
    assert models.locate(gguf.parent) == models.locate(gguf) == str(gguf.resolve())
    assert models.locate(tiny_llama) == str(Path(tiny_llama).resolve())
    assert models.locate("owner/name-1.5B") == "owner/name-1.5B"
    (tmp_path / "notes.txt").touch()
    for wrong, message in (
        (tmp_path, "has neither config.json nor a .gguf file"),
        (tmp_path / "notes.txt", "is no model"),
        (tmp_path / "absent", "no model at"),
        ("absent.gguf", "no model at"),
        ("./a/b/c", "no model at"),
    ):
        with pytest.raises(InputError, match=message):
            models.locate(wrong)
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"has 2 \.gguf files, name one"):
        models.locate(tmp_path)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x00\xff broken"])
def test_a_damaged_folder_is_one_line(tiny_llama, tmp_path, damage, content):
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / damage).write_bytes(content)
    with pytest.raises(InputError) as error:
        models.load(str(folder), "cpu", "float32")
    assert str(error.value).startswith(f"cannot load the model {folder}: ")
    assert "\n" not in str(error.value)


def test_a_damaged_gguf_is_one_line_and_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(InputError, match=r"cannot load the model .*broken\.gguf: [^\n]+$"):
        models.load(str(tmp_path / "broken.gguf"), "cpu", "float32")
    assert not [path for path in (tmp_path / "cache/silr/models").iterdir() if "lock" not in path.name]


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to a folder with room"):
        models.load(str(tmp_path / "model.gguf"), "cpu", "float32")


@pytest.mark.slow
def test_an_unknown_hub_name_is_one_line(tmp_path):
    """In a process of its own: huggingface_hub reads its settings when imported."""
    code = (
        "from silr.hf import models; from silr.errors import InputError\n"
        "try: models.load('nobody/nothing', 'cpu', 'float32')\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("cannot load the model nobody/nothing: ")
    assert done.stdout.endswith("without a connection give a model folder or a .gguf file\n")
    assert done.stdout.count("\n") == 1


def test_dtypes():
    assert best_dtype("cpu") in ("float32", "bfloat16")
    with pytest.raises(InputError, match="dtype is 'int4'"):
        models.load("x", "cpu", "int4")


def test_loading_leaves_transformers_settings_alone(tiny_llama):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    _, network = models.load(tiny_llama, "cpu", "bfloat16")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert network.dtype == torch.bfloat16
    assert not network.training
