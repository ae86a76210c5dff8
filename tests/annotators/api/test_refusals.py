"""Refusals as servers word them: whom they concern, how long a text may be, and how long to wait."""

from __future__ import annotations

import json
from typing import Any

import pytest

from silr.annotators.api.addresses import check_address, path_hint, proxy_between, server_name
from silr.annotators.api.parameters import Parameters
from silr.annotators.api.refusals import Kind, asked_wait, is_error, read_refusal
from silr.annotators.api.request import Question, RequestOptions


def refusal(status: int, body: Any, **options: Any) -> Any:
    page = isinstance(body, str) and body.startswith("<")
    kind = "text/html" if page else "application/json"
    return read_refusal(status, {"Content-Type": kind}, body if isinstance(body, str) else json.dumps(body), **options)


@pytest.mark.parametrize(
    ("status", "body", "limit", "share"),
    [
        (
            *(
                400,
                {"error": {"message": "This model's maximum context length is 8192 tokens. However, your messages"}},
            ),
            *(8192, None),
        ),
        (
            400,
            {"object": "error", "message": "maximum context length is 4096 tokens. However, you requested 8192 tokens"},
            4096,
            0.5,
        ),
        (
            400,
            "'max_tokens' is too large: 100. The maximum context length is 4096 tokens and your request has 4050",
            4096,
            None,
        ),
        (400, {"error": {"message": "prompt is too long: 400,000 tokens > 200,000 maximum"}}, 200_000, 0.5),
        (
            400,
            {
                "error": {
                    "message": "request exceeds the available context size",
                    "n_prompt_tokens": 8192,
                    "n_ctx": 4096,
                }
            },
            4096,
            0.5,
        ),
        (
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4000. Given: 5000"},
            4000,
            0.8,
        ),
        (400, {"error": {"message": "Range of input length should be [1, 30720]"}}, 30720, None),
        (413, {"error": {"message": "Request too large on tokens per minute: Limit 6000, Requested 7500"}}, 6000, 0.8),
        (429, {"error": {"message": "Request too large on tokens per min: Limit 30000, Requested 60000"}}, 30000, 0.5),
        (400, [{"error": {"code": 400, "message": "The input token count (200) exceeds the allowed (100)"}}], 100, 0.5),
        (400, "string too long. Expected a string with maximum length 100, but got one of length 400", 100, 0.25),
        (
            400,
            {"error": {"message": "upstream", "metadata": {"raw": '{"error": "context length is 100, and 200 came"}'}}},
            *(100, 0.5),
        ),
        (500, {"error": "input length exceeds maximum context length"}, None, None),
        (400, "Input is too long for requested model.", None, None),
        (413, "<html><head><title>413 Request Entity Too Large</title></head></html>", None, None),
    ],
)
def test_a_text_that_is_too_long(status: int, body: Any, limit: int | None, share: float | None) -> None:
    found = refusal(status, body)
    assert found.kind is Kind.TOO_LONG
    assert found.limit() == limit and found.fits() == (share and pytest.approx(share))


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (Kind.REFUSED, 400, "Content Exists Risk"),
        (Kind.REFUSED, 400, "Input text data may contain inappropriate content."),
        (Kind.REFUSED, 400, "系统检测到输入或生成内容可能包含不安全或敏感内容"),
        (Kind.REFUSED, 403, 'Your input was flagged for "violence".'),
        (Kind.REFUSED, 451, "Unavailable"),
        (Kind.FILTERED, 400, "The response was filtered by the content management policy"),
        (Kind.UNPAID, 402, "This request requires more credits, or fewer max_tokens"),
        (Kind.UNPAID, 429, "insufficient_quota"),
        (Kind.UNPAID, 400, "Your credit balance is too low to access the API"),
        (Kind.UNPAID, 403, "Insufficient account balance"),
        (Kind.KEY, 401, "no"),
        (Kind.KEY, 400, "API key not valid. Please pass a valid API key."),
        (Kind.MODEL, 404, "The model `x` does not exist or you do not have access to it."),
        (Kind.MODEL, 400, "x is not a valid model ID"),
        (Kind.MODEL, 404, "No models loaded"),
        (Kind.PATH, 404, "Not Found"),
        (Kind.PATH, 405, "Method Not Allowed"),
        (Kind.DAILY, 429, "Rate limit reached on tokens per day (TPD): Limit 100000"),
        (Kind.DAILY, 429, "Rate limit exceeded: free-models-per-day"),
        (Kind.PASSING, 429, "Rate limit reached on requests per min (RPM): Limit 3"),
        (Kind.PASSING, 503, "Model x is currently loading"),
        (Kind.UNCLEAR, 400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
        (Kind.UNCLEAR, 404, "No endpoints found that can handle the requested parameters."),
        (
            Kind.FILTERED,
            400,
            "The response was filtered due to the prompt triggering Azure OpenAI's content management",
        ),
        (Kind.MODEL, 404, "The API deployment for this resource does not exist. If you created it 5 minutes ago, wait"),
        (Kind.KEY, 401, "Access denied due to invalid subscription key or wrong API endpoint."),
        (Kind.UNCLEAR, 403, "You are not allowed to request logprobs from this model"),
        (Kind.UNCLEAR, 400, "'temperature' does not support 0 with this model."),
        (Kind.PROXY, 407, "Proxy Authentication Required"),
    ],
)
def test_whom_a_refusal_concerns_in_any_body(kind: Kind, status: int, message: str) -> None:
    bodies = (message, {"error": {"message": message, "code": status}}, [{"error": {"message": message}}])
    for body in (*bodies, {"detail": message}, {"error": message}, {"message": message, "object": "error"}):
        assert refusal(status, body).kind is kind, body
        assert refusal(status, body).words == message


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"error": {"message": "Provider returned error: insufficient credits", "code": 402}}, 402),
        ({"error": {"message": "overloaded"}}, 429),
        ({"error": {"message": "upstream", "code": "502"}}, 502),
        ({"object": "error", "message": "the maximum context length is 10", "code": 40303}, 400),
        ("model not loaded", 500),
        ({"choices": [{"error": {"message": "broken", "code": 503}, "message": {"content": ""}}]}, 503),
    ],
)
def test_an_error_that_comes_as_an_answer(value: Any, status: int) -> None:
    assert is_error(value)
    assert refusal(200, json.dumps(value)).status == status


