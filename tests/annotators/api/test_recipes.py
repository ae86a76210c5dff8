"""The commands of the docs, each against a small server that behaves as that server is documented to."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd
import pytest
from chat_server import SentError, by_word, chat_server

from command_line import Commands

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[3] / "docs" / "servers.md"
KEY = "a-key-of-the-vendor"
TEXTS = ["a good thing", "a bad thing", "another good thing"]
Body = dict[str, Any]


class Recipe(NamedTuple):
    server: str
    key: str  # the variable that has it, empty where none is wanted
    command: str
    scores: bool  # whether log-probabilities come with the very command


def recipes() -> list[Recipe]:
    """The rows of the table."""
    section = DOCS.read_text(encoding="utf-8").partition("## Recipes\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in section.splitlines() if "silr ann" in line
    ]
    found = []
    for first, command, _, scores in rows:
        server, _, export = first.partition(": ")
        variable = re.search(r"`export (\w+)=\S+`", export)
        found.append(
            Recipe(server.strip("`"), variable[1] if variable else "", command.strip("`"), scores[:3] == "yes")
        )
    return found


# --- what the servers are documented to do ----------------------------------------------------------------------------


def wants(condition: bool, status: int, message: str, **more: Any) -> None:
    if not condition:
        raise SentError(status, {"error": {"message": message, **more}})


def bearer(headers: dict[str, str]) -> None:
    wants(headers.get("authorization") == f"Bearer {KEY}", 401, "Incorrect API key provided")


def without_thoughts_if(off: bool, body: Body) -> Any:
    """The answer, which does not come where the model thinks to its limit."""
    if not off:
        return {"message": {"content": "", "reasoning_content": "Let me think"}, "finish_reason": "length"}
    return by_word(body)


def with_logprobs(body: Body, choice: Any) -> Any:
    if not body.get("logprobs") or not isinstance(choice, str):
        return choice
    top = [{"token": word, "logprob": -0.2 if word == choice else -1.7} for word in ("negative", "positive")]
    content = [{"token": choice, "logprob": -0.2, "top_logprobs": top[: body["top_logprobs"]]}]
    return {"message": {"content": choice}, "logprobs": {"content": content}}


def openai(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1/chat/completions", 404, "Not Found")
    bearer(headers)
    wants(body["model"] == "gpt-5.1", 404, f"The model `{body['model']}` does not exist")
    of_openai(body, ("none", "low", "medium", "high"))


def of_openai(body: Body, efforts: tuple[str, ...]) -> None:
    effort = body.get("reasoning_effort", efforts[0])
    unsupported = f"Unsupported value: '{effort}' is not supported with this model. Supported values are: {efforts}"
    wants(effort in efforts, 400, unsupported, code="unsupported_value")
    wants("max_tokens" not in body, 400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    if effort != "none":
        only = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
        wants(body.get("temperature", 1) == 1, 400, only, param="temperature")
        wants("logprobs" not in body, 400, "logprobs are not supported with reasoning models", param="logprobs")


def azure(path: str, headers: dict[str, str], body: Body) -> None:
    found = urlsplit(path)
    wants(found.path.startswith("/openai/deployments/"), 404, "Resource not found", code="404")
    wants(found.query == "api-version=2024-10-21", 404, "Resource not found", code="404")
    wants(headers.get("api-key") == KEY, 401, "Access denied due to invalid subscription key")
    missing = "The API deployment for this resource does not exist."
    wants(found.path == "/openai/deployments/DEPLOYMENT/chat/completions", 404, missing, code="DeploymentNotFound")


def azure_v1(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/openai/v1/chat/completions", 404, "Resource not found", code="404")
    known = headers.get("api-key") == KEY or headers.get("authorization") == f"Bearer {KEY}"
    wants(known, 401, "Access denied due to invalid subscription key")
    wants(body["model"] == "DEPLOYMENT", 404, "The API deployment for this resource does not exist.")
    of_openai(body, ("minimal", "low", "medium", "high"))


def anthropic(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1/chat/completions", 404, "Not Found")
    bearer(headers)
    wants(0 <= body.get("temperature", 1) <= 1, 400, "temperature: range: 0..1")
    kind = body.get("thinking", {"type": "disabled"})["type"]
    wants(kind in ("disabled", "enabled", "adaptive"), 400, f"thinking.type: Input should be 'enabled', not {kind}")


def gemini(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1beta/openai/chat/completions", 404, "Not Found")
    wants(headers.get("authorization") == f"Bearer {KEY}", 400, "API key not valid. Please pass a valid API key.")
    for name in sorted(
        body.keys() - {"model", "messages", "temperature", "max_tokens", "reasoning_effort", "extra_body"}
    ):
        words = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
        raise SentError(400, [{"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}])
    wants(body.get("reasoning_effort") in ("none", "low", "medium", "high"), 400, "Invalid value at 'reasoning_effort'")


def openrouter(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/api/v1/chat/completions", 404, "Not Found")
    bearer(headers)
    wants(headers.get("x-title") == "silr", 400, "which app?")
    wants(set(body["reasoning"]) <= {"effort", "max_tokens", "exclude", "enabled"}, 400, "reasoning: Invalid input")


def vllm(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1/chat/completions", 404, "Not Found")
    most = "Requested sample logprobs of 21, which is greater than max allowed: 20"
    wants(body.get("top_logprobs", 0) <= 20, 400, most)


def ollama(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1/chat/completions", 404, "Not Found")
    effort = body.get("reasoning_effort", "high")
    wants(effort in ("high", "medium", "low", "max", "none"), 400, f"invalid reasoning value: '{effort}'")


def transformers_serve(path: str, headers: dict[str, str], body: Body) -> None:
    wants(path == "/v1/chat/completions", 404, "Not Found")
    known = {"model", "messages", "temperature", "max_tokens", "logprobs", "top_logprobs", "reasoning_effort"}
    unexpected = body.keys() - known - {"chat_template_kwargs", "generation_config", "seed", "top_p", "stop"}
    if unexpected:
        raise SentError(422, {"detail": f"Unexpected fields in the request: {unexpected}"})


def thinks_unless_told(body: Body) -> Any:
    return without_thoughts_if(body.get("chat_template_kwargs") == {"enable_thinking": False}, body)


def thinks_unless_none(body: Body) -> Any:
    return without_thoughts_if(body.get("reasoning_effort") in ("none", "minimal"), body)


def scored(answer: Callable[[Body], Any]) -> Callable[[Body], Any]:
    return lambda body: with_logprobs(body, answer(body))


SERVERS: dict[str, tuple[Callable[[str, dict[str, str], Body], None], Callable[[Body], Any]]] = {
    "OpenAI": (openai, scored(thinks_unless_none)),
    "Azure": (azure, scored(by_word)),
    "Azure, newer address": (azure_v1, thinks_unless_none),
    "Anthropic": (anthropic, lambda body: without_thoughts_if(body["thinking"] == {"type": "disabled"}, body)),
    "Gemini": (gemini, thinks_unless_none),
    "OpenRouter": (openrouter, scored(lambda body: without_thoughts_if(body["reasoning"] == {"enabled": False}, body))),
    "vLLM": (vllm, scored(thinks_unless_told)),
    "Ollama": (ollama, scored(thinks_unless_none)),
    "llama.cpp": (vllm, scored(thinks_unless_told)),
    "transformers serve": (transformers_serve, thinks_unless_told),
}


def test_every_server_of_the_docs_is_here() -> None:
    assert [recipe.server for recipe in recipes()] == list(SERVERS)


@pytest.fixture
def commands(commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """The command line, where no key and no proxy is set; the cache is a fresh one."""
    for name in ("SILR_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands.load("silr.annotators.api.annotator", "openai")
    return commands


def words_to(command: str, url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a command, whose server is here: a vendor's by way of a proxy, so that its name stays."""
    host = urlsplit(url).netloc
    words = shlex.split(command)
    at = words.index("--base-url") + 1
    if words[at].startswith("https://"):
        monkeypatch.setenv("http_proxy", f"http://{host}")
        words[at] = words[at].replace("https://", "http://")
    else:
        words[at] = words[at].replace(urlsplit(words[at]).netloc, host)
    return words


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.server)
def test_the_command_works(recipe: Recipe, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, answer = SERVERS[recipe.server]
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "texts.csv", index=False)
    if recipe.key:
        monkeypatch.setenv(recipe.key, KEY)

    def by_path(path: str, headers: dict[str, str], body: Body) -> None:
        found = urlsplit(path)  # whole where it comes by way of a proxy
        gate(found.path + (f"?{found.query}" if found.query else ""), headers, body)

    with chat_server(answer, gate=by_path) as (url, record):
        done = commands(*words_to(recipe.command, url, monkeypatch)[1:], "--json", cwd=tmp_path)
    assert done.code == 0 and done.err == "", done
    table = pd.read_csv(tmp_path / "labelled.csv")
    assert table["llm_label"].tolist() == ["positive", "negative", "positive"], done
    assert ("llm_score_positive" in table) is recipe.scores and record.requests <= len(TEXTS) + 3
    described = json.loads((tmp_path / "labelled.annotator.json").read_text())
    sent = {name: value for name, value in record.bodies[-1].items() if name not in ("model", "messages")}
    assert described["parameters"] == sent and KEY not in json.dumps(described)
    assert [snapshot["answers"] for snapshot in described["snapshots"]] == [3]


