"""Corpora and the command line, shared by the tests."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import settings

from command_line import Commands, shared
from synthetic import Corpus, make_corpus

pytest_plugins = ["small_models", "hub_server"]

# The same examples at every run: a change is judged by what it changed. `--hypothesis-profile default` explores.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

# Threads of two test processes that wait for each other make small models ten times slower.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the commands that tests start


SLOW_FIXTURES = {"smollm", "small_llama", "small_bert", "make_small_causal", "align"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real and of fine-tuned models take seconds."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine-tuned models multiply exactly, also on processors that are faster at bfloat16."""
    monkeypatch.setattr("silr.classifiers.finetuned.backbone.best_dtype", lambda device: "float32")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)  # transformers leaves that of an earlier test


@pytest.fixture(autouse=True)
def no_encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading texts with a sentence encoder takes seconds: only tests that are marked have one at hand."""
    monkeypatch.delenv("SILR_ENCODER", raising=False)
    if request.node.get_closest_marker("encoder") is None:
        monkeypatch.setattr("silr.features.encoders.at_hand", lambda: None)
        monkeypatch.setattr("silr.features.encoders.from_hub", lambda say: None)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return make_corpus()


@pytest.fixture(scope="session")
def corpus3() -> Corpus:
    return make_corpus(1500, ("bad", "fair", "good"), n_gold=150, bias=0.4, seed=2)


@pytest.fixture(scope="session")
def commands() -> Commands:
    """Runs `silr` in a process of its own, quickly."""
    return shared()