def test_pages_and_proxies() -> None:
    page = "<!doctype html><html><head><title>A page</title></head><body>for people</body></html>"
    assert refusal(200, page).kind is Kind.PAGE and refusal(200, page).words == "A page"
    blocked = "<html><title>ERROR</title>Generated by squid</html>"
    assert refusal(503, blocked).kind is Kind.PASSING
    assert refusal(503, blocked, proxy="http://proxy:3128").kind is Kind.PROXY


@pytest.mark.parametrize(
    ("body", "left_out", "top"),
    [
        ({"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}]}, ["logprobs"], 20),
        ({"error": {"message": 'Unknown name "temperature": Cannot find field.'}}, ["temperature"], 20),
        ("logprobs and temperature are not supported", ["logprobs", "temperature"], 20),
        ({"error": "top_logprobs must be at most 8"}, [], 8),
        ({"detail": [{"loc": ["body", "top_logprobs"], "msg": "Input should be less than 20"}]}, [], 5),
    ],
)
def test_parameters_that_are_refused(body: Any, left_out: list[str], top: int) -> None:
    plain = Parameters()
    found = plain.adapted(refusal(422, body), plain.of(Question([], logprobs=True), NINE))
    assert found is not None and (found.left_out(plain), found.top) == (left_out, top)
    assert plain.adapted(refusal(422, "too long: 9000 > 4096 tokens, logprobs or not"), {"logprobs": True}) is None
    assert plain.adapted(refusal(422, "no"), {"logprobs": True}) is None


PLAIN, NINE = Question([]), RequestOptions(max_answer_tokens=9)


def test_the_length_of_an_answer_is_renamed_then_left_out() -> None:
    first = Parameters()
    second = first.adapted(
        refusal(400, "Unsupported parameter: 'max_tokens'"),
        first.of(PLAIN, NINE),
    )
    assert second is not None and second.of(PLAIN, NINE)["max_completion_tokens"] == 9
    third = second.adapted(
        refusal(400, "unknown field max_completion_tokens"),
        second.of(PLAIN, NINE),
    )
    assert third is not None and third.of(PLAIN, NINE) == {"temperature": 0.0}


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"retry-after": "7200"}, "", 7200),
        ({"retry-after-ms": "1500"}, "try again in 9s", 1.5),
        ({}, "Please try again in 7m12.5s.", 432.5),
        ({}, "Please try again in 250ms", 0.25),
        ({}, "retryDelay 36s", 36),
        ({}, "Please wait 2 hours and 5 minutes", 7500),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", 0),
        ({"retry-after": "Thu, 01 Jan 2099 00:00:30 GMT", "date": "Thu, 01 Jan 2099 00:00:00 GMT"}, "", 30),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT", "date": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", 30),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT", "date": "soon"}, "", 0),
        ({"retry-after": "soon"}, "try again later", None),
        ({}, "Limit 3, Used 3", None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(headers: dict[str, str], words: str, seconds: float | None) -> None:
    assert asked_wait(headers, words) == (seconds if seconds is None else pytest.approx(seconds))


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_address("http://host:8000/v1/chat/completions/") == "http://host:8000/v1"
    assert server_name("https://me:secret@Host:443/v1/?api-key=secret") == "https://host/v1"
    assert server_name("http://[::1]:8000/v1") == "http://[::1]:8000/v1"
    assert "--base-url http://host:8000/v1" in path_hint("http://host:8000/")
    assert "ends where" in path_hint("http://host/api")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_between("https://far/v1") is None
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128")
    monkeypatch.setenv("no_proxy", "near")
    assert proxy_between("https://far/v1") == "http://proxy:3128" and proxy_between("https://near/v1") is None
