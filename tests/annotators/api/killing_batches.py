"""`silr annotate --batch`, killed at random moments until it gets through; every text is labelled and paid for once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from batch_server import Behaviour, Record, batch_server
from chat_server import by_word, text_of

N_TEXTS, ROWS = 60, 25  # the server takes no larger batch
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(N_TEXTS)]


class Outcome(NamedTuple):
    kills: int
    seconds: list[float]  # from the start to each kill
    wrong: int  # texts without their label
    sent_twice: int  # requests that were in more than one batch that was begun
    online: int  # single requests
    batches: int
    last: str  # what the last session said


def answer(body: dict[str, Any]) -> str:
    """Some answers are unclear until they are asked for more strictly, so that there are several rounds."""
    number = int(text_of(body).rsplit(" ", 1)[1])
    return "Hard to say." if number % 7 == 3 and len(body["messages"]) == 1 else by_word(body)


def arguments(folder: Path, url: str) -> list[str]:
    common = ["--batch", "--model", "a-model", "--base-url", url, "--cache", str(folder / "answers.sqlite")]
    return [
        "annotate",
        str(folder / "in.csv"),
        "-o",
        str(folder / "out.csv"),
        *common,
        "--classes",
        "negative,positive",
    ]


def killed(folder: Path, start: Callable[[list[str]], Any], kills: int, seed: int, longest: float) -> Outcome:
    """Start the command, kill it after a random while, and so on; then let it end."""
    pd.DataFrame({"text": TEXTS}).to_csv(folder / "in.csv", index=False)
    rng, seconds = random.Random(seed), list[float]()
    os.environ["SILR_BATCH_SECONDS"] = "0.03"
    os.environ.setdefault("OPENAI_API_KEY", "sk-none")
    behaviour = Behaviour(answer, most_rows=ROWS, lag=0.05, polls=4)
    with batch_server(behaviour) as (url, record):
        while len(seconds) < kills:
            process = start(arguments(folder, url))
            began, limit = time.monotonic(), longest * rng.random()
            while time.monotonic() - began < limit and process.poll() is None:
                time.sleep(0.002)
            if process.poll() is not None:  # it got through: begin anew with another cache
                raise AssertionError(f"ended by itself after {time.monotonic() - began:.1f} s: {process.communicate()}")
            process.kill()
            process.wait()
            seconds.append(time.monotonic() - began)
        process = start(arguments(folder, url))
        out, err = process.communicate(timeout=120)
        assert process.wait() == 0, err
        return outcome(folder, record, seconds, out + err)


def outcome(folder: Path, record: Record, seconds: list[float], last: str) -> Outcome:
    frame = pd.read_csv(folder / "out.csv", keep_default_na=False)
    truth = ["positive" if "good" in text else "negative" for text in frame["text"]]
    wrong = sum(label != right for label, right in zip(frame["llm_label"], truth, strict=True)) + N_TEXTS - len(frame)
    twice = sum(count > 1 for count in record.submitted.values())
    return Outcome(len(seconds), seconds, wrong, twice, record.online.total(), len(record.batches), last)


def command(arguments: list[str]) -> subprocess.Popen[str]:
    """Start `silr` in a process of its own."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-m", "silr", *arguments], stdout=pipe, stderr=pipe, text=True)
