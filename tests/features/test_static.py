"""Static embeddings by model2vec, from a folder: no network, no PyTorch."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from command_line import Commands
from silr import LabelRefiner, load
from silr.errors import InputError
from silr.features.choose import make_features
from silr.features.saved import load_saved
from silr.features.static import StaticFeatures
from synthetic import make_corpus

TEXTS = ["a good film", "what a bad film", "a good film", ""]


def test_embeddings_from_a_folder(static_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = make_features(f"static:{static_model}")
    assert isinstance(features, StaticFeatures)
    matrix = features.fit_transform(TEXTS)
    assert matrix.dtype == np.float32 and matrix.shape == (4, 64) and not matrix[3].any()
    np.testing.assert_array_equal(matrix[0], matrix[2])
    long = features.transform(["film " * 3000 + "law", "film " * 3000])
    assert (long[0] != long[1]).any()  # whole texts are read
    loaded = load_saved(json.loads(json.dumps(features.record)), tmp_path)
    np.testing.assert_array_equal(loaded.transform(TEXTS[::-1]), matrix[::-1])
    monkeypatch.chdir(Path(static_model).parent)  # a relative name is found again from elsewhere
    assert make_features(f"static:{Path(static_model).name}").record == features.record


@pytest.mark.parametrize("kind", ["absent", "empty", "broken", "a name", "nothing"])
def test_a_model_that_cannot_be_loaded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "model"
    if kind in ("empty", "broken"):
        folder.mkdir()
    if kind == "broken":
        (folder / "config.json").write_text("{")
        (folder / "tokenizer.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"no tensors")
    spec = {"a name": "nobody/has-this", "nothing": ""}.get(kind, str(folder))
    with pytest.raises(InputError, match=r"model2vec (folder|model) ?.*") as error:
        make_features(f"static:{spec}").fit_transform(["a"])
    assert "\n" not in str(error.value) and spec in str(error.value)


def test_without_the_library(static_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(InputError, match=r"needs model2vec: pip install 'silr\[static\]'"):
        make_features(f"static:{static_model}").fit_transform(["a"])


@pytest.mark.slow
def test_from_the_table_to_new_texts(static_model: str, tmp_path: Path, commands: Commands) -> None:
    """Refined, resumed, predicted, exported, and refused where the model is another one."""
    model = tmp_path / "model"
    shutil.copytree(static_model, model)
    make_corpus(100, seed=1).write(tmp_path)
    refine = ("refine", "table.csv", "-o", "run", "--features", "static:model", "--features", "tfidf")
    done = commands(*refine, cwd=tmp_path)
    assert done.code == 0, done
    record = json.loads((tmp_path / "run" / "run.json").read_text())["identity"]["features"]["parts"][0]
    assert record["kind"] == "static" and record["model"] == str(model) and len(record["weights"]) == 32
    assert json.loads((tmp_path / "run" / "table.json").read_text())["features"] == ["static:../model", "tfidf"]
    before = (tmp_path / "run" / "labels.csv").read_bytes()
    shutil.rmtree(tmp_path / "run" / "iteration-1")
    assert commands(*refine, cwd=tmp_path).code == 0 and (tmp_path / "run" / "labels.csv").read_bytes() == before

    pd.read_csv(tmp_path / "table.csv")[["text"]].to_csv(tmp_path / "new.csv", index=False)
    predict = ("predict", "run", "new.csv", "-o", "scored.csv")
    assert commands(*predict, cwd=tmp_path).code == 0
    labels = pd.read_csv(tmp_path / "scored.csv")["refined_label"].tolist()
    assert commands("export", "run", "exported", cwd=tmp_path).code == 0
    texts = pd.read_csv(tmp_path / "new.csv")["text"].tolist()
    assert load(tmp_path / "exported").predict(texts).tolist() == labels
    card = (tmp_path / "exported" / "README.md").read_text()
    usage = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', str(texts))
    assert "StaticModel" in usage
    names: dict[str, Any] = {"DIR": str(tmp_path / "exported")}
    exec(usage.replace("model.predict(", "found = model.predict("), names)
    assert names["found"].tolist() == labels

    tensors = load_file(model / "model.safetensors")
    save_file({name: values[::-1].copy() for name, values in tensors.items()}, model / "model.safetensors")
    done = commands(*predict, cwd=tmp_path)
    assert done.code == 2 and "has other weights" in done.err and done.err.count("\n") == 1
    done = commands(*refine, cwd=tmp_path)
    assert done.code == 2 and "other input or settings" in done.err and done.err.count("\n") == 1


def test_alone_in_python(static_model: str, tmp_path: Path) -> None:
    """Without TF-IDF beside it, with a run that is exported."""
    corpus = make_corpus(100, seed=1)
    refiner = LabelRefiner(features=f"static:{static_model}", run=tmp_path / "run")
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold)
    again = LabelRefiner.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict_proba(corpus.texts), refiner.predict_proba(corpus.texts))
    from silr.export import export_run

    assert export_run(tmp_path / "run", tmp_path / "exported") == []
    exported = load(tmp_path / "exported").predict_proba(corpus.texts)
    np.testing.assert_allclose(exported, refiner.predict_proba(corpus.texts), atol=1e-5)