@pytest.mark.parametrize(
    ("recipe", "word", "said"),
    [
        ("OpenAI", "minimal", "--reasoning-effort minimal (400): Unsupported value: 'minimal'"),
        ("Ollama", "minimal", "--reasoning-effort minimal (400): invalid reasoning value: 'minimal'"),
        ("Gemini", "loud", "--reasoning-effort loud (400): Invalid value at 'reasoning_effort'"),
    ],
)
def test_a_word_that_the_server_does_not_know_is_named(
    recipe: str, word: str, said: str, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, answer = SERVERS[recipe]
    known = next(each for each in recipes() if each.server == recipe)
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "texts.csv", index=False)
    if known.key:
        monkeypatch.setenv(known.key, KEY)
    command = known.command.replace("--reasoning-effort none", f"--reasoning-effort {word}")
    with chat_server(answer, gate=lambda path, *rest: gate(urlsplit(path).path, *rest)) as (url, record):
        done = commands(*words_to(command, url, monkeypatch)[1:], cwd=tmp_path)
    assert (done.code, done.out) == (2, "") and said in done.err and done.err.count("\n") == 1
    assert record.requests <= 3 and not (tmp_path / "labelled.csv").exists()


def test_azure_says_what_is_wrong(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"text": [*TEXTS, "a shocking thing"]}).to_csv(tmp_path / "texts.csv", index=False)
    command = next(each.command for each in recipes() if each.server == "Azure")
    filtered = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True}}}
    busy = iter([True])

    def answer(body: Body) -> str:
        if "shocking" in json.dumps(body):
            raise SentError(400, {"error": {"message": filtered, "code": "content_filter", "innererror": inner}})
        if "bad" in json.dumps(body) and next(busy, False):
            words = "Requests have exceeded call rate limit. Please retry after 1 second."
            raise SentError(429, {"error": {"code": "429", "message": words}}, {"retry-after": "0.1"})
        return by_word(body)

    def gate(path: str, headers: dict[str, str], body: Body) -> None:
        azure(urlsplit(path).path + "?" + urlsplit(path).query, headers, body)

    with chat_server(answer, gate=gate) as (url, record):

        def run(*changes: tuple[str, str]) -> Any:
            changed = command
            for old, new in changes:
                changed = changed.replace(old, new)
            return commands(*words_to(changed, url, monkeypatch)[1:], cwd=tmp_path)

        monkeypatch.setenv("OPENAI_API_KEY", "of-openai")  # not sent to Azure where there is one for it
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a-wrong-key")
        done = run()
        assert done.code == 2 and "set AZURE_OPENAI_API_KEY or SILR_API_KEY" in done.err
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        done = run(("--model DEPLOYMENT", "--model other"))
        assert done.code == 2 and "--model has to be the name of the deployment, not 'other'" in done.err
        done = run(("2024-10-21", "2023-01-01"))
        assert done.code == 2 and "https://NAME.openai.azure.com with --api-version" in done.err
        before = record.requests
        done = run(("--api-version 2024-10-21", ""))
        assert done.code == 2 and "needs --api-version" in done.err and record.requests == before
        done = run()
        assert done.code == 0 and "1 texts have no label: 1 filtered" in done.out, done
        portal = "https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT/chat/completions?api-version=2024-10-21"
        before = record.requests
        done = run(("https://NAME.openai.azure.com --api-version 2024-10-21", f"'{portal}'"))
        assert done.code == 0 and record.requests > before, done  # the deployment's address is another server's
        assert {headers["host"] for _, headers in record.calls} == {"NAME.openai.azure.com".lower()}
