"""Annotating tables in pieces: rows and files as of one table, going on, and budgets over all pieces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chat_server import by_word, chat_server

from command_line import Commands
from pieces import in_pieces, joined
from silr.annotators import LocalAnnotator, annotate_file
from silr.annotators.pieces import annotate_pieces
from silr.annotators.provenance import together
from silr.errors import InputError
from silr.io.feature_rows import has_record, match
from silr.io.pieces import open_pieces, read_piece
from silr.io.tables import write_table

TEXTS = ["good", "bad", "", "good", 'a, "quoted"\nline', "word " * 200, "  ", "", "Ünï", "bad"]


@pytest.fixture(scope="module")
def annotator(tiny_llama: str) -> LocalAnnotator:
    return LocalAnnotator(tiny_llama, ["no", "yes"])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Pieces of 4, 2, 2 (without text), 0 and 2 rows."""
    return in_pieces(pd.DataFrame({"id": range(10), "text": TEXTS, "llm_label": "x"}), tmp_path / "texts", [4, 6, 8, 8])


def test_pieces_are_annotated_like_one_table(annotator: LocalAnnotator, texts: Path, tmp_path: Path) -> None:
    write_table(joined(texts), tmp_path / "t.parquet")
    annotate_file(tmp_path / "t.parquet", tmp_path / "whole.parquet", annotator, quiet=True)
    done = annotate_pieces(texts, tmp_path / "out", lambda: annotator, {}, quiet=True)
    made, whole = joined(tmp_path / "out"), read_piece(tmp_path / "whole.parquet")
    scores = ["llm_score_no", "llm_score_yes"]
    others = [name for name in whole if name not in scores]
    pd.testing.assert_frame_equal(made[others].fillna(""), whole[others].fillna(""), check_dtype=False)
    np.testing.assert_allclose(made[scores].astype(float), whole[scores].astype(float), atol=1e-3)
    features = np.load(tmp_path / "out.features.npy")
    filled = [bool(text.strip()) for text in TEXTS]
    np.testing.assert_allclose(features[filled], np.load(tmp_path / "whole.features.npy")[filled], atol=0.05)
    assert has_record(tmp_path / "out.features.npy") and match(tmp_path / "out.features.npy", TEXTS).words == ""
    about, of_table = (json.loads((tmp_path / f"{name}.annotator.json").read_text()) for name in ("out", "whole"))
    assert {**about, "counts": 0} == {**of_table, "counts": 0}
    assert about["counts"] == {"rows": 10, "labels": done.labels, "missing": 3, "missing_reasons": {"empty text": 3}}
    assert (done.pieces, done.unfinished, done.features) == (5, 0, tmp_path / "out.features.npy")
    assert open_pieces(tmp_path / "out").columns == list(made)
    with pytest.raises(InputError, match="out: it is a folder"):  # before anything is read by the model
        annotate_file(tmp_path / "t.parquet", tmp_path / "out", annotator, quiet=True)
    assert json.loads((tmp_path / "out.annotator.json").read_text()) == about


