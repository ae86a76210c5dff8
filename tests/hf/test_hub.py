"""A hub that does not answer is said at once; what is in its cache is loaded all the same."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from http_server import JsonHandler, serving
from silr.annotators import LocalAnnotator
from silr.errors import InputError
from silr.hf import hub, models


@pytest.fixture(autouse=True)
def at_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def test_without_a_connection_a_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"nothing: it is neither a folder here .* at http://127.0.0.1:9 does not ans"):
        models.load("nobody/nothing", "cpu", "float32")
    for load in (models.load_tokenizer, lambda name: LocalAnnotator(name, ["no", "yes"])):
        with pytest.raises(InputError, match="does not answer; without a connection give a model folder"):
            load("nonexist")


def test_what_the_cache_has_needs_no_hub(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc")
    assert models.folder_of("some/model", "float32") == "some/model"


def test_who_answers_and_who_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(JsonHandler):
        def do_HEAD(self) -> None:
            self.send(404, b"")

    with serving(Missing) as address:
        assert hub.answers(address)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        assert models.folder_of("nobody/nothing", "float32") == "nobody/nothing"  # the hub's client says what it is
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not hub.answers(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.1)
