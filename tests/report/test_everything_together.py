"""Runs of a table with all at once: two LLMs, a codebook, a confidence, reasons, and features of each kind.

Each part that reads a run or a table works on it: refine and resume, the report and its command, predict, export,
evaluate, label and the scorer of `silr align`.
"""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chat_server import by_word, chat_server
from embeddings_server import embeddings_server
from reporting import Page

import silr
from command_line import Commands
from silr.align.load_scorer import load_scorer
from silr.export import export_run
from silr.io.codebook import Codebook
from silr.label.gold_table import GoldTable
from silr.refine.predict import predict_table
from silr.refine.table import refine_table
from silr.report.write import write_report
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow

BOOK = Codebook.from_dict(
    {
        "question": "Is it kind?",
        "classes": [{"name": "negative", "definition": "Unkind words."}, {"name": "positive", "in": ["praise"]}],
    }
)
FEATURES = {"beside the table": None, "api": ["api:emb", "tfidf"], "static": ["static:", "tfidf"]}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Texts that an LLM calls "positive" where they have "good" in them, which is right of most."""
    return make_corpus(120, n_gold=50, seed=4)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with embeddings_server() as (url, _):
        yield url


@pytest.fixture(scope="module")
def table(corpus: Corpus, server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    rng = np.random.default_rng(0)
    texts = {
        name: (corpus.truth == "positive") ^ (rng.random(len(corpus.texts)) < share)
        for name, share in (("good", 0.2), ("fine", 0.3))
    }
    frame = corpus.table().drop(columns="llm_label")
    for word, there in texts.items():
        frame["text"] = [
            f"{text} {word}" if is_there else text for text, is_there in zip(frame["text"], there, strict=True)
        ]
    frame.to_csv(folder / "in.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

        def first(body: dict[str, Any]) -> str:
            return json.dumps(
                {"label": by_word(body), "confidence": 80 if "fine" in str(body) else 60, "reason": "So."}
            )

        def second(body: dict[str, Any]) -> str:
            return "positive" if "fine" in body["messages"][0]["content"].split("<text>")[-1] else "negative"

        options: dict[str, Any] = {"output": folder / "out.csv", "codebook": BOOK}
        with chat_server(first) as (url, _):
            more = {"confidence": "said", "explain": True, "embeddings": "emb", "embeddings_url": server}
            silr.annotate(folder / "in.csv", model="a", base_url=url, **more, **options)
        with chat_server(second) as (url, _):
            silr.annotate(folder / "out.csv", model="b", base_url=url, name="b", answer="free", **options)
    return folder / "out.csv"


@pytest.mark.parametrize("kind", FEATURES)
def test_all_parts_take_it(
    kind: str,
    table: Path,
    server: str,
    static_model: str,
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frame = pd.read_csv(table)
    assert {"llm_label", "llm_label_b", "llm_confidence", "llm_reason"} <= set(frame.columns)
    wanted = FEATURES[kind]
    specs = wanted and [f"static:{static_model}" if spec == "static:" else spec for spec in wanted]
    run, said = tmp_path / "run", list[str]()
    more: dict[str, Any] = {"server": {"base_url": server}} if kind == "api" else {}
    refine_table(table, run, features=specs, say=said.append, **more)
    labels = pd.read_csv(run / "labels.csv")
    assert {"llm_confidence", "llm_reason", "llm_label_b", "refined_label"} <= set(labels.columns)
    refine_table(table, run, features=specs, say=said.append, **more)  # resumed: finished already
    pd.testing.assert_frame_equal(labels, pd.read_csv(run / "labels.csv"))

    page = Page(write_report(run))
    assert "Unkind words." in page.source and "llm_label_b" in page.source
    command = html.unescape(
        page.source.partition('id="again"')[2].partition('<pre tabindex="0"><code>')[2].partition("</code>")[0]
    )
    done = commands(*shlex.split(command.replace("\\\n", " "))[1:], cwd=run)
    assert done.code == 0, done.err
    pd.testing.assert_frame_equal(labels, pd.read_csv(tmp_path / "run-again" / "labels.csv"))

    predict_table(run, table, tmp_path / "scored.csv")
    unknown = frame["gold"].isna()
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert (scored["refined_label"] == labels["refined_label"])[unknown].all()
    new = ["positive1 word3 positive4 good fine", "negative2 negative2 word1", "positive1 something new"]
    assert export_run(run, tmp_path / "model") is not None
    opened, whole = silr.load(tmp_path / "model"), silr.load(run)
    np.testing.assert_allclose(opened.predict_proba(new), whole.predict_proba(new), atol=1e-5)
    scores = load_scorer(run, "positive", "cpu")(new)
    assert scores[0] > scores[1]
    evaluated = json.loads(commands("evaluate", run / "labels.csv", "--json").out)
    assert {"llm_label", "llm_label_b", "out_of_fold_label"} <= set(evaluated["labels"])
    assert GoldTable(table, codebook=BOOK).classes == ["negative", "positive"]
