"""`silr.annotate` with the options of a server, all at once: each gets where it belongs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chat_server import by_word, chat_server
from embeddings_server import embeddings_server

import silr
from silr.errors import InputError
from silr.features.api import ApiFeatures
from silr.io.annotator_records import read_records
from silr.io.codebook import Codebook

TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(12)]
BOOK = Codebook.from_dict({"question": "Is it good?", "classes": ["negative", {"name": "positive", "in": ["praise"]}]})


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not-here"))
    for name in ("SILR_EMBEDDINGS_API_KEY", "SILR_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_all_options_of_a_server(tmp_path: Path) -> None:
    def said(body: dict[str, Any]) -> str:
        return json.dumps({"label": by_word(body), "confidence": 70, "reason": "It says so."})

    request = {"temperature": 0.5, "reasoning_effort": "low", "service_tier": "flex", "max_answer_tokens": 99}
    request |= {"extra_body": {"seed": 7}, "headers": {"X-Title": "silr"}}
    asking = {"samples": 2, "concurrency": 3, "answer": "structured", "confidence": "said", "explain": True}
    limits = {"rpm": 10_000, "tpm": 10**7, "timeout": 20.0, "max_requests": 25, "max_tokens_total": 10**6}
    bill = {"price_in": 1.0, "price_out": 2.0, "max_dollars": 1.0}
    options = {**request, **asking, **limits, **bill, "cache": tmp_path / "answers.sqlite"}
    with chat_server(said) as (url, record), embeddings_server() as (vectors, embedded):
        options |= {"model": "m", "base_url": url, "name": "b", "codebook": BOOK, "output": tmp_path / "out.csv"}
        options |= {"embeddings": "emb", "embeddings_url": vectors, "embeddings_dimensions": 8}
        frame = silr.annotate(TEXTS, **options)
        body = record.bodies[-1]
        assert (body["temperature"], body["reasoning_effort"], body["service_tier"]) == (0.5, "low", "flex")
        assert body["seed"] == 7 and "response_format" in body and 99 in body.values()
        assert record.calls[-1][1]["x-title"] == "silr" and "praise" in body["messages"][0]["content"]
        assert record.requests == 24 and embedded.requests == 1  # the one that the labels left
        assert frame["llm_confidence_b"].tolist() == [0.7] * 12 and frame["llm_score_b_positive"].notna().all()
        assert np.load(tmp_path / "out.features.npy").shape == (12, 8)
        kept = read_records(tmp_path / "out.csv")
        assert kept["b"]["cost"]["dollars"] > 0 and kept[""]["embeddings"]["dimensions"] == 8
        assert not (tmp_path / "not-here").exists()  # all answers and embeddings are in the cache that was named
        silr.annotate(TEXTS, **{**options, "max_requests": 1})
        assert (record.requests, embedded.requests) == (24, 1)
        pd.DataFrame({"text": [*TEXTS, "a new good thing"]}).to_csv(tmp_path / "more.csv", index=False)
        more = {**options, "output": tmp_path / "more.out.csv", "max_requests": 2}
        with pytest.raises(InputError, match="stopped at the budget of 0 requests"):
            silr.annotate(tmp_path / "more.csv", **more)
        assert pd.read_csv(tmp_path / "more.out.csv")["llm_label_b"].notna().all()


def test_embeddings_of_nobody_or_over_hidden_states(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give its output"):
        silr.annotate(TEXTS, ["a", "b"], model="m", base_url="http://127.0.0.1:9/v1", embeddings="emb")
    with pytest.raises(InputError, match="embeddings go with base_url"):
        silr.annotate(TEXTS, ["a", "b"], model="m", embeddings="emb", output=tmp_path / "out.csv")


def test_a_table_in_pieces_has_its_own_function(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a table in pieces: use silr\.annotators\.pieces\.annotate_pieces, or silr"):
        silr.annotate(tmp_path, ["no", "yes"], model="NAME")


def test_new_texts_are_asked_about_with_azures_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    server = {"server": "https://name.openai.azure.com", "model": "emb", "api_version": "2024-10-21"}
    about = ApiFeatures.of_record({"kind": "api", **server}, 16)._connect().describe()
    assert about["api_version"] == "2024-10-21" and str(about["server"]).startswith(server["server"])
