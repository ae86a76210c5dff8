"""Features beside a table that another annotation leaves in place: they belong to the texts, and to their maker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chat_server import by_word, chat_server
from embeddings_server import embeddings_server

from silr import annotate
from silr.annotators.local import LocalAnnotator
from silr.annotators.table import annotate_file
from silr.errors import InputError
from silr.features.default import default_features
from silr.features.file import FileFeatures, name_of_states
from silr.io.annotator_records import STATES, read_records
from silr.io.feature_rows import match

TEXTS = ["a good film", "a bad film", "good, and long", "so bad"]
CLASSES = ["negative", "positive"]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SILR_ENCODER", raising=False)
    path = tmp_path / "in.csv"
    pd.DataFrame({"text": TEXTS}).to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_states_stay_those_of_the_model_and_the_prompt_that_made_them(
    table: Path, tmp_path: Path, tiny_llama: Path
) -> None:
    out, states = tmp_path / "out.csv", tmp_path / "out.features.npy"
    first = LocalAnnotator(tiny_llama, CLASSES, question="Is this negative or positive?")
    annotate_file(table, out, first, quiet=True)
    before, described = np.load(states), read_records(out)[""]

    def check(labels_by: str) -> None:
        record = read_records(out)[""]
        assert record["kind"] == labels_by and record[STATES]["question"] == first.prompt.question
        assert "counts" not in record[STATES] and STATES not in record[STATES]
        features = FileFeatures.of(states)
        assert np.array_equal(features.transform(TEXTS), before)  # new texts, in the first prompt
        assert name_of_states(states) == f"the states of an earlier annotation, by {described['model']}"

    annotate_file(table, out, first, quiet=True, save_features=False)
    assert STATES not in read_records(out)[""]  # the same annotator
    other = LocalAnnotator(tiny_llama, CLASSES, question="Does somebody, in any way, sound negative or positive?")
    annotate_file(table, out, other, quiet=True, save_features=False)
    check("local")
    with chat_server(by_word) as (url, _):
        annotate(table, CLASSES, model="a-chat", base_url=url, output=out)
        check("api")
        said: list[str] = []
        default_features([str(states)], said.append)
        assert "features: the states of an earlier annotation, by" in said[0]
    with embeddings_server() as (url, _):
        annotate(table, CLASSES, model="a-chat", base_url=url, output=out, embeddings="emb")
        assert STATES not in read_records(out)[""] and name_of_states(states) == "embeddings by emb"
    annotate_file(table, out, other, quiet=True)
    assert (
        not {STATES, "embeddings"} & read_records(out)[""].keys() and name_of_states(states) == "the annotator's states"
    )


def test_embeddings_stay_valid_for_the_same_texts_and_are_refused_for_others(table: Path, tmp_path: Path) -> None:
    out, features = tmp_path / "out.csv", tmp_path / "out.features.npy"
    with embeddings_server() as (url, record):
        annotate(table, CLASSES, model="a-chat", base_url=url, output=out, embeddings="emb")
        asked = record.requests
        matrix = np.load(features)
        annotate(table, CLASSES, model="another", base_url=url, output=out)  # without embeddings
        assert record.requests == asked and np.array_equal(np.load(features), matrix)
        assert match(features, TEXTS) == (None, len(TEXTS), "")  # the same texts, row for row
        about = FileFeatures.of(features)
        assert about.server is not None and about.server.model == "emb"
        assert name_of_states(features) == "embeddings by emb"
        # rows in another order are found by their texts
        pd.DataFrame({"text": TEXTS[::-1]}).to_csv(table, index=False)
        annotate(table, CLASSES, model="another", base_url=url, output=out)
        assert np.array_equal(FileFeatures.of(features).fit_transform(TEXTS[::-1]), matrix[::-1])
        # other texts are refused
        pd.DataFrame({"text": [*TEXTS[:3], "a new one, good"]}).to_csv(table, index=False)
        annotate(table, CLASSES, model="another", base_url=url, output=out)
        with pytest.raises(InputError, match=r"made from other texts: it has no row for 1 of 4.*'a new one, good'"):
            FileFeatures.of(features).fit_transform([*TEXTS[:3], "a new one, good"])


def test_a_file_of_unknown_origin_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "out.features.npy"
    np.save(path, np.zeros((2, 3), np.float16))
    (tmp_path / "out.annotator.json").write_text(json.dumps({"kind": "api", "model": "m"}))
    assert name_of_states(path) == "out.features.npy"
