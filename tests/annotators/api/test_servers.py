"""Servers with ways of their own, through a real client: what becomes of each text, and what ends a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tenacity
from chat_server import RefusalError, SentError, by_word, chat_server, text_of

from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.client import ChatClient
from silr.annotators.api.pace import Pace
from silr.annotators.api.request import RequestOptions
from silr.annotators.base import annotate_texts
from silr.annotators.missing import Missing
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.annotators.table import annotate_file
from silr.errors import InputError

pytestmark = pytest.mark.slow

TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(30)]
Answer = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenacity.wait_random_exponential, "__call__", lambda wait, state: 0.0)


def annotator(url: str, cache: AnswerCache, **options: Any) -> ApiAnnotator:
    ours = {name: options.pop(name) for name in ("samples", "concurrency") if name in options}
    return ApiAnnotator(ChatClient("a-model", cache, base_url=url, **options), ("negative", "positive"), **ours)


def sends(*what: Any) -> Answer:
    def answer(body: dict[str, Any]) -> str:
        raise SentError(*what)

    return answer


def without(*names: str, status: int, body: Any) -> Answer:
    """A good answer to requests without some parameters."""

    def answer(request: dict[str, Any]) -> str:
        if any(name in request for name in names):
            raise SentError(status, body)
        return by_word(request)

    return answer


# --- what ends a job --------------------------------------------------------------------------------------------------

PAGE = "<!doctype html><html><body>A page for people</body></html>"
HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("response", "most", "said"),
    [
        ((200, PAGE, HTML), 1, ["web page ('A page for people')", "--base-url"]),
        ((200, '"model not loaded"'), 10, ["model not loaded"]),
        ((200, {"id": "1", "choices": []}), 10, ["no answer but"]),
        ((200, {"error": {"message": "Provider: insufficient credits", "code": 402}}), 1, ["paid first", "credits"]),
        ((402, {"error": {"message": "Insufficient Balance"}}), 1, ["paid first", "the same command goes on"]),
        ((401, {"error": {"message": "Incorrect key"}}), 1, ["Incorrect key", "OPENAI_API_KEY"]),
        ((404, {"detail": "Not Found"}), 1, ["Not Found", "--base-url"]),
        ((404, {"error": {"message": "model 'x' not found"}}), 1, ["model 'x' not found", "--model"]),
        ((407, PAGE, HTML), 1, ["the proxy", "HTTPS_PROXY"]),
        ((403, {"error": {"message": "Not in your country"}}), 10, ["Not in your country"]),
        ((500, {"error": {"message": "it broke"}}), 10, ["it broke"]),
        ((429, {"error": {"message": "slow down"}}, {"retry-after": "7200"}), 1, ["2 h 0 min", "slow down", "goes on"]),
        ((429, {"error": {"message": "Limit reached: requests per day"}}), 1, ["per day", "goes on"]),
        ((429, [{"error": {"message": "quota PerDay", "details": [{"retryDelay": "0s"}]}}]), 3, ["PerDay", "goes on"]),
    ],
)
def test_what_hits_every_text_ends_the_job(cache: AnswerCache, response: Any, most: int, said: list[str]) -> None:
    with chat_server(sends(*response)) as (url, record):
        with pytest.raises(InputError) as error:
            annotate_texts(annotator(url, cache), TEXTS)
        assert record.requests == most and record.most_running == 1
    assert all(words in str(error.value) for words in said), error.value
    assert "\n" not in str(error.value)


def test_a_model_that_thinks_to_its_limit_ends_the_job_and_is_paid_for_once(cache: AnswerCache) -> None:
    message = {"role": "assistant", "content": "", "reasoning_content": "Let me think"}
    with chat_server(lambda _: {"message": message, "finish_reason": "length"}) as (url, record):
        for requests in (10, 20):  # from the cache at first
            with pytest.raises(InputError, match="--max-answer-tokens"):
                annotate_texts(annotator(url, cache), TEXTS)
            assert record.requests == requests
        few = annotator(url, cache, options=RequestOptions(max_answer_tokens=8))
        with pytest.raises(InputError, match="the limit of 8 of answer tokens"):
            annotate_texts(few, TEXTS[:1])


def test_the_same_failures_end_no_job_that_had_answers(cache: AnswerCache) -> None:
    """They are reasons of single texts where the others are answered."""
    bad = dict(zip(TEXTS[3:7], [(200, PAGE, HTML), (403, "no"), (500, "it broke"), (200, '"none"')], strict=True))

    def answer(body: dict[str, Any]) -> str:
        if text_of(body) in bad:
            raise SentError(*bad[text_of(body)])
        return by_word(body)

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache, retries=2)
        found = annotate_texts(asking, TEXTS)
        assert np.flatnonzero(np.isnan(found.scores[:, 0])).tolist() == [3, 4, 5, 6]
        assert asking.remarks.missing == dict.fromkeys(bad, Missing.SERVER)


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_no_fault_gives_a_wrong_label_or_a_second_answer(cache: AnswerCache, concurrency: int) -> None:
    texts = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(60)]
    faults = ("503", "500", "cut", "malformed", "closed", "error body", "no choices")
    with chat_server(by_word, fault_share=0.45, faults=faults) as (url, record):
        asking = annotator(url, cache, concurrency=concurrency)
        found = annotate_texts(asking, texts)
        assert (found.scores.argmax(axis=1) == ["good" in text for text in texts]).all()
        assert record.answered == dict.fromkeys(texts, 1) and asking.remarks.missing == {}
        assert len(record.faults) == 7 and record.requests == 60 + record.faults.total() == asking.cost.requests


def test_a_long_wait_is_said_before_it_is_waited(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    asked = iter([90.0])
    monkeypatch.setattr("silr.annotators.api.refusals.asked_wait", lambda *_: next(asked, 0.0))
    waited: list[float | None] = []
    monkeypatch.setattr(Pace, "push_back", lambda self, wait: waited.append(wait) or True)
    with chat_server(by_word, fault_share=1.0, faults=("429",)) as (url, _):
        annotate_texts(annotator(url, cache, say=said.append), TEXTS[:1])
    assert said[0].startswith("the server asks to wait 1 min 30 s (429: slow down); waiting.")
    assert waited == [90.0, 0.0, 0.0, 0.0]


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "status", "body"),
    [
        (("logprobs",), 422, {"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}]}),
        (("top_logprobs",), 400, [{"error": {"code": 400, "message": 'Unknown name "top_logprobs"'}}]),
        (("logprobs",), 400, {"error": "logprobs is not supported by this server"}),
        (("logprobs",), 500, {"error": "logprobs not implemented"}),
        (("logprobs",), 400, "Bad Request"),
        (("logprobs",), 500, {"error": {"message": "list index out of range"}}),
        (("temperature",), 422, {"detail": "Unprocessable"}),
        (("temperature", "logprobs"), 400, {"error": {"message": "invalid request"}}),
        (("max_tokens",), 400, {"error": {"message": "unknown field: max_tokens"}}),
        (("max_tokens", "max_completion_tokens"), 400, {"error": {"message": "max_completion_tokens? max_tokens?"}}),
    ],
)
def test_refused_parameters_are_left_out(cache: AnswerCache, names: tuple[str, ...], status: int, body: Any) -> None:
    with chat_server(without(*names, status=status, body=body)) as (url, record):
        asking = annotator(url, cache, options=RequestOptions(max_answer_tokens=9))
        found = annotate_texts(asking, TEXTS)
        assert (found.scores.argmax(axis=1) == ["good" in text for text in TEXTS]).all()
        assert record.requests <= len(TEXTS) + 4 and asking.remarks.missing == {}
        left_out = [note for note in asking.notes if "left out" in note]
        assert len(left_out) == sum(name in names for name in ("temperature", "max_completion_tokens"))


# --- lengths ----------------------------------------------------------------------------------------------------------


def test_a_text_that_is_too_long_is_cut_to_the_limit_and_counted(tmp_path: Path, cache: AnswerCache) -> None:
    long = "bad " * 1000

    def answer(body: dict[str, Any]) -> str:
        length = len(body["messages"][0]["content"])
        if length > 3000:
            raise RefusalError(400, f"maximum context length is 3000 tokens, but the messages have {length}")
        return by_word(body)

    pd.DataFrame({"text": [*TEXTS[:5], long, long]}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, concurrency=1)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        assert (done.n_cut, done.n_missing, asking.remarks.cut) == (2, 0, {long}) and record.requests == 7
        assert 2500 < len(record.bodies[-1]["messages"][0]["content"]) <= 3000
        refined = SelfRefineAnnotator(annotator(url, AnswerCache(tmp_path / "other.sqlite")))
        assert not np.isnan(annotate_texts(refined, [TEXTS[0], long]).scores).any() and refined.remarks.cut == {long}


def test_a_server_that_cuts_prompts_without_a_word(cache: AnswerCache) -> None:
    usage = {"prompt_tokens": 2050, "completion_tokens": 3}
    with chat_server(lambda body: {"message": {"content": by_word(body)}, "usage": usage}) as (url, _):
        asking = annotator(url, cache)
        found = annotate_texts(asking, ["bad " * 20_000, "bad thing"])
        assert np.isnan(found.scores[:, 0]).tolist() == [True, False]
        assert list(asking.remarks.missing.values()) == [Missing.TOO_LONG]
        assert "num_ctx" in asking.notes[0]


# --- labels, scores and reasons ---------------------------------------------------------------------------------------


def scored(text: str) -> dict[str, Any]:
    top = [{"token": "positive", "logprob": -0.2}, {"token": "negative", "logprob": -1.7}]
    content = [{"token": "positive", "logprob": -0.2, "top_logprobs": top}] if text == "scored" else None
    return {"message": {"content": "positive"}, "logprobs": {"content": content}}


@pytest.mark.parametrize(("n_scored", "columns"), [(0, False), (1, True), (9, True)])
def test_no_scores_are_made_up(tmp_path: Path, cache: AnswerCache, n_scored: int, columns: bool) -> None:
    texts = [f"scored {i}" if i < n_scored else f"plain {i}" for i in range(10)]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(lambda body: scored(text_of(body).split()[0])) as (url, _):
        asking = annotator(url, cache)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["llm_label"].tolist() == ["positive"] * 10 and done.n_scored == n_scored
    assert ("llm_score_positive" in table) is columns and "llm_missing" not in table
    if columns:
        assert table["llm_score_positive"].notna().tolist() == [True] * n_scored + [False] * (10 - n_scored)
    assert [note for note in asking.notes if "--samples 5" in note] == asking.notes and bool(
        asking.notes
    ) is not n_scored


def test_a_label_that_its_log_probabilities_contradict_has_no_scores(cache: AnswerCache) -> None:
    top = [{"token": "negative", "logprob": -0.2}, {"token": "positive", "logprob": -1.7}]
    choice = {"message": {"content": "positive"}, "logprobs": {"content": [{"token": "positive", "top_logprobs": top}]}}
    with chat_server(lambda _: choice) as (url, _):
        assert annotate_texts(annotator(url, cache), ["x"]).scores.tolist() == [[-np.inf, 0.0]]


def test_reasons_stand_in_the_table_and_come_back_from_the_cache(tmp_path: Path, cache: AnswerCache) -> None:
    answers: dict[str, Any] = {
        "declined": {"message": {"content": None, "refusal": "I'd rather not"}},
        "filtered": {"message": {"content": ""}, "finish_reason": "content_filter"},
        "thinking": {"message": {"content": "", "reasoning_content": "Hm"}, "finish_reason": "length"},
        "long-winded": {"message": {"content": "positive, " + "because " * 40}, "finish_reason": "length"},
        "vague": "Hm.",
        "torn": "positive or negative",
        "broken": "",
    }

    def answer(body: dict[str, Any]) -> Any:
        if text_of(body) == "flagged":
            raise RefusalError(400, "Your input was flagged")
        return answers.get(text_of(body)) if text_of(body) in answers else by_word(body)

    texts = [*TEXTS[:3], *answers, "flagged", "flagged"]
    reasons = ["refused", "filtered", "cut off", "cut off", "no class named", "several named", "server error"]
    pd.DataFrame({"text": texts, "llm_missing": "old"}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, retries=0, concurrency=1)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
        assert table["llm_missing"].tolist() == ["", "", "", *reasons, "refused", "refused"]
        assert done.reasons == {**{reason: reasons.count(reason) for reason in reasons}, "refused": 3}
        assert json.loads(done.annotator.read_text())["counts"]["missing_reasons"] == done.reasons
        assert list(done.reasons)[:2] == ["refused", "cut off"] and done.n_missing == 9
        asked = [sum(text_of(body) == text for body in record.bodies) for text in [*answers, "flagged"]]
        assert asked == [1, 1, 2, 2, 2, 2, 1, 1]  # once more, more strictly, where that may help
        before = record.requests
        again = annotate_file(tmp_path / "in.csv", tmp_path / "again.csv", annotator(url, cache, retries=0), quiet=True)
        assert again.reasons == done.reasons and record.requests == before + 1  # the broken one only
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_what_the_budget_does_not_reach_was_not_asked(tmp_path: Path, cache: AnswerCache) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(by_word) as (url, _):
        asking = annotator(url, cache, max_requests=5)
        assert annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True).reasons == {"not asked": 25}


def test_a_text_whose_stricter_question_is_beyond_the_budget_is_still_open(tmp_path: Path, cache: AnswerCache) -> None:
    pd.DataFrame({"text": TEXTS[:4]}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(lambda body: "Hard to say." if text_of(body) == TEXTS[1] else by_word(body)) as (url, _):
        asking = annotator(url, cache, max_requests=2, concurrency=1)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        assert done.reasons == {"not asked": 2, "still open": 1} and done.record["answers"]["texts"] == 2


def test_another_server_is_asked_again_and_its_answers_are_kept_apart(tmp_path: Path, cache: AnswerCache) -> None:
    pd.DataFrame({"text": TEXTS[:4]}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(by_word) as (first, one), chat_server(lambda _: "positive") as (second, two):
        annotate_texts(annotator(first, cache), TEXTS[:4])
        scores = annotate_texts(annotator(second.replace("://", "://me:secret@"), cache), TEXTS[:4]).scores
        assert scores.argmax(axis=1).tolist() == [1] * 4 and one.requests == two.requests == 4
        annotate_texts(annotator(f"{second}/chat/completions", cache), TEXTS[:4])
        assert two.requests == 4  # the same server, whoever asks
        described = annotator(second.replace("://", "://me:secret@"), cache).describe()
        assert described["server"] == second and "secret" not in json.dumps(described)
    assert b"secret" not in (tmp_path / "answers.sqlite").read_bytes()


def test_a_first_address_that_was_wrong_leaves_nothing_in_the_way(tmp_path: Path, cache: AnswerCache) -> None:
    pd.DataFrame({"text": TEXTS[:4]}).to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(InputError, match="no server answers"):
        annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator("http://127.0.0.1:9/v1", cache), quiet=True)
    with chat_server(by_word) as (url, _):
        assert (
            annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator(url, cache), quiet=True).n_missing == 0
        )


def test_a_proxy_in_between_is_named(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with chat_server(sends(403, "<html>Access denied by the web proxy</html>", HTML)) as (url, _):
        proxy = url.removesuffix("/v1")
        monkeypatch.setenv("http_proxy", proxy)
        with pytest.raises(InputError, match=f"the proxy {proxy} refuses the request"):
            annotate_texts(annotator("http://far.example/v1", cache), TEXTS[:1])
        monkeypatch.setenv("https_proxy", proxy)  # the little server knows no CONNECT
        with pytest.raises(InputError, match=f"the proxy {proxy} refuses the connection to https://far.example/v1"):
            annotate_texts(annotator("https://far.example/v1", cache), TEXTS[:1])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"no server answers at http://far.example \(through the proxy"):
        annotate_texts(annotator("http://far.example/v1", cache), TEXTS[:1])
