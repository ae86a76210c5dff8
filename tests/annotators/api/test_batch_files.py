"""Batches as files: `--batch-file` writes requests, and `--batch-results` reads what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batch_server import completion
from chat_server import COMPLETION_TOKENS, PROMPT_TOKENS, RefusalError, by_word, text_of

from command_line import Commands, Result

pytestmark = pytest.mark.slow

TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(6)]
TRUTH = ["positive" if "good" in text else "negative" for text in TEXTS]
Answer = Callable[[dict[str, Any]], Any]


class Silr:
    """The command in a folder."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self._commands, self.folder = commands, folder

    def __call__(self, *more: object, texts: list[str] = TEXTS) -> Result:
        pd.DataFrame({"text": texts}).to_csv(self.folder / "in.csv", index=False)
        common = ["in.csv", "-o", "out.csv", "--model", "a-model", "--classes", "negative,positive"]
        return self._commands("annotate", *common, "--cache", "answers.sqlite", *more, cwd=self.folder)

    def column(self, name: str = "llm_label") -> list[str]:
        return pd.read_csv(self.folder / "out.csv", keep_default_na=False)[name].tolist()


@pytest.fixture
def silr(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Silr:
    for name in ("OPENAI_API_KEY", "SILR_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    commands.load("silr.annotators.api.annotator", "silr.annotators.api.batch.offline", "openai")
    return Silr(commands, tmp_path)


def run_batch(requests: Path, answer: Answer, model: str = "a-model") -> list[str]:
    """Write results as vLLM's run-batch does, and return the texts that were asked about."""
    rows, asked = [], []
    for line in requests.read_text().splitlines():
        request = json.loads(line)
        assert request["url"] == "/v1/chat/completions" and request["body"]["model"] == model
        asked.append(text_of(request["body"]))
        response: dict[str, Any] = {"status_code": 200, "request_id": "r", "body": None}
        error = None
        try:
            response["body"] = completion(request["body"], answer)
        except RefusalError as refused:
            response["status_code"] = refused.args[0]
            error = {"error": {"message": refused.args[1], "type": "BadRequestError", "code": refused.args[0]}}
        rows.append({"id": "vllm-1", "custom_id": request["custom_id"], "response": response, "error": error})
    results = requests.with_name(requests.name.replace("requests", "results"))
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return asked


def refused(result: Result, *said: str) -> None:
    assert result.code == 2 and result.out == "" and result.err.count("\n") == 1, result
    for words in said:
        assert words in result.err


def test_there_and_back(silr: Silr) -> None:
    written = silr("--batch-file", "b")
    assert written.code == 0 and written.out.splitlines() == [
        "written: 6 requests in b. Have them answered, for instance by vLLM:",
        "  vllm run-batch -i b/requests-1.jsonl -o b/results-1.jsonl --model a-model",
        "then run the same command with --batch-results b instead of --batch-file b",
    ]
    assert not (silr.folder / "out.csv").exists()
    assert run_batch(silr.folder / "b" / "requests-1.jsonl", by_word) == TEXTS
    result = silr("--batch-results", "b", "--json")
    values = json.loads(result.out)
    assert silr.column() == TRUTH and values["open_requests"] == 0 and values["requests"] == 6
    again = silr("--batch-file", "b")
    assert again.out == "no request is open: all answers are known\n"


@pytest.mark.parametrize(("server", "share"), [([], 1.0), (["--base-url", "https://api.openai.com/v1"], 0.5)])
def test_half_the_price_is_of_openais_batches_alone(silr: Silr, server: list[str], share: float) -> None:
    priced = [*server, "--price-in", 1000, "--price-out", 2000]
    single = 6 * (PROMPT_TOKENS * 1000 + COMPLETION_TOKENS * 2000) / 1e6
    reckoned = json.loads(silr("--batch-file", "b", *priced, "--dry-run", "--json").out)
    assert reckoned["price"].get("factor", 1.0) == share
    silr("--batch-file", "b", *priced)
    run_batch(silr.folder / "b" / "requests-1.jsonl", by_word)
    values = json.loads(silr("--batch-results", "b", *priced, "--json").out)
    assert values["dollars"] == values["cost"]["dollars"] == pytest.approx(share * single)
    again = json.loads(silr("--batch-results", "b", *priced, "--json").out)  # by the cache
    assert again["answers"]["dollars"] == pytest.approx(share * single)


@pytest.mark.parametrize("option", ["--batch-file", "--batch-results"])
def test_no_server_gets_the_texts_unless_it_is_named(silr: Silr, option: str) -> None:
    refused(silr(option, silr.folder, "--embeddings", "e"), "--embeddings needs --embeddings-url")


def test_what_is_open_goes_into_the_next_file(silr: Silr) -> None:
    def answer(body: dict[str, Any]) -> Any:
        text = text_of(body)
        if len(text) > 300:
            words = "This model's maximum context length is 100 tokens. However, your request has 500 input tokens."
            raise RefusalError(400, words)
        if text == TEXTS[1]:
            raise RefusalError(500, "the engine is dead")
        return "Hard to say." if text == TEXTS[2] and len(body["messages"]) == 1 else by_word(body)

    texts = [*TEXTS, "good " * 500]
    silr("--batch-file", "b", texts=texts)
    requests = silr.folder / "b" / "requests-1.jsonl"
    lines = requests.read_text().splitlines(keepends=True)
    requests.write_text("".join(lines[1:]))
    run_batch(requests, answer)
    requests.write_text("".join(lines))
    with (silr.folder / "b" / "results-1.jsonl").open("a") as file:
        file.write('{"custom_id": "torn')
    result = silr("--batch-results", "b", texts=texts)
    reasons = ["not asked", "server error", "still open", "", "", "", "still open"]
    assert result.code == 0 and silr.column("llm_missing") == reasons
    assert "4 requests are still open: --batch-file FOLDER writes them" in result.out
    both = silr("--batch-results", "b", "--batch-file", "b", texts=texts)
    assert "written: 4 requests in b." in both.out and "results-2.jsonl" in both.out
    assert "cost: 2 requests" in both.out  # those that failed before
    asked = run_batch(silr.folder / "b" / "requests-2.jsonl", lambda body: by_word(body))
    assert asked[:3] == TEXTS[:3] and 0 < len(asked[3]) < 500
    done = silr("--batch-results", "b", texts=texts)
    assert done.code == 0 and silr.column() == [*TRUTH, "positive"]
    assert "1 texts are longer than the model reads and were cut" in done.out


def test_results_of_another_corpus(silr: Silr) -> None:
    silr("--batch-file", "b")
    run_batch(silr.folder / "b" / "requests-1.jsonl", by_word)
    others = ["another good text", "another bad text"]
    refused(silr("--batch-results", "b", texts=others), "b has no results of these texts")
    refused(silr("--batch-file", "b", texts=others), "b holds requests about other texts", "(texts)")
    refused(silr("--batch-results", "b", "--model", "another"), "b has no results of these texts")
    result = silr("--batch-results", "b", texts=[*others, TEXTS[0]])
    assert result.code == 0 and "5 of 6 results are of other questions, and are left out" in result.err
    (silr.folder / "empty").mkdir()
    refused(silr("--batch-results", "empty"), "empty has no results of a batch")
    refused(silr("--batch-results", "nowhere"), "nowhere has no results of a batch")
    assert silr("--batch-results", "b").code == 0 and silr.column() == TRUTH


def test_a_budget(silr: Silr) -> None:
    result = silr("--batch-file", "b", "--max-requests", "4")
    assert "written: 4 requests" in result.out
    assert "stopped at the budget of 4 requests" in result.out
