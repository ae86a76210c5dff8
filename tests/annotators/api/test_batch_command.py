"""`silr annotate --batch`, `--batch-file` and `--batch-results` as a user runs them."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from batch_server import Behaviour, batch_server
from chat_server import by_word
from killing_batches import TEXTS, arguments, killed

from command_line import Commands

pytestmark = pytest.mark.slow


@pytest.fixture
def commands(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    monkeypatch.setenv("SILR_BATCH_SECONDS", "0.03")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    commands.load("silr.annotators.api.annotator", "silr.annotators.api.batch.annotator", "openai")
    return commands


def test_killed_at_random_moments(commands: Commands, tmp_path: Path) -> None:
    def start(arguments: list[str]) -> object:
        return commands.start(*arguments)

    runs = killed(tmp_path, start, kills=5, seed=0, longest=0.3)
    for run in runs:
        assert (run.wrong, run.sent_twice, run.left) == (0, 0, []), run


def test_interrupted_and_fetched_later(commands: Commands, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    behaviour = Behaviour(by_word, polls=10**6)
    with batch_server(behaviour) as (url, record):
        with commands.start(*arguments(tmp_path, url)) as process:
            while record.statuses() != ["in_progress"]:
                time.sleep(0.01)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
            assert process.wait() == 130 and time.monotonic() - began < 2
        assert "The batches go on at the server (batch_0000); the same command fetches their answers." in err
        assert "sent the batch batch_0000; requests: 59\nthe answers come within 24 hours; Ctrl-C" in err
        behaviour.polls = 0
        result = commands(*arguments(tmp_path, url), "--json")
        values = json.loads(result.out)
        assert (
            result.code == 0 and values["missing"] == 0 and values["requests"] == 59 and values["cached_answers"] == 1
        )
        assert values["batched"]["requests"] == 59 and len(record.batches) == 1 and record.online.total() == 1


def test_bad_options(commands: Commands, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    common = arguments(tmp_path, "http://127.0.0.1:9/v1")
    for more, said in (
        (("--annotator", "local"), "leave out --annotator local"),
        (("--batch-file", tmp_path / "b"), "--batch sends the requests itself"),
    ):
        result = commands(*common, *map(str, more))
        assert result.code == 2 and said in result.err and result.err.count("\n") == 1, result
