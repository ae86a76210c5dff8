"""The client of an embeddings server: each text has its own vector, once, whatever the server does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embeddings_server import FAULTS, RefusalError, embeddings_server, vector_of

from silr.annotators.api.embedding_replies import read_vectors
from silr.annotators.api.embeddings import CHARACTERS, TEXTS, EmbeddingsClient
from silr.annotators.api.pace import Caps, Sent
from silr.annotators.api.replies import NoReplyError
from silr.annotators.api.vectors import VectorCache
from silr.errors import InputError
from silr.features.api import ApiFeatures

WORDS = [f"word{number}" for number in range(40)]
CORPUS = [f"{WORDS[i % 40]} {WORDS[i * 7 % 40]} text {i}" for i in range(300)]
NewClient = Callable[..., EmbeddingsClient]


@pytest.fixture
def new_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewClient:
    for name in ("SILR_EMBEDDINGS_API_KEY", "SILR_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def new(url: str, **options: Any) -> EmbeddingsClient:
        client = EmbeddingsClient("a-model", VectorCache(tmp_path / "answers.sqlite"), base_url=url, **options)
        client._wait = lambda state: 0.01  # type: ignore[method-assign]
        client._retrying.wait = client._wait
        return client

    return new


def right(matrix: Any, texts: list[str], width: int = 16) -> None:
    assert matrix.dtype == np.float16
    np.testing.assert_allclose(matrix, [vector_of(text, width) for text in texts], atol=1e-3)


# --- what comes back --------------------------------------------------------------------------------------------------


def test_each_row_is_of_its_text_and_asked_for_once(new_client: NewClient) -> None:
    texts = [*CORPUS, "", CORPUS[0], "  \n"]
    with embeddings_server(lambda body: time.sleep(0.02)) as (url, record):  # long enough to overlap
        client = new_client(url)
        done = client.embed(texts)
        assert (done.n_cut, done.n_lacking, client.width) == (0, 0, 16)
        right(done.matrix, texts)  # zeros for empty texts: no words
        assert set(record.answered) == set(CORPUS) and set(record.answered.values()) == {1}
        assert all(len(body["input"]) <= TEXTS for body in record.bodies)
        assert sum(map(len, CORPUS)) / CHARACTERS < 1 and record.requests == len(CORPUS) // TEXTS + 1
        assert 1 < record.most_running <= 4
        assert client.cost.requests == record.requests and client.cost.tokens == sum(len(t.split()) for t in CORPUS)
        again = new_client(url)
        np.testing.assert_array_equal(again.embed(texts[::-1]).matrix, done.matrix[::-1])
        assert again.cost.requests == 0 and again.cost.cached == len(CORPUS)
        before = record.requests
        right(new_client(url, dimensions=8).embed(texts).matrix, texts, 8)  # another question
        assert record.requests == 2 * before and {body.get("dimensions") for body in record.bodies} == {None, 8}
    with embeddings_server() as (url, record):  # another server
        new_client(url).embed(texts)
        assert len(record.answered) == len(CORPUS)


def test_requests_a_minute(new_client: NewClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{text} {'m' * 15_000}" for text in CORPUS[:14]]  # two a request
    features = ApiFeatures("b-model", base_url="", rpm=300, cache=tmp_path / "answers.sqlite")
    caps, send = [], Caps.send  # what lets each request through

    def recorded(self: Caps, now: float, tokens: float) -> Sent:
        caps.append(self._rpm)
        return send(self, now, tokens)

    monkeypatch.setattr(Caps, "send", recorded)
    with embeddings_server() as (url, record):
        for embed in (new_client(url, rpm=300).embed, features.fit_transform):
            features.base_url = url
            embed(texts)
        assert record.requests == 14 and caps == [300] * 14
    with pytest.raises(InputError, match="rpm and tpm must be at least 1"):
        new_client(url, tpm=0)


def test_faulty_answers_are_asked_for_again(new_client: NewClient) -> None:
    texts = [f"{text} {'m' * 15_000}" for text in CORPUS[:100]]  # two a request
    with embeddings_server(fault_share=0.4) as (url, record):
        done = new_client(url).embed(texts)
    right(done.matrix, texts)
    assert done.n_lacking == 0 and set(record.answered.values()) == {1}
    assert set(record.faults) >= set(FAULTS)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"data": [{"embedding": [1.0, 2.0]}]}, "1 embeddings of 2 texts"),
        ({"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]}, "no common width in one answer: 1, 2"),
        ({"data": [{"embedding": []}, {"embedding": []}]}, "width"),
        ({"data": [{"embedding": [1.0]}, {"embedding": [None]}]}, "NaN"),
        ({"data": [{"embedding": [1.0]}, {"embedding": ["x"]}]}, "no list of numbers"),
        ({"data": [{"embedding": [1.0]}, {"embedding": "x"}]}, "no list of numbers"),
        ({"data": [{"embedding": [1.0]}, {"embedding": [7e4]}]}, "float16"),
        ({"data": [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 0}]}, "index"),
        ({"data": [1.0, 2.0]}, "no list of numbers"),
        ({"object": "list"}, "no embeddings but"),
        (None, "no embeddings but null"),
    ],
)
def test_what_is_no_embedding(value: object, said: str) -> None:
    with pytest.raises(NoReplyError, match=said):
        read_vectors(value, 2)


def test_other_forms_are_read() -> None:
    nested = [{"embedding": [[3, 4]], "index": 1}, {"embedding": [[1, 2]], "index": 0}]
    for value in ([[1, 2], [3, 4]], {"embeddings": [[1, 2], [3, 4]]}, nested, {"data": nested}):
        np.testing.assert_array_equal(read_vectors(value, 2), [[1, 2], [3, 4]])


# --- what the server does not take ------------------------------------------------------------------------------------


def limit_of(most: int, words: str) -> Callable[[dict[str, Any]], None]:
    def check(body: dict[str, Any]) -> None:
        if (longest := max(len(text.split()) for text in body["input"])) > most:
            raise RefusalError(400, words.format(most=most, sent=longest))

    return check


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is {most} tokens. However, you requested {sent} tokens in the input.",
        "the input is too long for the model",
    ],
)
def test_texts_that_are_too_long_are_cut_and_counted(words: str, new_client: NewClient) -> None:
    texts = [*CORPUS[:100], "long " * 300, "very " + "long " * 120, "very " + "long " * 120]
    with embeddings_server(limit_of(100, words)) as (url, record):
        done = new_client(url).embed(texts)
        assert (done.n_cut, done.n_lacking) == (3, 0)
        right(done.matrix[:100], texts[:100])
        assert (np.linalg.norm(done.matrix[100:].astype(float), axis=1) > 0.9).all()
        kept = [text for text in record.answered if "long" in text]
        assert len(kept) == 2 and all(50 <= len(text.split()) <= 100 for text in kept)
        assert record.requests < 25
        assert new_client(url).embed(texts).n_cut == 3  # known from the cache, too


def test_a_smaller_request_where_the_server_wants_one(new_client: NewClient) -> None:
    def check(body: dict[str, Any]) -> None:
        if len(body["input"]) > 10:
            raise RefusalError(422, f"batch size {len(body['input'])} > maximum allowed batch size 10")

    with embeddings_server(check) as (url, record):
        done = new_client(url).embed(CORPUS)
    right(done.matrix, CORPUS)
    assert set(record.answered.values()) == {1} and done.n_lacking == 0
    assert record.requests < 1.5 * len(CORPUS) / 8  # learnt once


@pytest.mark.parametrize(("status", "words"), [(400, "flagged by moderation"), (500, "unsupported value: NaN")])
def test_one_bad_text_costs_no_other_its_embedding(status: int, words: str, new_client: NewClient) -> None:
    def check(body: dict[str, Any]) -> None:
        if CORPUS[7] in body["input"]:
            raise RefusalError(status, words)

    with embeddings_server(check) as (url, record):
        done = new_client(url).embed(CORPUS)
    assert done.n_lacking == 1 and not done.matrix[7].any()
    others = [row for row in range(len(CORPUS)) if row != 7]
    right(done.matrix[others], [CORPUS[row] for row in others])
    assert set(record.answered.values()) == {1}


def test_many_bad_texts_are_an_error(new_client: NewClient) -> None:
    def check(body: dict[str, Any]) -> None:
        if any("word1" in text for text in body["input"]):
            raise RefusalError(400, "flagged by moderation")

    with embeddings_server(check) as (url, record):
        with pytest.raises(InputError, match=r"\d+ of 100 texts got no embedding from .*: flagged by moderation; what"):
            new_client(url).embed(CORPUS[:100])
        assert record.requests < 200 and record.answered  # it stops before all are asked about
        kept = [text for text in CORPUS if text in record.answered]
        client = new_client(url)
        right(client.embed(kept).matrix, kept)
        assert client.cost.requests == 0


def test_base64_that_is_refused_is_left(new_client: NewClient) -> None:
    def check(body: dict[str, Any]) -> None:
        if body["encoding_format"] == "base64":
            raise RefusalError(400, "encoding_format: input should be 'float'")

    with embeddings_server(check) as (url, record):
        right(new_client(url).embed(CORPUS).matrix, CORPUS)
        assert [body["encoding_format"] for body in record.bodies].count("base64") <= 4


def test_a_slow_server_gets_fewer_texts_at_a_time(new_client: NewClient) -> None:
    def check(body: dict[str, Any]) -> None:
        time.sleep(0.01 * len(body["input"]))

    with embeddings_server(check) as (url, record):
        right(new_client(url, timeout=0.45, concurrency=1).embed(CORPUS[:80]).matrix, CORPUS[:80])
        assert max(len(body["input"]) for body in record.bodies[2:]) <= 32


# --- what stops the job -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "Incorrect API key provided", "set SILR_EMBEDDINGS_API_KEY or OPENAI_API_KEY to a key of http"),
        (404, "The model `a-model` does not exist", "--features api:MODEL has to be the server's name for it"),
        (
            404,
            "unknown route",
            "check the path of --features-url: it ends where /embeddings begins, mostly in /v1, if the server has",
        ),
        (402, "payment required", "wants to be paid first"),
        (400, "something is wrong", "no answer to 10 requests in a row: .*something is wrong"),
        (429, "You exceeded your daily limit", "the server asks to wait until its quota is renewed"),
        (400, "This model does not support specifying dimensions", "leave out --features-dimensions"),
    ],
)
def test_what_hits_every_request(status: int, body: str, said: str, new_client: NewClient) -> None:
    def check(_: object) -> None:
        raise RefusalError(status, body)

    with embeddings_server(check) as (url, record), pytest.raises(InputError, match=said) as error:
        new_client(url, dimensions=8 if "dimensions" in body else None).embed(CORPUS)
    assert "\n" not in str(error.value) and record.requests <= 12


def test_no_server_and_no_address(new_client: NewClient) -> None:
    with pytest.raises(InputError, match=r"no server answers at http://127.0.0.1:9"):
        new_client("http://127.0.0.1:9/v1").embed(["a"])
    with pytest.raises(InputError, match=r"like http://127.0.0.1:8000/v1 \(--features-url, OPENAI_BASE_URL\)"):
        new_client("ftp://somewhere")


def test_another_width(new_client: NewClient) -> None:
    with embeddings_server() as (url, _):
        client = new_client(url)
        client.embed(CORPUS[:3])
        with pytest.raises(InputError, match="16 numbers a text for a-model, where texts before have 20: another"):
            new_client(url, width=20).embed(CORPUS[3:5])
        widths = iter([16, 20])
        with embeddings_server(lambda body: body.update(dimensions=next(widths))) as (other, _):
            changed = new_client(other)
            changed.embed(CORPUS[:1])
            with pytest.raises(InputError, match=r"to begin anew, move .*answers.sqlite away"):
                changed.embed(CORPUS[1:2])
    with (
        embeddings_server(lambda body: body.update(dimensions=16)) as (url, _),
        pytest.raises(InputError, match="gives 16 numbers a text for a-model, not 8: leave out --features-dimensions"),
    ):
        new_client(url, dimensions=8).embed(CORPUS[:3])


def test_the_budget_is_kept_and_what_came_is_not_paid_again(new_client: NewClient) -> None:
    with embeddings_server() as (url, record):
        with pytest.raises(InputError, match=r"budget of 2 requests with embeddings of \d+ of 300 texts; they are"):
            new_client(url, max_requests=2).embed(CORPUS)
        assert record.requests == 2
        with pytest.raises(InputError, match="the budget of 50 tokens"):
            new_client(url, max_tokens_total=50).embed(CORPUS)
        right(new_client(url).embed(CORPUS).matrix, CORPUS)
    assert set(record.answered.values()) == {1}


def test_keys(new_client: NewClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-chat")
    with embeddings_server() as (url, record):
        new_client(url).embed(["a"])
        monkeypatch.setenv("SILR_EMBEDDINGS_API_KEY", "sk-of-embeddings")
        new_client(url).embed(["b"])
    assert record.keys == {"Bearer sk-of-the-chat", "Bearer sk-of-embeddings"}
    assert not any(b"sk-of" in path.read_bytes() for path in tmp_path.iterdir())
