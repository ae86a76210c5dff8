"""What a user wants of every request: what is sent, what is kept, what is said, and what is refused before."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chat_server import RefusalError, SentError, by_word, chat_server, text_of

import silr
from command_line import Commands
from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.client import ChatClient
from silr.annotators.api.connection import connect
from silr.annotators.api.extra_body import read_body
from silr.annotators.api.headers import Secrets, read_headers
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.request import Question, RequestOptions
from silr.annotators.base import annotate_texts
from silr.annotators.table import annotate_file
from silr.errors import InputError

CLASSES = ("negative", "positive")
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(12)]
NEW = ("snapshot", "asked", "left_out")  # of an answer, since 0.2
SECRET = "s3cret-of-the-header"


def annotator(url: str, cache: AnswerCache, samples: int = 1, **options: Any) -> ApiAnnotator:
    client = ChatClient("a-model", cache, base_url=url, options=RequestOptions(**options), retries=0)
    return ApiAnnotator(client, CLASSES, samples=samples, concurrency=2)


# --- the body, and the key of the cache -------------------------------------------------------------------------------


def test_the_body_has_what_is_wanted_and_the_user_wins() -> None:
    plain, question = Parameters(), Question([], logprobs=True)
    named = RequestOptions(reasoning_effort="low", service_tier="flex", extra_body={"top_p": 0.5, "temperature": 2})
    body = {"temperature": 2, "logprobs": True, "top_logprobs": 20, "top_p": 0.5}
    assert plain.of(question, named) == body | {"reasoning_effort": "low", "service_tier": "flex"}
    off = RequestOptions(max_answer_tokens=9, extra_body={"logprobs": False, "max_completion_tokens": 7})
    assert plain.of(question, off) == {"temperature": 0.0, "logprobs": False, "max_completion_tokens": 7}
    kept = Parameters(asked=frozenset(named.asked())).without("temperature", "logprobs", "top_p")
    assert plain.of(question, named).keys() - kept.of(question, named).keys() == {"logprobs", "top_logprobs"}


def test_the_key_has_what_may_change_an_answer_and_old_keys_stay() -> None:
    def key(**options: Any) -> dict[str, object]:
        return Question([]).key("server", "model", RequestOptions(**options))

    old = {"server": "server", "model": "model", "messages": [], "temperature": 0.0, "sample": 0, "logprobs": False}
    assert key() == key(temperature=1, service_tier="flex") == old | {"max_answer_tokens": None}
    assert key(reasoning_effort="low")["reasoning_effort"] == "low"
    assert key(extra_body={"a": {"b": 1}})["extra_body"] == {"a": {"b": 1}}
    assert key(extra_body={}, headers={"X-a": "1"}) == key()  # headers say who asks
    assert RequestOptions(headers={"X-b": SECRET, "X-a": "1"}).describe() == {"headers": ["X-a", "X-b"]}


def test_temperatures() -> None:
    assert [RequestOptions().temperature_for(samples) for samples in (1, 5)] == [0.0, 1.0]
    warm = RequestOptions(temperature=1)
    assert json.dumps(warm.temperature) == "1.0" and warm.temperature_for(5) == 1.0
    with pytest.raises(InputError, match="all answers are the same"):
        RequestOptions(temperature=0).temperature_for(2)


# --- what is refused before anything is sent --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": -0.1}, "--temperature has to be a number from 0"),
        ({"temperature": float("nan")}, "--temperature"),
        ({"temperature": "hot"}, "--temperature"),
        ({"max_answer_tokens": 0}, "--max-answer-tokens"),
        ({"reasoning_effort": " "}, "--reasoning-effort has to be a word"),
        ({"extra_body": [1]}, "JSON object"),
        ({"extra_body": {"messages": []}}, "'messages', which silr decides"),
        ({"extra_body": {"n": 2}}, "'n', which silr decides"),
        ({"extra_body": {"x": {1, 2}}}, "cannot be written as JSON"),
        ({"headers": {"X": " "}}, "--header X has no value"),
        ({"headers": {"X": f"{SECRET}\nY: 2"}}, "--header X has a line break"),
        ({"headers": {"X": f"{SECRET}\u00e9"}}, "--header X has characters"),
        ({"headers": {"X Y": "1"}}, "a name that no header has"),
        ({"headers": {"content-length": "1"}}, "silr decides"),
        ({"headers": {"x": "1", "X": "2"}}, "twice"),
    ],
)
def test_what_cannot_be_sent(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        RequestOptions(**options)
    assert said in str(error.value) and "\n" not in str(error.value) and SECRET not in str(error.value)


def test_values_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('\ufeff{"a": {"b": [1, null]}}', encoding="utf-8")
    assert read_body(f"@{tmp_path / 'body.json'}") == read_body('{"a": {"b": [1, null]}}')
    for wrong in ("", "[1]", "{", '"x"', '{"x": NaN}', "@", f"@{tmp_path}", "@nowhere.json", "[" * 100_000):
        with pytest.raises(InputError, match="--extra-body"):
            read_body(wrong)
    assert read_headers(["X-A=1=2", "X-B: c", "authorization = Bearer x"]) == {
        "X-A": "1=2",
        "X-B": "c",
        "Authorization": "Bearer x",
    }
    for pairs in (["X"], ["=x"], ["X="], ["X=1", "x=2"]):
        with pytest.raises(InputError, match="--header"):
            read_headers(pairs)


def test_headers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", f" {SECRET}\n")
    monkeypatch.delenv("NOBODY", raising=False)
    made = connect("http://127.0.0.1:9/v1", headers={"X-Team": "env:TEAM"})
    assert made.client.default_headers["X-Team"] == SECRET
    assert made.secrets.hidden(f"you are {SECRET}") == "you are ***"
    with pytest.raises(InputError, match="'NOBODY', which is not set"):
        connect("http://127.0.0.1:9/v1", headers={"X-Team": "env:NOBODY"})


def test_what_is_hidden() -> None:
    secrets = Secrets(["short", None, "Bearer abcdefgh", 'a"quoted"one', "content"])
    assert secrets.hidden("short Bearer abcdefgh, abcdefgh") == "short ***, ***"
    assert secrets.hidden(json.dumps({"content": 'a"quoted"one'})) == '{"content": "***"}'
    assert Secrets(["positive"]).hidden("positive", but="negative or positive?") == "positive"


@pytest.mark.parametrize(
    ("url", "version", "address"),
    [
        ("https://x.openai.azure.com", "2024-10-21", "https://x.openai.azure.com/openai/"),
        ("https://x.openai.azure.com/openai/", "2024-10-21", "https://x.openai.azure.com/openai/"),
        (
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            None,
            "https://x.openai.azure.com/openai/deployments/d/",
        ),
        ("https://x.openai.azure.com/openai/v1", None, "https://x.openai.azure.com/openai/v1/"),
        ("https://x.services.ai.azure.com/openai/v1/", "preview", "https://x.services.ai.azure.com/openai/v1/"),
    ],
)
def test_addresses_of_azure(url: str, version: str | None, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "of-azure")
    monkeypatch.setenv("OPENAI_API_KEY", "of-openai")
    monkeypatch.delenv("SILR_API_KEY", raising=False)
    made = connect(url, api_version=version)
    assert str(made.client.base_url) == address and made.client.api_key == "of-azure" and made.is_azure
    assert not connect("https://api.groq.com/openai/v1").is_azure
    for wrong, said in ((None, "give its address"), ("https://x.openai.azure.com", "has to be like 2024-10-21")):
        with pytest.raises(InputError, match=said):
            monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
            connect(wrong, api_version="no version")


def test_a_token_of_entra_goes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILR_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    cache_headers = {"Authorization": "Bearer a-token"}
    with chat_server(by_word) as (url, record):
        made = connect(url.removesuffix("/v1"), api_version="2024-10-21", headers=cache_headers)
        body: Any = [{"role": "user", "content": "<text>\ngood\n</text>"}]
        made.client.chat.completions.create(model="d", messages=body)
        path, headers = record.calls[0]
    assert path == "/openai/deployments/d/chat/completions?api-version=2024-10-21"
    assert headers["authorization"] == "Bearer a-token" and "api-key" not in headers


# --- a server that refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status", "words", "said"),
    [
        ({"reasoning_effort": "low"}, 400, "Unknown parameter: 'reasoning_effort'", "--reasoning-effort low"),
        ({"reasoning_effort": "low"}, 400, "Unsupported value: 'low' for this model", "--reasoning-effort low"),
        ({"reasoning_effort": "low"}, 400, '"llama3.2" does not support thinking', "--reasoning-effort low"),
        ({"service_tier": "flex"}, 422, "service_tier: Extra inputs are not permitted", "--service-tier flex"),
        ({"temperature": 3}, 400, "temperature must be at most 2", "--temperature 3.0"),
        ({"extra_body": {"seed": 1}}, 500, "seed is not implemented", "--extra-body (seed)"),
        (
            {"extra_body": {"safety_settings": []}},
            400,
            "Unknown name safety_settings",
            "--extra-body (safety_settings)",
        ),
        ({"extra_body": {"a": {"deep_name": 1}}}, 400, "deep_name?", "--extra-body (a)"),
        ({"extra_body": {"budget_tokens": 1}}, 400, "budget_tokens exceeds max_tokens", "--extra-body (budget_tokens)"),
    ],
)
def test_an_option_of_the_user_is_never_left_out(
    cache: AnswerCache, options: dict[str, Any], status: int, words: str, said: str
) -> None:
    def answer(body: dict[str, Any]) -> str:
        raise RefusalError(status, words)

    with chat_server(answer) as (url, record):
        with pytest.raises(InputError) as error:
            annotate_texts(annotator(url, cache, **options), TEXTS)
        assert record.requests == 1
    assert str(error.value).startswith(f"the server does not take {said} ({status}): ")


def test_what_silr_wants_by_itself_goes_first_and_a_refusal_without_reason_names_all(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if "logprobs" in body:
            raise RefusalError(400, "logprobs are not supported with reasoning_effort low")
        if "top_p" in body:
            raise RefusalError(400, "Bad Request")
        return by_word(body)

    with chat_server(answer) as (url, record):
        annotate_texts(annotator(url, cache, reasoning_effort="low"), TEXTS[:2])
        assert record.requests == 3 and record.bodies[-1]["reasoning_effort"] == "low"
        with pytest.raises(InputError, match=r"it may not take --extra-body \(top_p\)"):
            annotate_texts(annotator(url, cache, extra_body={"top_p": 1}), TEXTS[:2])


def test_a_text_that_names_an_option_ends_nothing(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if text_of(body) == TEXTS[5]:
            raise RefusalError(400, "reasoning_effort in this text cannot be processed")
        return by_word(body)

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache, reasoning_effort="low")
        annotate_texts(asking, TEXTS)
        assert list(asking.remarks.missing) == [TEXTS[5]]


def test_no_value_of_a_header_is_written_or_said(
    cache: AnswerCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEAM", SECRET)
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)

    def echo(body: dict[str, Any]) -> Any:
        if text_of(body) == TEXTS[3]:
            raise SentError(400, {"error": {"message": f"no, {SECRET}", "headers": {"x-team": SECRET}}})
        if text_of(body) == TEXTS[4]:
            raise SentError(200, json.dumps({"unknown": SECRET}))
        return {"message": {"content": f"{by_word(body)} ({SECRET})"}, "model": f"m-{SECRET}"}

    options: dict[str, Any] = {"headers": {"X-Team": "env:TEAM", "X-Plain": "positive"}}
    assert SECRET not in repr(RequestOptions(headers={"X-Team": SECRET}))
    with chat_server(echo) as (url, record):
        asking = annotator(url, cache, **options)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        assert record.calls[0][1]["x-team"] == SECRET and record.calls[0][1]["x-plain"] == "positive"
        assert done.labels == {"negative": 3, "positive": 7}
        assert asking.remarks.failures[TEXTS[3]].endswith("no, ***")
    described = json.loads((tmp_path / "out.annotator.json").read_text())
    assert described["headers"] == ["X-Plain", "X-Team"]
    assert {each["model"] for each in described["snapshots"]} == {"m-***"}
    sqlite3.connect(cache.path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "".join(capsys.readouterr())


def test_a_header_more_asks_nothing_anew(cache: AnswerCache, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    pd.DataFrame({"text": TEXTS}).to_csv(source, index=False)

    answered = Counter[str]()

    def gate(path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        if text_of(body) == TEXTS[6] and "x-team" not in headers:
            raise SentError(401, {"error": {"message": "who are you?"}})

    def answer(body: dict[str, Any]) -> str:
        answered[text_of(body)] += 1
        return by_word(body)

    with chat_server(answer, gate=gate) as (url, _):
        with pytest.raises(InputError, match="who are you"):
            annotate_file(source, output, annotator(url, cache), quiet=True)
        assert answered and TEXTS[6] not in answered
        annotate_file(source, output, annotator(url, cache, headers={"X-Team": "a"}), quiet=True)  # goes on
        more = {"X-Team": "b", "X-Title": "silr"}
        annotate_file(source, tmp_path / "other.csv", annotator(url, cache, headers=more), quiet=True)
    assert answered == Counter(TEXTS)
    assert json.loads((tmp_path / "other.annotator.json").read_text())["headers"] == ["X-Team", "X-Title"]


# --- the record -------------------------------------------------------------------------------------------------------


def test_the_record_says_which_snapshots_answered_and_when(cache: AnswerCache, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)

    def answer(body: dict[str, Any]) -> Any:
        if "temperature" in body:
            raise RefusalError(400, "temperature does not support 0")
        which = "m-2" if int(text_of(body).split()[-1]) > 8 else "m-1"
        return {"message": {"content": by_word(body)}, "model": which, "system_fingerprint": f"fp_{which}"}

    def annotate(output: str) -> tuple[Any, dict[str, Any]]:
        asking = annotator(url, cache, reasoning_effort="low", service_tier="flex")
        done = annotate_file(tmp_path / "in.csv", tmp_path / output, asking, quiet=True)
        return done, json.loads(done.annotator.read_text())

    with chat_server(answer) as (url, record):
        done, described = annotate("out.csv")
        assert described["snapshots"] == [
            {"model": "m-1", "system_fingerprint": "fp_m-1", "answers": 9},
            {"model": "m-2", "system_fingerprint": "fp_m-2", "answers": 3},
        ]
        (line,) = done.provenance.lines()
        assert line.startswith(
            "answers came from 2 snapshots, which may judge differently: m-1 (fp_m-1) 9, m-2 (fp_m-2) 3"
        )
        sent = {"logprobs": True, "top_logprobs": 20, "reasoning_effort": "low", "service_tier": "flex"}
        assert described["parameters"] == sent and described["left_out"] == ["temperature"]
        assert described["reasoning_effort"] == "low" and "temperature" not in described
        before = record.requests
        _, again = annotate("again.csv")  # from the cache: the dates are those of the answers
        assert record.requests == before
        names = ("snapshots", "requests", "left_out", "parameters")
        assert [again[name] for name in names] == [described[name] for name in names]


def test_an_interrupted_annotation_keeps_its_snapshots_and_old_answers_have_none(
    cache: AnswerCache, tmp_path: Path
) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    which = ["m-1"]

    def answer(body: dict[str, Any]) -> Any:
        if which == ["m-1"] and text_of(body) == TEXTS[6]:
            raise SentError(402, {"error": {"message": "pay"}})
        return {"message": {"content": by_word(body)}, "model": which[0]}

    with chat_server(answer) as (url, _):
        with pytest.raises(InputError, match="pay"):
            annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator(url, cache), quiet=True)
        which[0] = "m-2"
        other = AnswerCache(tmp_path / "other.sqlite")  # only the unfinished annotation remembers
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator(url, other), quiet=True)
        counts = {snapshot.model: count for snapshot, count in done.provenance.answers.items()}
        assert counts.keys() == {"m-1", "m-2"} and sum(counts.values()) == len(TEXTS) and counts["m-1"] >= 5

        for key, text in other._connection.execute("SELECT key, answer FROM answers").fetchall():
            old = {name: value for name, value in json.loads(text).items() if name not in NEW}
            other._connection.execute("UPDATE answers SET answer = ? WHERE key = ?", (json.dumps(old), key))
        again = annotate_file(tmp_path / "in.csv", tmp_path / "again.csv", annotator(url, other), quiet=True)
    described = json.loads(again.annotator.read_text())["snapshots"]
    (line,) = again.provenance.lines()
    assert line.startswith("answered by m-2, 20") and "; who gave " in line and line.endswith("answers is not known")
    assert {each["model"] for each in described} >= {None, "m-2"} and not again.n_missing


# --- Python and the command line --------------------------------------------------------------------------------------


def test_python_takes_all_options(tmp_path: Path) -> None:
    with chat_server(by_word) as (url, record):
        wanted: dict[str, Any] = {"reasoning_effort": "low", "extra_body": {"top_p": 0.5}, "headers": {"X-A": "b"}}
        wanted |= {"max_requests": 3, "concurrency": 1, "cache": tmp_path / "c.sqlite", "max_answer_tokens": 9}
        found = silr.annotate(TEXTS, CLASSES, model="m", base_url=url, **wanted)
        assert found["llm_label"].notna().sum() == 3 and record.requests == 3 and (tmp_path / "c.sqlite").exists()
        assert record.bodies[0].items() >= {"reasoning_effort": "low", "top_p": 0.5, "max_tokens": 9}.items()
        assert record.calls[0][1]["x-a"] == "b"
    for name, said in (
        ("reasoning_efort", "'reasoning_effort'"),
        ("header", "'headers'"),
        ("class_word", "'class_words'"),
    ):
        with pytest.raises(InputError, match=f"has no option '{name}'; did you mean {said}"):
            silr.annotate(TEXTS, CLASSES, model="m", base_url=url, **{name: "x"})
    with pytest.raises(InputError, match="temperature is an option of a model behind a server: give base_url"):
        silr.annotate(TEXTS, CLASSES, model="m", temperature=1)


@pytest.mark.slow
def test_bad_input_ends_with_one_line_before_anything_is_sent(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "NOBODY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    commands.load("silr.annotators.api.annotator", "openai")
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    base = ["annotate", "in.csv", "-o", "out.csv", "--classes", *CLASSES, "--cache", "c.sqlite"]
    with chat_server(by_word) as (url, record):
        server = ["--base-url", url, "--model", "m"]
        cases = [
            ([*server, "--extra-body", "[1]"], "--extra-body has to be a JSON object"),
            ([*server, "--extra-body", '{"stream": true}'], "'stream', which silr decides"),
            ([*server, "--extra-body", "@no.json"], "cannot read no.json of --extra-body"),
            ([*server, "--header", "X-A"], "--header has to look like NAME=VALUE"),
            ([*server, "--header", "X-A="], "--header X-A has no value"),
            ([*server, "--header", f"X-A={SECRET}\nX"], "--header X-A has a line break"),
            ([*server, "--header", "X-A=env:NOBODY"], "'NOBODY', which is not set"),
            ([*server, "--temperature", "-1"], "--temperature has to be a number from 0"),
            ([*server, "--temperature", "0", "--samples", 3], "all answers are the same"),
            (["--annotator", "api", "--model", "m", "--api-version", "2024-10-21"], "--api-version is for Azure"),
            (["--reasoning-effort", "low"], "--reasoning-effort is for a server"),
        ]
        for options, said in cases:
            done = commands(*base, *options, cwd=tmp_path)
            assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
            assert done.err.startswith("silr: ") and said in done.err and SECRET not in done.err, done
        assert record.requests == 0
        good = ["--header", f"X-A={SECRET}", "--extra-body", '{"top_p": 1}', "--temperature", "0.5"]
        done = commands(*base, *server, *good, cwd=tmp_path)
        assert done.code == 0 and "answered by m, 20" in done.out and record.bodies[0]["temperature"] == 0.5
        assert SECRET not in (tmp_path / "out.annotator.json").read_text() + done.out + done.err