def test_what_is_finished_stays(
    annotator: LocalAnnotator, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    batches = LocalAnnotator.score_batches

    def counted(self: LocalAnnotator, given: list[list[str]]) -> object:
        if len(read) == 1:
            raise KeyboardInterrupt
        read.append(sum(map(len, given)))
        return batches(self, given)

    monkeypatch.setattr(LocalAnnotator, "score_batches", counted)
    with pytest.raises(KeyboardInterrupt):
        annotate_pieces(texts, tmp_path / "out", lambda: annotator, {}, quiet=True)
    assert [piece.name for piece in open_pieces(tmp_path / "out").pieces] == ["part-0.parquet"]
    assert not (tmp_path / "out.features.npy").exists()
    read.append(0)
    done = annotate_pieces(texts, tmp_path / "out", lambda: annotator, {}, quiet=True)
    assert (done.resumed, done.unfinished, len(read)) == (1, 0, 6)
    first = np.load(tmp_path / "out.features.npy")
    write_table(pd.DataFrame({"id": [1, 2], "text": ["new", "bad"], "llm_label": "x"}), texts / "part-4.parquet")
    done = annotate_pieces(texts, tmp_path / "out", lambda: annotator, {}, quiet=True)
    assert (done.resumed, len(read)) == (4, 7)
    again = np.load(tmp_path / "out.features.npy")
    np.testing.assert_array_equal(again[:8], first[:8])
    assert not np.array_equal(again[8], first[8]) and match(done.features, [*TEXTS[:8], "new", "bad"]).words == ""
    with pytest.raises(InputError, match=r"was made in another way \(prompt\)"):
        annotate_pieces(texts, tmp_path / "out", lambda: annotator, {"prompt": "other"}, quiet=True)


@pytest.mark.slow
def test_a_budget_counts_over_all_pieces(commands: Commands, tmp_path: Path) -> None:
    texts = [f"a {'good' if row % 3 else 'bad'} thing, number {row}" for row in range(30)]
    in_pieces(pd.DataFrame({"text": texts}), tmp_path / "texts", [10, 20])
    with chat_server(by_word) as (url, record):
        arguments = ("annotate", "texts", "-o", "out", "--base-url", url, "--model", "m", "--cache", "cache.sqlite")
        arguments += ("--classes", "negative,positive", "--concurrency", "1", "--json")
        bill = json.loads(commands(*arguments, "--dry-run", cwd=tmp_path).out)
        assert (bill["total"], bill["asked"], bill["requests"], record.requests) == (30, 30, 30, 0)
        assert not (tmp_path / "out").exists()
        stopped = commands(*arguments, "--max-requests", "14", cwd=tmp_path)
        assert stopped.code == 0, stopped.err
        values = json.loads(stopped.out)
        assert (values["requests"], values["unfinished"], values["stopped_by"] is None) == (14, 2, False)
        assert sum(values["labels"].values()) + values["missing_reasons"]["not asked"] == 30
        bill = json.loads(commands(*arguments, "--dry-run", cwd=tmp_path).out)
        assert (bill["total"], bill["asked"], bill["known"] + bill["finished"]) == (20, 16, 4)
        assert "1 of 3 pieces are finished: their texts are not counted" in bill["notes"]
        done = commands(*arguments, cwd=tmp_path)
        lines = commands(*arguments[:-1], "--dry-run", cwd=tmp_path).out.splitlines()
        assert lines[0] == "0 texts" and "3 of 3 pieces are finished: their texts are not counted" in lines
    values = json.loads(done.out)
    assert (values["unfinished"], values["resumed"], values["labels"]) == (0, 1, {"positive": 20, "negative": 10})
    assert (values["requests"], values["cost"]["requests"], values["price"]) == (16, 30, None)
    assert record.requests == 30
    frame = joined(tmp_path / "out")
    assert frame["llm_label"].tolist() == ["positive" if "good" in text else "negative" for text in texts]
    about = json.loads((tmp_path / "out.annotator.json").read_text())
    assert about["cost"]["requests"] == 30 and about["counts"]["rows"] == 30
    assert sum(snapshot["answers"] for snapshot in about["snapshots"]) == 30
    records = [
        {"requests": {"first": f"2026-0{month}-01T00:00:00Z", "last": f"2026-0{month}-02T00:00:00Z"}}
        for month in (2, 1)
    ]
    assert together(records) == {"requests": {"first": "2026-01-01T00:00:00Z", "last": "2026-02-02T00:00:00Z"}}


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--batch"), "--batch is for a table in one file"),
        (("--dry-run", "--text-column", "body"), "has no column 'body'; its columns are id, text, llm_label"),
        (
            ("--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--engine", "ray"),
            "--engine ray is for a model on the",
        ),
        (("--engine", "spark"), "the engine is one of local, ray and vllm, not 'spark'"),
        (("--engine", "vllm", "--device", "cpu"), "--engine vllm takes the devices that Ray gives"),
        (("--engine", "vllm", "--strategy", "self-refine", "--dry-run"), "is a conversation, which vLLM does not hold"),
        (("--text-column", "body"), "has no column 'body'; its columns are id, text, llm_label"),
    ],
)
def test_what_pieces_cannot_have(commands: Commands, texts: Path, arguments: tuple[str, ...], words: str) -> None:
    done = commands("annotate", texts, "-o", texts.parent / "out", "--classes", "no,yes", *arguments)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
    assert not (texts.parent / "out").exists()
