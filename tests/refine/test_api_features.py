"""Features of an embeddings server in all that makes or reads a run: the default method, by the commands."""

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
from embeddings_server import Record, RefusalError, embeddings_server
from reporting import Page

import silr
from command_line import Commands
from silr import ApiFeatures, LabelRefiner
from silr.errors import InputError
from silr.export import export_run
from silr.refine.predict import predict_table
from silr.refine.table import refine_table
from synthetic import Corpus, make_corpus

KEY = "sk-not-to-be-seen"


@pytest.fixture(scope="module")
def little() -> Corpus:
    return make_corpus(200, n_gold=60, seed=4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("SILR_EMBEDDINGS_API_KEY", "SILR_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[tuple[str, Record]]:
    with embeddings_server() as serving:
        yield serving


def labels(path: Path) -> list[str]:
    return pd.read_csv(path)["refined_label"].tolist()


@pytest.mark.slow
def test_a_run_and_all_that_reads_it(
    little: Corpus, server: tuple[str, Record], tmp_path: Path, commands: Commands
) -> None:
    url, record = server
    given_url = url.replace("http://", "http://somebody:secret@")
    table, run, distinct = little.write(tmp_path), tmp_path / "run", len(set(little.texts))
    options = ["--features", "api:a-model", "--features", "tfidf", "--features-url", given_url, "--truth", "truth"]
    done = commands("refine", table, "-o", run, *options)
    assert done.code == 0, done
    assert f"features: embeddings by a-model at {url}" in done.out
    assert f"embeddings by a-model: {record.requests} requests, " in done.out
    assert sum(record.answered.values()) == len(record.answered) == distinct
    assert record.keys == {"Basic c29tZWJvZHk6c2VjcmV0"}  # the password in the address goes before the key
    (part, _) = json.loads((run / "run.json").read_bytes())["identity"]["features"]["parts"]
    assert part == {"kind": "api", "server": url, "model": "a-model"}
    for path in run.rglob("*"):
        assert path.is_dir() or not any(word in path.read_bytes() for word in (KEY.encode(), b"secret"))
    assert (little.truth == labels(run / "labels.csv")).mean() > little.llm_accuracy + 0.05

    # the texts of the run have the labels that they had, and cost nothing again
    gold = np.array([label is not None for label in little.gold])
    done = commands("predict", run, table, "-o", tmp_path / "scored.csv")
    assert done.code == 0, done
    assert record.requests * 64 < 2 * distinct
    same = np.array(labels(run / "labels.csv")) == labels(tmp_path / "scored.csv")
    assert same[~gold].all()
    # new texts are asked about
    new = pd.DataFrame({"text": ["positive1 word3 positive4", "negative2 negative2 word1", ""]})
    new.to_csv(tmp_path / "new.csv", index=False)
    assert commands("predict", run, tmp_path / "new.csv", "-o", tmp_path / "s.csv").code == 0
    assert labels(tmp_path / "s.csv")[:2] == ["positive", "negative"] and "word3" in str(record.bodies[-1]["input"])

    # the report's command makes the same run again, without a request
    before = record.requests
    source = (run / "report.html").read_text()
    command = html.unescape(
        source.partition('id="again"')[2].partition('<pre tabindex="0"><code>')[2].partition("</code>")[0]
    )
    assert f"--features-url {url}" in command and "--features api:a-model" in command
    done = commands(*shlex.split(command.replace("\\\n", " "))[1:], cwd=run)
    assert done.code == 0, done.err
    pd.testing.assert_frame_equal(pd.read_csv(run / "labels.csv"), pd.read_csv(tmp_path / "run-again" / "labels.csv"))
    assert record.requests == before

    # the same run goes on without a request; evaluate reads its table
    assert commands("refine", table, "-o", run, *options).code == 0
    assert record.requests == before
    assert commands("evaluate", run / "labels.csv", "--truth", "truth").code == 0


@pytest.mark.parametrize("features", ["api:a-model", ["tfidf", "api:a-model"]], ids=["alone", "with TF-IDF"])
def test_an_export_names_the_server_and_asks_it(
    features: str | list[str], little: Corpus, server: tuple[str, Record], tmp_path: Path
) -> None:
    url, _ = server
    table, run = little.write(tmp_path), tmp_path / "run"
    refine_table(table, run, features=features, server={"base_url": url.replace("http://", "http://a:secret@")})
    kept = np.load(run / "features" / "features.npy", mmap_mode="r")
    assert kept.shape[0] == len(little.texts) and kept.dtype == (
        np.float16 if features == "api:a-model" else np.float32
    )
    predict_table(run, table, tmp_path / "scored.csv")
    same = np.array(labels(run / "labels.csv")) == labels(tmp_path / "scored.csv")
    assert same[[label is None for label in little.gold]].all()
    (note,) = export_run(run, tmp_path / "model")
    assert note == f"a-model at {url} is asked for embeddings whenever the folder labels texts"
    card = (tmp_path / "model" / "README.md").read_text()
    assert url in card and "secret" not in card
    opened, whole = silr.load(tmp_path / "model"), silr.load(run)
    texts = ["positive1 word3 positive4", "negative2 negative2 word1", "positive1 something new"]
    np.testing.assert_allclose(opened.predict_proba(texts), whole.predict_proba(texts), atol=1e-5)
    usage = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', repr(texts))
    known = {"DIR": str(tmp_path / "model")}
    exec(usage.replace("model.predict(", "labelled = model.predict("), known)
    assert list(known["labelled"]) == whole.predict(texts).tolist()


@pytest.mark.slow
def test_another_address_and_another_width(little: Corpus, server: tuple[str, Record], tmp_path: Path) -> None:
    url, record = server
    table, run = little.write(tmp_path), tmp_path / "run"
    refine_table(table, run, features="api:a-model", server={"base_url": url, "dimensions": 12})
    assert {body["dimensions"] for body in record.bodies} == {12}
    (tmp_path / "new.csv").write_text("text\npositive1 word3 positive4\n")
    with embeddings_server() as (other, asked):
        predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv", features_url=other)
        assert asked.requests == 1 and asked.bodies[0]["dimensions"] == 12
    assert labels(tmp_path / "s.csv") == ["positive"]

    def wider(body: dict[str, object]) -> None:
        body["dimensions"] = 20

    with embeddings_server(wider) as (other, _), pytest.raises(InputError, match=r"20 numbers a text .* not 12"):
        predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv", features_url=other)
    run = tmp_path / "usual"
    refine_table(table, run, features=["api:a-model", "tfidf"], server={"base_url": url})
    with (
        embeddings_server(wider) as (other, _),
        pytest.raises(InputError, match="20 numbers a text for a-model, where texts before have 16: another model"),
    ):
        predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv", features_url=other)
    refine_table(table, tmp_path / "words", features="tfidf")
    with pytest.raises(InputError, match="no features of an embeddings server: leave out --features-url"):
        predict_table(tmp_path / "words", tmp_path / "new.csv", tmp_path / "s.csv", features_url=url)


def test_the_budget_and_going_on(
    little: Corpus, server: tuple[str, Record], tmp_path: Path, commands: Commands
) -> None:
    url, record = server
    table = little.write(tmp_path)
    options = ["refine", table, "-o", tmp_path / "run", "--features", "api:a-model", "--features-url", url]
    done = commands(*options, "--max-requests", "1")
    assert done.code == 2 and done.err.count("\n") == 1 and "stopped at the budget of 1 requests" in done.err
    assert record.requests == 1
    assert commands(*options, "--json").code == 0
    assert set(record.answered.values()) == {1} and len(record.answered) == len(set(little.texts))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--features", "tfidf", "--features-url", "URL"], "go with --features api:MODEL"),
        (["--features", "api:"], "api:MODEL needs the server's name of an embeddings model"),
        (["--features", "api:m", "--features-url", "nowhere"], "the server's address has to be like"),
        (["--features", "api:m", "--features", "api:m", "--features-url", "URL"], "the same features twice"),
    ],
)
def test_bad_options(options: list[str], said: str, little: Corpus, tmp_path: Path, commands: Commands) -> None:
    options = [option.replace("URL", "http://127.0.0.1:9/v1") for option in options]
    done = commands("refine", little.write(tmp_path), "-o", tmp_path / "run", *options)
    assert done.code == 2 and done.err.count("\n") == 1 and said in done.err, done


