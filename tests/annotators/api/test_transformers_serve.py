"""The API annotator against a real server and a real model: `transformers serve` with SmolLM2."""

import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from command_line import Commands
from silr.annotators.answers.read import read_answer
from silr.annotators.api.annotator import TEMPLATE
from silr.annotators.prompts import Prompt

pytestmark = pytest.mark.slow

CLASSES = ("negative", "positive")
QUESTION = "Is this review positive or negative?"
PRAISE = ["I love it, it works perfectly.", "Wonderful sound, best purchase ever!"]
BLAME = ["I hate it, it broke at once.", "Terrible sound, worst purchase ever!"]
EXAMPLES = [("Superb, would buy it again.", "positive"), ("Rubbish. I want my money back.", "negative")]


@pytest.fixture(scope="module")
def server(smollm_folder: str, commands: Commands) -> Iterator[tuple[str, str]]:
    """The server's address and its name of the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ("serve", smollm_folder, "--host", "127.0.0.1", "--port", port, "--device", "cpu")
    process = commands.start(*serve, script=Path(sys.executable).with_name("transformers"))
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", smollm_folder
    finally:
        process.kill()
        process.wait()


def greedy_answer(smollm: Any, tokenizer: Any, text: str) -> str:
    """What the same model says to the same prompt in this process."""
    before, after = Prompt(CLASSES, QUESTION, TEMPLATE, "", None, EXAMPLES).around_text()
    messages = [{"role": "user", "content": before + text + after}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = smollm._network.generate(**inputs, max_new_tokens=12, do_sample=False)
    return str(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


def test_annotates_with_a_real_server(
    server: tuple[str, str],
    smollm: Any,
    tokenizer: Any,
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, model = server
    pd.DataFrame({"text": PRAISE + BLAME}).to_csv(tmp_path / "texts.csv", index=False)
    pd.DataFrame(EXAMPLES, columns=["text", "label"]).to_csv(tmp_path / "examples.csv", index=False)
    command = ["annotate", "texts.csv", "-o", "labelled.csv", "--annotator", "api"]
    command += ["--base-url", url, "--model", model, "--classes", *CLASSES, "--cache", "answers.sqlite"]
    command += ["--question", QUESTION, "--few-shot", "examples.csv"]
    command += ["--max-answer-tokens", "12", "--json"]
    for name in [name for name in os.environ if "API_KEY" in name]:
        monkeypatch.delenv(name)

    def annotate() -> dict[str, Any]:
        done = commands(*command, cwd=tmp_path)
        assert done.code == 0, done.err
        result: dict[str, Any] = json.loads(done.out)
        return result

    first = annotate()
    labels = pd.read_csv(tmp_path / "labelled.csv")["llm_label"]
    assert labels.notna().sum() >= 3  # a model of 135M parameters does not always answer with a class
    for text, label in zip(PRAISE + BLAME, labels, strict=True):
        said = read_answer(greedy_answer(smollm, tokenizer, text), CLASSES, CLASSES).label
        assert said is None or CLASSES[said] == label  # None: asked again
    assert first["missing"] == labels.isna().sum() == sum(first["missing_reasons"].values())
    assert first["requests"] >= 4 and first["prompt_tokens"] > 200 and 0 < first["completion_tokens"] < 13 * 12
    again = annotate()
    assert again["requests"] == 0 and again["labels"] == first["labels"]
