"""`silr annotate --batch`, killed at random moments until it gets through; every text is labelled and paid for once."""

from __future__ import annotations

import logging
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
    """One annotation, killed several times."""

    killed: list[tuple[int, int]]  # calls that the session had made, and batches at the server, at each kill
    wrong: int  # texts without their label
    sent_twice: int  # requests that were in more than one batch that was begun
    online: int  # single requests
    left: list[str]  # files of an unfinished annotation
    said: str  # by the last session


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


def killed(folder: Path, start: Callable[[list[str]], Any], kills: int, seed: int, longest: float) -> list[Outcome]:
    """Annotate anew until there were so many kills; each comes within some seconds of the session's first call."""
    rng, outcomes = random.Random(seed), list[Outcome]()
    os.environ["SILR_BATCH_SECONDS"] = "0.03"
    os.environ.setdefault("OPENAI_API_KEY", "sk-none")
    while (left := kills - sum(len(each.killed) for each in outcomes)) > 0:
        (run := folder / str(len(outcomes))).mkdir()
        outcomes.append(until_it_ends(run, start, left, rng, longest))
    return outcomes


def until_it_ends(
    folder: Path, start: Callable[[list[str]], Any], kills: int, rng: random.Random, longest: float
) -> Outcome:
    pd.DataFrame({"text": TEXTS}).to_csv(folder / "in.csv", index=False)
    moments = list[tuple[int, int]]()
    with batch_server(Behaviour(answer, most_rows=ROWS, lag=0.05, polls=4)) as (url, record):
        while True:
            before, process = record.calls.total(), start(arguments(folder, url))
            while len(moments) < kills and process.poll() is None and record.calls.total() == before:
                time.sleep(0.002)
            deadline = time.monotonic() + longest * rng.random()
            while len(moments) < kills and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            if len(moments) == kills or process.poll() is not None:
                out, err = process.communicate(timeout=120)
                assert process.wait() == 0, err
                return outcome(folder, record, moments, out + err)
            process.kill()
            process.wait()
            moments.append((record.calls.total() - before, len(record.batches)))
            logging.getLogger(__name__).info("killed after %d calls, with %d batches at the server", *moments[-1])


def outcome(folder: Path, record: Record, moments: list[tuple[int, int]], said: str) -> Outcome:
    frame = pd.read_csv(folder / "out.csv", keep_default_na=False)
    truth = ["positive" if "good" in text else "negative" for text in TEXTS]
    wrong = sum(label != right for label, right in zip(frame["llm_label"], truth, strict=True))
    twice = sum(count > 1 for count in record.submitted.values())
    left = sorted(path.name for path in folder.glob("out.csv.*"))
    return Outcome(moments, wrong, twice, record.online.total(), left, said)


def command(arguments: list[str]) -> subprocess.Popen[str]:
    """Start `silr` in a process of its own."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-m", "silr", *arguments], stdout=pipe, stderr=pipe, text=True)
