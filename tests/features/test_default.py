"""The features that are taken where nobody names any: an encoder of the environment, of this machine, of the hub."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from command_line import Commands
from http_server import JsonHandler, serving
from silr import LabelRefiner
from silr.errors import InputError
from silr.features import encoders
from silr.features.default import default_features
from synthetic import make_corpus

at_hand, from_hub = encoders.at_hand, encoders.from_hub  # tests have neither, see conftest.py
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"modules.json": b"[]", "config.json": b"{}", "model.safetensors": b"weights", "onnx/model.onnx": b"others"}


@contextmanager
def hub(known: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Address of a hub with one model, and the paths that it was asked for."""
    asked: list[str] = []

    class Hub(JsonHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            name = path.partition(f"/resolve/{COMMIT}/")[2]
            siblings = [{"rfilename": each} for each in FILES]
            about: Any = {"id": encoders.MODEL, "modelId": encoders.MODEL, "sha": COMMIT, "siblings": siblings}
            if "/tree/" in path:
                about = [{"type": "file", "path": each, "size": len(FILES[each]), "oid": each} for each in FILES]
            body = FILES.get(name) if name else json.dumps(about).encode()
            self.send_response(200 if known and body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("ETag", f'"{name or "api"}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

    with serving(Hub) as address:
        yield address, asked


def test_the_model_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its many forms one; from then on it is in the cache, and the hub is asked no more."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    said: list[str] = []
    with hub() as (address, asked):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        folder = from_hub(said.append)
    assert folder is not None and Path(folder).is_relative_to(tmp_path) and "fetched from the hub" in said[0]
    assert {path.name for path in Path(folder).iterdir()} == {"modules.json", "config.json", "model.safetensors"}
    assert asked[0] == f"/api/models/{encoders.MODEL}"


@pytest.mark.parametrize("kind", ["unknown", "offline", "nobody listens", "cut off"])
def test_no_model_on_the_hub(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", kind == "offline")
    said: list[str] = []
    with hub(known=kind in ("offline", "cut off")) as (address, asked):
        if kind == "cut off":
            monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: 1 / 0)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        if kind != "nobody listens":
            assert from_hub(said.append) is None
    if kind == "nobody listens":
        assert from_hub(said.append) is None
    assert len(asked) == (kind not in ("offline", "nobody listens"))
    assert not said or (kind == "cut off" and "could not be fetched: division by zero" in said[1])


def test_a_silent_hub_costs_no_minutes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert not encoders.answers(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
    assert time.monotonic() - began < 2


def test_a_download_that_was_cut_off_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules.json").write_text("[]")
    monkeypatch.setattr("silr.features.encoders.PACKAGE", "no_such_package")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "modules.json"))
    assert at_hand() is None
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert at_hand() == str(tmp_path)


@pytest.mark.parametrize("library", [True, False])
def test_the_line_about_tfidf_alone(library: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is lost, and the command that mends it."""
    monkeypatch.setattr("silr.features.default.find_spec", lambda name: library or None)
    said: list[str] = []
    assert default_features([], said.append) == ["tfidf"]
    (line,) = said
    assert "points of accuracy" in line and "--features static:MODEL --features tfidf" in line
    assert ("pip install 'silr[sentence-transformers]'" in line) is not library
    assert ("export SILR_ENCODER=FOLDER" in line) is library


def test_states_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the annotator's states are, nothing is fetched and nothing is missed."""
    monkeypatch.setattr("silr.features.encoders.from_hub", lambda say: 1 / 0)
    said: list[str] = []
    assert default_features(["t.features.npy"], said.append) == ["t.features.npy", "tfidf"]
    assert said == ["features: the annotator's states, TF-IDF"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/no/such/folder", "model folder /no/such/folder does not exist"),
        ("EMPTY", "has no model: neither modules.json nor config.json is in it"),
        ("static:/no/such/folder", "the model2vec folder /no/such/folder does not exist"),
        ("static:nobody/has-this", "cannot load the model2vec model 'nobody/has-this'"),
        ("api:", "needs the server's name of an embeddings model"),
        ("tfidf", "names a sentence encoder, not tfidf"),
    ],
)
def test_an_encoder_of_the_environment_that_is_none(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("SILR_ENCODER", name.replace("EMPTY", str(tmp_path)))
    with pytest.raises(InputError, match=f"SILR_ENCODER.*{words}") as error:
        default_features([], print)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_encoder_of_the_environment(
    static_model: str, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_corpus(100, seed=1).write(tmp_path)
    monkeypatch.setenv("SILR_ENCODER", "/no/such/folder")
    done = commands("refine", "table.csv", "-o", "run", cwd=tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1 and "SILR_ENCODER" in done.err, done
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("SILR_ENCODER", f"static:{static_model}")
    done = commands("refine", "table.csv", "-o", "run", cwd=tmp_path)
    assert done.code == 0 and f"sentence embeddings by static:{static_model}, TF-IDF" in done.out, done
    monkeypatch.delenv("SILR_ENCODER")
    done = commands("predict", "run", "table.csv", "-o", "scored.csv", cwd=tmp_path)  # the run knows its model
    assert done.code == 0, done


@pytest.mark.slow
def test_in_python(static_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = make_corpus(100, seed=1)
    given = (corpus.texts, corpus.llm_labels, corpus.gold)
    with pytest.warns(UserWarning, match=r"TF-IDF alone. Sentence embeddings add .*features=\[\"static:MODEL"):
        assert LabelRefiner().fit(*given).features_.record["kind"] == "tfidf"
    monkeypatch.setenv("SILR_ENCODER", f"static:{static_model}")
    parts = LabelRefiner().fit(*given).features_.record["parts"]
    assert [part["kind"] for part in parts] == ["static", "tfidf"]
    monkeypatch.setenv("SILR_ENCODER", "/no/such/folder")
    with pytest.raises(InputError, match="SILR_ENCODER"):
        LabelRefiner().fit(*given)
    LabelRefiner(features="tfidf").fit(*given)  # which was named, and needs no encoder