@pytest.mark.parametrize(
    ("options", "encoder", "refused"),
    [
        ({}, "", True),
        ({}, "static:model", True),
        ({}, "api:a-model", False),  # where nobody names features, it is taken
        ({"method": "uu"}, "api:a-model", True),  # which takes no encoder by itself
        ({"features": ["tfidf"]}, "api:a-model", True),
        ({"features": ["tfidf", "api:a-model"]}, "", False),
        ({"classifier": "lora", "model": "m"}, "", True),
    ],
)
def test_a_server_without_its_features_is_refused_at_once(
    options: dict[str, Any], encoder: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILR_ENCODER", encoder)
    server = {"base_url": "http://127.0.0.1:9/v1", "dimensions": None, "max_requests": 5}
    said = r"\(--features-url, --max-requests\) go with --features api:MODEL" if refused else "absent.csv"
    with pytest.raises(InputError, match=said):
        refine_table(tmp_path / "absent.csv", tmp_path / "run", server=server, **options)


def test_python(little: Corpus, server: tuple[str, Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, record = server
    features = ApiFeatures("a-model", base_url=url)
    refiner = LabelRefiner(features=[features, "tfidf"]).fit(little.texts, little.llm_labels, gold=little.gold)
    assert (refiner.labels_ == little.truth).mean() > little.llm_accuracy + 0.05
    assert refiner.predict(["positive1 word3 positive4"]).tolist() == ["positive"]
    before = record.requests
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    run = tmp_path / "run"
    named = LabelRefiner(features="api:a-model", run=run).fit(little.texts, little.llm_labels, gold=little.gold)
    assert record.requests == before
    from silr.report.write import write_report

    lines = Page(write_report(run)).by_id["again"]
    line = " ".join(lines[lines.index("LabelRefiner(") : lines.index(".fit(")].split())
    assert f"ApiFeatures('a-model', base_url='{url}')" in line
    again = eval(line, {name: getattr(silr, name) for name in silr.__all__})
    again.fit(little.texts, little.llm_labels, gold=little.gold)
    np.testing.assert_array_equal(named.labels_, again.labels_)


def test_texts_that_are_cut_are_said(little: Corpus, tmp_path: Path) -> None:
    def check(body: dict[str, list[str]]) -> None:
        if max(map(len, body["input"])) > 5000:
            raise RefusalError(400, "the input is too long")

    long = little.table()
    long.loc[3, "text"] = "positive1 " * 900
    long.to_csv(tmp_path / "table.csv", index=False)
    said: list[str] = []
    with embeddings_server(check) as (url, _):
        server = {"base_url": url}
        refine_table(tmp_path / "table.csv", tmp_path / "run", features="api:m", server=server, say=said.append)
    assert "1 texts are longer than m reads and were cut" in said
